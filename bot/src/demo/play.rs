//! Owns the play: it follows the rollout's log, gives the cues of the scenario, and says how it ended.
//! Refuses to know more than the log says: it must survive that the service is killed, so it asks and remembers nothing else.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tidegate_rollout::Period;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::api::{Card, Line, Silence};
use super::marks::Marks;
use super::plan;
use super::scenario::{Cue, Ending, Scenario};
use super::stage::Stage;
use super::story::{Gauge, Story};
use super::{DemoError, alerts};
use crate::clock;

/// How often the log is read.
const LOOK: Duration = Duration::from_millis(100);
/// How long a start may be refused because the alert path is not known to be alive yet.
const WAIT_FOR_START: Duration = Duration::from_secs(15);
/// How long further pages are awaited after the end.
const LAST_PAGES: Duration = Duration::from_millis(500);
/// How long what a story has to show may come after its end: the first page, the rest of a storm.
const LATE: Duration = Duration::from_secs(5);
/// What a story may take beyond the plan.
const SLACK: Duration = Duration::from_secs(20);

/// The play while it goes on.
pub(super) struct Play<'a, 'b> {
    scenario: Scenario,
    stage: &'a mut Stage,
    story: &'a mut Story<'b>,
    following: Following,
    marks: Marks,
    /// The story is over: what happens now is people's doing.
    free: bool,
}

/// The rollout whose log is told, and how much of it was.
#[derive(Default)]
struct Following {
    rollout: String,
    /// The number of the last line that was told.
    told: u64,
    phases: usize,
    card: Option<Card>,
}

impl<'a, 'b> Play<'a, 'b> {
    pub(super) fn new(scenario: Scenario, stage: &'a mut Stage, story: &'a mut Story<'b>) -> Self {
        Self {
            scenario,
            stage,
            story,
            following: Following::default(),
            free: false,
            marks: Marks::default(),
        }
    }

    /// Plays from the start of the rollout to its end.
    pub(super) async fn run(&mut self, lasting: Period) -> Result<Ending, DemoError> {
        self.start().await?;
        let lasting = Duration::try_from(lasting.duration()).unwrap_or_default() + SLACK;
        let began = Instant::now();
        let mut pace = interval(LOOK);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while began.elapsed() < lasting {
            pace.tick().await;
            if let Some(ending) = self.look().await? {
                self.conclude(ending).await?;
                return Ok(ending);
            }
        }
        let text = format!("Nothing that ends the story happened in {} s.", lasting.as_secs());
        self.story.say("timed-out", text)?;
        Ok(Ending::TimedOut)
    }

    /// What to do next.
    pub(super) fn hint(&mut self, stays: bool, base: &Url) -> Result<(), DemoError> {
        if !stays {
            let text = "It ends here: without a terminal nobody could press Ctrl-C. Other stories: --scenario list";
            self.story.say("hint", text)?;
            return Ok(());
        }
        // The next rollout shall have a chance.
        self.stage.shop.fail(false);
        let lines = [
            "Everything stays up until Ctrl-C, and the new version is well again.".to_owned(),
            format!("Start again: type `/rollout start {}` in {base}chat", plan::NAME),
            "Break the new version with the button of the shop, or press ROLLBACK on the dashboard. It goes too fast? --speed 60".to_owned(),
            "Other stories: tidegate demo --scenario list".to_owned(),
        ];
        self.story.say("hint", lines.join("\n"))?;
        Ok(())
    }

    /// After the story: whatever people do now is told, until `stop`.
    pub(super) async fn stay(&mut self, stop: &CancellationToken) -> Result<(), DemoError> {
        self.free = true;
        let mut pace = interval(LOOK);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            pace.tick().await;
            if let Ok(Some(newest)) = self.stage.api.newest().await
                && newest.rollout != self.following.rollout
            {
                self.following = Following {
                    rollout: newest.rollout,
                    ..Following::default()
                };
            }
            self.tell_news().await?;
            self.show().await;
        }
        Ok(())
    }

    /// Starts the rollout. Nothing begins before the Watchdog was seen and the alert source answered, so it is said again
    /// until it is accepted.
    async fn start(&mut self) -> Result<(), DemoError> {
        let began = Instant::now();
        let words = format!("start {}", plan::NAME);
        loop {
            let answer = self.stage.api.say(&words).await;
            match answer {
                Ok(answer) if answer.ok => {
                    self.following.rollout = answer.rollout.unwrap_or_default();
                    return Ok(());
                }
                Ok(answer) if began.elapsed() > WAIT_FOR_START => {
                    let fault = anyhow::anyhow!("{} {}", answer.code.unwrap_or_default(), answer.text);
                    return Err(DemoError::failed("start the rollout", fault));
                }
                Err(silence) if began.elapsed() > WAIT_FOR_START => {
                    return Err(DemoError::failed("start the rollout", silence));
                }
                Ok(_) | Err(_) => sleep(LOOK).await,
            }
        }
    }

    /// One look: at the service, the pager, the storm, the log, and the present.
    async fn look(&mut self) -> Result<Option<Ending>, DemoError> {
        self.mind_the_service().await?;
        self.tell_the_storm().await?;
        let ending = self.tell_news().await?;
        self.show().await;
        Ok(ending)
    }

    /// Says it, once all of the storm was posted.
    async fn tell_the_storm(&mut self) -> Result<(), DemoError> {
        if self.marks.storm_told {
            return Ok(());
        }
        let Some(took) = self.stage.source.storm_took().await else {
            return Ok(());
        };
        self.marks.storm_told = true;
        let text = format!(
            "{} alerts about other services were posted in {} ms.",
            alerts::STORM,
            took.as_millis()
        );
        let facts = facts([("alerts", json!(alerts::STORM)), ("took_ms", json!(took.as_millis()))]);
        self.story.say_with("storm", text, facts)?;
        Ok(())
    }

    /// Says what the pager has shown since; whether there was anything.
    fn tell_pages(&mut self) -> Result<bool, DemoError> {
        let mut any = false;
        while let Some(page) = self.stage.pager.next() {
            any = true;
            self.story.say("page", page)?;
        }
        self.marks.paged |= any;
        Ok(any)
    }

    /// Tells the lines that are new, and acts on their cues.
    async fn tell_news(&mut self) -> Result<Option<Ending>, DemoError> {
        self.tell_pages()?;
        let lines = match self.stage.api.log(&self.following.rollout).await {
            Ok(lines) => lines,
            // Somebody killed it; the log is still there when it is back.
            Err(Silence::Away(_)) => return Ok(None),
            Err(silence) => return Err(DemoError::failed("read the rollout's log", silence)),
        };
        let told = self.following.told;
        for line in lines.iter().filter(|line| line.number > told) {
            self.following.told = line.number;
            self.story.relay(line.at, &line.kind, &line.by, &line.text)?;
            if let Some(ending) = self.heed(line).await? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    /// What a line means for the story.
    async fn heed(&mut self, line: &Line) -> Result<Option<Ending>, DemoError> {
        self.marks.page_due |= Marks::pages(&line.kind);
        match line.kind.as_str() {
            "phase-began" => {
                self.following.phases += 1;
                if let Some(cue) = self.scenario.cue(self.following.phases).filter(|_| !self.free) {
                    self.act(cue).await?;
                }
            }
            "rolling-back" => {
                self.marks.rolling_back_at = Some(line.at);
                self.marks.told_at = self.stage.source.told_at().await;
            }
            "rolled-back" => self.marks.rolled_back_at = Some(line.at),
            _ => {}
        }
        Ok(self.scenario.ending(&line.kind))
    }

    async fn act(&mut self, cue: Cue) -> Result<(), DemoError> {
        match cue {
            Cue::Fault => self.break_the_shop()?,
            Cue::FaultInAStorm => {
                self.stage.source.brew_storm();
                self.break_the_shop()?;
            }
            Cue::Silence => {
                self.stage.source.fall_silent().await;
                self.story
                    .say("silence", "The alert source falls silent, its Watchdog included.")?;
            }
        }
        Ok(())
    }

    fn break_the_shop(&mut self) -> Result<(), DemoError> {
        self.stage.shop.fail(true);
        self.story
            .say("fault", "From now on three of ten visits to the new version fail.")?;
        Ok(())
    }

    /// A service that was killed is started again on the same storage.
    async fn mind_the_service(&mut self) -> Result<(), DemoError> {
        let Some(status) = self.stage.service.ended() else {
            return Ok(());
        };
        let killed_at = clock::now();
        self.marks.killed_at = Some(killed_at);
        let before = self.stage.shop.tally().unanswered();
        let text = format!("The service was killed in the middle of the rollback ({status}).");
        self.story.say("killed", text)?;
        self.stage.restart_service().await?;
        let restarted_at = clock::now();
        self.marks.restarted_at = Some(restarted_at);
        let away = Period::between(killed_at, restarted_at);
        let unanswered = self.stage.shop.tally().unanswered() - before;
        let card = self.stage.api.card(&self.following.rollout).await;
        let knows = card.map_or_else(|_| "not yet known".to_owned(), |card| headline(&card));
        let text = format!(
            "It runs again on the same storage after {}, and knows: {knows}.\nMeanwhile {unanswered} visits found no flag; the shop served them the old version, the default of its code.",
            spoken(away)
        );
        let facts = facts([
            ("away_ms", json!(away.as_millis())),
            ("without_flag", json!(unanswered)),
        ]);
        self.story.say_with("restarted", text, facts)?;
        Ok(())
    }

    /// What there is to say at the end.
    async fn conclude(&mut self, ending: Ending) -> Result<(), DemoError> {
        self.await_what_is_late().await?;
        match ending {
            Ending::RolledBack => self.measure()?,
            Ending::Held => self.try_to_advance().await?,
            Ending::Completed | Ending::Stuck | Ending::TimedOut | Ending::Interrupted => {}
        }
        self.marks.judge(self.scenario)?;
        self.show().await;
        Ok(())
    }

    /// The pager rings a moment after the decision, and the last alerts of a storm may still be on their way.
    async fn await_what_is_late(&mut self) -> Result<(), DemoError> {
        let (began, mut quiet_since) = (Instant::now(), Instant::now());
        while began.elapsed() < LATE {
            self.tell_the_storm().await?;
            if self.tell_pages()? {
                quiet_since = Instant::now();
            }
            let quiet = !self.marks.page_due || quiet_since.elapsed() >= LAST_PAGES;
            if quiet && self.marks.are_whole(self.scenario) {
                break;
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// How long it took, by the log and by what visitors saw.
    fn measure(&mut self) -> Result<(), DemoError> {
        let tally = self.stage.shop.tally();
        let (failed, visits) = (tally.new_version().bad, tally.visits());
        let Marks {
            told_at,
            restarted_at,
            rolled_back_at,
            ..
        } = self.marks;
        let mut known = facts([("failed_visits", json!(failed)), ("visits", json!(visits))]);
        let mut said = Vec::new();
        let mut lasting = |name: &str, from: Option<Timestamp>, to: Option<Timestamp>| {
            let lasting = Period::between(from?, to?);
            known.insert(name.to_owned(), json!(lasting.as_millis()));
            Some(spoken(lasting))
        };
        if let Some(took) = lasting("alert_to_zero_ms", told_at, rolled_back_at) {
            said.push(format!("From the alert to 0%, read back: {took}."));
        }
        if let Some(took) = lasting("restart_to_zero_ms", restarted_at, rolled_back_at) {
            said.push(format!("From the restart to 0%, read back: {took}."));
        }
        if let Some(after) = lasting("alert_to_last_visit_ms", told_at, tally.last_on_new()) {
            said.push(format!(
                "The last visitor of the new version came {after} after the alert."
            ));
        }
        said.push(format!("{failed} of {visits} visits failed."));
        self.story.say_with("measured", said.join("\n"), known)?;
        Ok(())
    }

    /// Nothing advances on silence, whoever asks.
    async fn try_to_advance(&mut self) -> Result<(), DemoError> {
        let words = format!("advance {}", self.following.rollout);
        let answer = self.stage.api.say(&words).await;
        let answer = answer.map_err(|silence| DemoError::failed("try to advance", silence))?;
        if answer.ok {
            let fault = anyhow::anyhow!("it advanced on silence: {}", answer.text);
            return Err(DemoError::failed("see the advance refused", fault));
        }
        let code = answer.code.unwrap_or_default();
        let hint = answer.hint.unwrap_or_default();
        let text = format!("Somebody says `advance`, and is refused: {code} {} {hint}", answer.text);
        self.story.say_with("refused", text, facts([("code", json!(code))]))?;
        Ok(())
    }

    async fn show(&mut self) {
        if let Ok(card) = self.stage.api.card(&self.following.rollout).await {
            self.following.card = Some(card);
        }
        let tally = self.stage.shop.tally();
        let (old, new) = (tally.old(), tally.new_version());
        let card = self.following.card.as_ref();
        let weight = card.and_then(|card| card.weight.trim_end_matches('%').parse::<f64>().ok());
        self.story.show(&Gauge {
            percent: weight.map_or(0, |weight| weight.clamp(0.0, 100.0) as u64),
            headline: card.map_or_else(String::new, headline),
            visits: tally.visits(),
            on_new: new.total(),
            failed: old.bad + new.bad,
        });
    }
}

fn headline(card: &Card) -> String {
    match &card.health {
        Some(health) => format!("{} × {health} at {}", card.state, card.weight),
        None => format!("{} at {}", card.state, card.weight),
    }
}

/// A measured time as people say it: to the hundredth of a second.
fn spoken(period: Period) -> String {
    // Half a hundredth counts as one: no number is made better than it is.
    let hundredths = (period.as_millis() + 5) / 10;
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}

fn facts<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_time_keeps_its_hundredths() {
        assert_eq!(spoken(Period::millis(1_842)), "1.84 s");
        assert_eq!(spoken(Period::millis(70)), "0.07 s");
        assert_eq!(spoken(Period::seconds(61)), "61.00 s");
    }

    #[test]
    fn the_headline_has_state_health_and_weight() {
        let card = |health: Option<&str>| Card {
            rollout: "shop-1".to_owned(),
            state: "BAKING".to_owned(),
            health: health.map(str::to_owned),
            weight: "50%".to_owned(),
        };
        assert_eq!(headline(&card(Some("NO DATA"))), "BAKING × NO DATA at 50%");
        assert_eq!(headline(&card(None)), "BAKING at 50%");
    }
}
