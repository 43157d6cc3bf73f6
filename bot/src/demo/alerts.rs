//! Owns the alert source that is built in: it scrapes the shop, evaluates one rule and a Watchdog each second, posts
//! webhooks of Alertmanager's shape over HTTP, and answers `/api/v2/alerts`, so that the service can ask back.
//! Refuses any shorter way into the service: it is a sender like any other, with a token.

mod message;
mod rule;
mod scrape;
mod storm;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tidegate_rollout::Labels;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use url::Url;

pub(super) use rule::{FOR, TOO_MANY, WINDOW};
pub(super) use storm::{SIZE as STORM, posted as storm_as_posted};

use super::serving::{Open, Serving};
use super::shop::Version;
use crate::clock;
use crate::net::Net;
use message::{Alert, Listed, Webhook};
use rule::{Firing, Rule};

/// The alert that the plan's trigger waits for.
pub(super) const ALERT: &str = "ShopErrorRateHigh";
/// The dead man's switch.
pub(super) const WATCHDOG: &str = "Watchdog";
/// Between two evaluations.
const EVERY: Duration = Duration::from_secs(1);
/// How long a scrape or a webhook may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where things are that the evaluator talks to.
pub(super) struct Ways {
    /// The shop's `/metrics`.
    pub(super) metrics: Url,
    /// The webhook of the service.
    pub(super) webhook: Url,
    /// The token of that webhook.
    pub(super) token: SecretString,
}

/// The built-in alert source while it runs.
pub(super) struct Evaluator {
    shared: Arc<Shared>,
    serving: Serving,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What the loop, the API and the play share.
struct Shared {
    address: String,
    board: Mutex<Board>,
}

/// What fires, and what was told.
#[derive(Default)]
struct Board {
    alerts: Vec<Alert>,
    silent: bool,
    storm: Storm,
    first_told: Option<Timestamp>,
}

/// Thousands of other alerts.
#[derive(Clone, Copy, Debug, Default)]
enum Storm {
    /// None will come.
    #[default]
    No,
    /// They will come with the next alert about the shop.
    Brews,
    /// They fire, and some were not taken yet.
    Rages,
    /// All were taken, after so long.
    Over(Duration),
}

impl Evaluator {
    /// Starts on `open`; the first evaluation, with the Watchdog, is at once.
    pub(super) fn start(open: Open, ways: Ways, net: Net) -> Self {
        let shared = Arc::new(Shared {
            address: format!("http://{}", open.address()),
            board: Mutex::default(),
        });
        let router = Router::new()
            .route("/api/v2/alerts", get(list))
            .with_state(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let (stopped, board) = (stop.clone(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = evaluate(&board, &ways, &net) => {}
            }
        });
        Self {
            shared,
            serving: open.serve(router),
            stop,
            task,
        }
    }

    /// From now on nothing is told and nothing listed, the Watchdog included.
    pub(super) fn fall_silent(&self) {
        self.shared.board().silent = true;
    }

    /// Thousands of other alerts will come together with the next one about the shop.
    pub(super) fn brew_storm(&self) {
        self.shared.board().storm = Storm::Brews;
    }

    /// How long it took until the service had taken all of the storm; `None` until then.
    pub(super) fn storm_took(&self) -> Option<Duration> {
        match self.shared.board().storm {
            Storm::Over(took) => Some(took),
            Storm::No | Storm::Brews | Storm::Rages => None,
        }
    }

    /// When the first alert about the shop was sent.
    pub(super) fn first_told(&self) -> Option<Timestamp> {
        self.shared.board().first_told
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // It ends at its next await; a panic in it would have been said already.
        let _ = self.task.await;
        self.serving.stop().await;
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Takes over what the rule says now: what is new begins, what is gone ends, and the storm comes with the first.
    fn update(&mut self, firing: &[Firing], now: Timestamp) {
        let ours: Vec<Alert> = firing.iter().map(alert).collect();
        for known in &mut self.alerts {
            let goes_on = ours.iter().any(|alert| alert.labels == known.labels);
            if known.name() == ALERT && known.ends_at.is_none() && !goes_on {
                known.ends_at = Some(now);
            }
        }
        for alert in ours {
            match self.alerts.iter_mut().find(|known| known.labels == alert.labels) {
                Some(known) if known.ends_at.is_none() => known.annotations = alert.annotations,
                Some(known) => *known = alert,
                None => self.alerts.push(alert),
            }
        }
        if matches!(self.storm, Storm::Brews) && !firing.is_empty() {
            self.storm = Storm::Rages;
            self.alerts.extend(storm::storm(now));
        }
        if !self.alerts.iter().any(|alert| alert.name() == WATCHDOG) {
            self.alerts.push(watchdog(now));
        }
    }

    /// The groups, by name; what fires always is a group like any other.
    fn groups(&self) -> BTreeMap<String, Vec<Alert>> {
        let mut groups: BTreeMap<String, Vec<Alert>> = BTreeMap::new();
        for alert in &self.alerts {
            groups.entry(alert.name().to_owned()).or_default().push(alert.clone());
        }
        groups
    }
}

/// What stands for the state of a group: told again when it changes.
type Told = Vec<(String, Timestamp, bool)>;

fn state_of(group: &[Alert]) -> Told {
    let state = |alert: &Alert| (alert.fingerprint(), alert.starts_at, alert.ends_at.is_some());
    group.iter().map(state).collect()
}

/// Each second: scrape, evaluate, tell what changed. A group that was not taken is told again a second later.
async fn evaluate(shared: &Shared, ways: &Ways, net: &Net) {
    let mut rule = Rule::default();
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        // A shop that cannot be scraped has no counters, as Prometheus sees it.
        let scraped = scrape(net, &ways.metrics).await.unwrap_or_default();
        let now = clock::now();
        let firing = rule.evaluate(now, scrape::read(&scraped));
        let groups = {
            let mut board = shared.board();
            board.update(&firing, now);
            if board.silent {
                continue;
            }
            if board.first_told.is_none() && !firing.is_empty() {
                board.first_told = Some(clock::now());
            }
            board.groups()
        };
        let changed = groups
            .into_iter()
            .filter(|(name, group)| name == WATCHDOG || told.get(name) != Some(&state_of(group)));
        let sent = changed.map(|(name, group)| async move {
            let taken = tell(net, ways, &name, &group, &shared.address).await;
            taken.then(|| (name, state_of(&group)))
        });
        let began = Instant::now();
        told.extend(futures_util::future::join_all(sent).await.into_iter().flatten());
        let taken: usize = told.values().map(Vec::len).sum();
        let mut board = shared.board();
        if matches!(board.storm, Storm::Rages) && taken > STORM {
            board.storm = Storm::Over(began.elapsed());
        }
    }
}

async fn scrape(net: &Net, metrics: &Url) -> Option<String> {
    let answer = net.request(Method::GET, metrics, DEADLINE).ok()?.send().await.ok()?;
    answer.error_for_status().ok()?.text().await.ok()
}

/// Posts a group; whether it was taken.
async fn tell(net: &Net, ways: &Ways, name: &str, group: &[Alert], address: &str) -> bool {
    let Ok(request) = net.request(Method::POST, &ways.webhook, DEADLINE) else {
        return false;
    };
    let request = request
        .bearer_auth(ways.token.expose_secret())
        .json(&Webhook::of(name, group, address));
    let answer = request.send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// `GET /api/v2/alerts`: what fires now.
async fn list(State(shared): State<Arc<Shared>>) -> Json<Vec<Listed>> {
    let now = clock::now();
    let board = shared.board();
    let firing = board
        .alerts
        .iter()
        .filter(|alert| alert.ends_at.is_none() && !board.silent);
    Json(firing.map(|alert| Listed::of(alert, now, &shared.address)).collect())
}

fn alert(firing: &Firing) -> Alert {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut labels = Labels::from([
        label("alertname", ALERT),
        label("service", "shop"),
        label("environment", "demo"),
        label("severity", "critical"),
        label("version", Version::New.number()),
    ]);
    if !firing.rollout.is_empty() {
        labels.insert("rollout".to_owned(), firing.rollout.clone());
    }
    let (whole, tenths) = (firing.share / 10, firing.share % 10);
    let summary = format!("{whole}.{tenths}% of the visits to {} fail", Version::New.number());
    Alert {
        labels,
        annotations: Labels::from([("summary".to_owned(), summary)]),
        starts_at: firing.since,
        ends_at: None,
    }
}

fn watchdog(since: Timestamp) -> Alert {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Alert {
        labels: Labels::from([label("alertname", WATCHDOG), label("severity", "none")]),
        annotations: Labels::from([label("summary", "Always fires; its absence says that nobody watches.")]),
        starts_at: since,
        ends_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn firing(since: i64) -> Firing {
        Firing {
            rollout: "shop-1".to_owned(),
            since: second(since),
            share: 305,
        }
    }

    #[test]
    fn the_watchdog_is_there_from_the_first_second() {
        let mut board = Board::default();
        board.update(&[], second(0));
        let groups = board.groups();
        assert_eq!(groups.keys().collect::<Vec<_>>(), [WATCHDOG]);
        board.update(&[], second(1));
        assert_eq!(board.groups()[WATCHDOG][0].starts_at, second(0), "it is one occasion");
    }

    #[test]
    fn an_alert_ends_and_a_new_occasion_begins_under_the_same_fingerprint() {
        let mut board = Board::default();
        board.update(&[firing(1)], second(1));
        let first = board.groups()[ALERT].clone();
        assert_eq!(first[0].labels["rollout"], "shop-1");
        assert_eq!(first[0].annotations["summary"], "30.5% of the visits to 2.0.0 fail");
        board.update(&[], second(5));
        assert_eq!(board.groups()[ALERT][0].ends_at, Some(second(5)));
        board.update(&[firing(9)], second(9));
        let again = board.groups()[ALERT].clone();
        assert_eq!(
            (again.len(), again[0].starts_at, again[0].ends_at),
            (1, second(9), None)
        );
        assert_eq!(again[0].fingerprint(), first[0].fingerprint());
    }

    #[test]
    fn the_storm_comes_once_and_with_the_alert_about_the_shop() {
        let mut board = Board {
            storm: Storm::Brews,
            ..Board::default()
        };
        board.update(&[], second(0));
        assert_eq!(board.alerts.len(), 1);
        board.update(&[firing(1)], second(1));
        board.update(&[firing(1)], second(2));
        assert_eq!(board.alerts.len(), STORM + 2);
        assert_eq!(board.groups().len(), 22);
    }

    #[test]
    fn a_group_is_told_again_when_an_alert_of_it_ends_and_not_when_its_text_changes() {
        let mut board = Board::default();
        board.update(&[firing(1)], second(1));
        let before = state_of(&board.groups()[ALERT]);
        board.update(
            &[Firing {
                share: 400,
                ..firing(1)
            }],
            second(2),
        );
        assert_eq!(state_of(&board.groups()[ALERT]), before);
        board.update(&[], second(3));
        assert_ne!(state_of(&board.groups()[ALERT]), before);
    }
}
