//! Owns the check of chat platforms: the token is believed, belongs to where we listen, and may do what it is needed for.
//! Refuses to know any platform: each answers the same questions below here.

mod discord;
mod slack;

use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;

use super::ask::Asker;
use super::{Finding, Level};
use crate::config::Config;

/// Who a token is, as its platform says.
pub(super) struct Identity {
    /// In words: `tidegate in Acme (T012AB3CD)`.
    who: String,
    /// Where it belongs, by the platform's id.
    place: String,
    /// What it may do; nothing where the platform does not say.
    scopes: Option<Vec<String>>,
    /// What time the platform has.
    date: Option<Timestamp>,
}

/// One thing that the app must be allowed to do.
pub(super) struct Scope {
    name: &'static str,
    /// What does not work without it.
    without: &'static str,
    level: Level,
}

/// Why a question to the platform was not answered with a yes.
pub(super) struct No {
    code: &'static str,
    says: String,
    fix: String,
}

/// A chat platform that can be asked about our app.
pub(super) trait Platform: Send + Sync {
    /// The name of its check.
    fn name(&self) -> &'static str;
    /// Codes of this platform for what all of them can lack: another place, a scope.
    fn codes(&self) -> (&'static str, &'static str);
    /// What the app must be allowed to do.
    fn scopes(&self) -> &'static [Scope];
    /// Where requests are listened to, by the platform's ids, and the setting that says so; empty where it does not matter.
    fn places(&self) -> (Vec<String>, &'static str);
    /// How somebody gives the app a scope.
    fn how_to_allow(&self) -> &'static str;
    /// Asks who the token is.
    fn identify(&self) -> BoxFuture<'_, Result<Identity, No>>;
    /// The channels of the configuration on this platform: their names, and their ids there.
    fn channels(&self) -> Vec<(String, String)>;
    /// Asks whether the app can be heard in a channel.
    fn can_speak<'a>(&'a self, name: &'a str, channel: &'a str) -> BoxFuture<'a, Result<(), No>>;
    /// Whatever else has to be so on this platform alone.
    fn more(&self) -> BoxFuture<'_, Vec<Finding>> {
        Box::pin(std::future::ready(Vec::new()))
    }
    /// Notes the time that the platform has.
    fn note_clock(&self, date: Option<Timestamp>, took: std::time::Duration);
}

/// The platforms that are configured.
pub(super) fn platforms(config: &Config, asker: &Asker) -> Vec<Box<dyn Platform>> {
    let slack = slack::Slack::of(config, asker).map(|slack| Box::new(slack) as Box<dyn Platform>);
    let discord = discord::Discord::of(config, asker).map(|discord| Box::new(discord) as Box<dyn Platform>);
    slack.into_iter().chain(discord).collect()
}

/// Asks one platform everything.
pub(super) async fn look(platform: Box<dyn Platform>) -> Vec<Finding> {
    let asked = std::time::Instant::now();
    let identity = match platform.identify().await {
        Ok(identity) => identity,
        Err(no) => return vec![no.into()],
    };
    platform.note_clock(identity.date, asked.elapsed());
    let mut found = Vec::new();
    let (places, setting) = platform.places();
    let (elsewhere, lacking) = platform.codes();
    if !places.is_empty() && !places.contains(&identity.place) {
        found.push(Finding::fail(
            elsewhere,
            format!(
                "the token is {}, and `{setting}` lists {}",
                identity.who,
                places.join(", ")
            ),
            format!(
                "Add {} to `{setting}`, or take the token of the app that is installed there.",
                identity.place
            ),
        ));
    }
    let missing = |scope: &&Scope| {
        let scopes = identity.scopes.as_ref();
        scopes.is_some_and(|scopes| !scopes.iter().any(|given| given == scope.name))
    };
    let missing: Vec<&Scope> = platform.scopes().iter().filter(missing).collect();
    for scope in &missing {
        let Scope { name, without, level } = scope;
        found.push(Finding::bad(
            *level,
            lacking,
            format!("the app may not `{name}`: {without}"),
            format!("Add the scope `{name}`. {}", platform.how_to_allow()),
        ));
    }
    // Without its scopes no question about a channel is answered; that is said already.
    if missing.is_empty() {
        let channels = platform.channels();
        let asked = channels.iter().map(|(name, channel)| platform.can_speak(name, channel));
        let answers = join_all(asked).await;
        found.extend(answers.into_iter().filter_map(Result::err).map(Finding::from));
        found.extend(platform.more().await);
        if found.is_empty() {
            let says = format!("{}, {} channels", identity.who, channels.len());
            found.push(Finding::ok(platform.name(), says));
        }
    }
    found
}

impl From<No> for Finding {
    fn from(no: No) -> Self {
        Self::fail(no.code, no.says, no.fix)
    }
}
