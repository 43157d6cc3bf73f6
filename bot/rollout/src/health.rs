//! Owns the second word of the headline: how the new version does, as far as anybody knows.
//! Refuses to read silence as health.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::plan::{SeverityAction, Watchdog};
use crate::planted::{self, Bug};
use crate::rollout::{Rollout, Standing};
use crate::step::CLOCK_SKEW;
use crate::surroundings::{Poll, Surroundings};

/// How the new version does. State and health are two words: `BAKING × HEALTHY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The alert path is alive and nothing that matters fires.
    Healthy,
    /// Something fires that does not roll back by itself.
    OffTarget {
        /// Names of the alerts.
        firing: Vec<String>,
    },
    /// Something fires that rolls back.
    Critical {
        /// Names of the alerts.
        firing: Vec<String>,
    },
    /// Nobody knows.
    NoData {
        /// What is not known.
        why: String,
    },
}

impl Health {
    /// One of each, with nothing to tell.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::OffTarget { firing: Vec::new() },
        Self::Critical { firing: Vec::new() },
        Self::NoData { why: String::new() },
    ];

    /// The word shown in headlines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::OffTarget { .. } => "OFF TARGET",
            Self::Critical { .. } => "CRITICAL",
            Self::NoData { .. } => "NO DATA",
        }
    }
}

impl Rollout {
    /// How the new version does at `now`.
    pub fn health(&self, around: &Surroundings, now: Timestamp) -> Health {
        let (mut critical, mut off_target) = (Vec::new(), Vec::new());
        for tracked in self.alerts.values() {
            let counts = match tracked.standing {
                Standing::Counting | Standing::PreExisting | Standing::OldVersion => true,
                Standing::Suspect | Standing::Stale | Standing::Suppressed(_) | Standing::Resolved => false,
            };
            if !counts {
                continue;
            }
            let action = self
                .plan
                .spec
                .severities
                .get(&tracked.severity)
                .map(|severity| &severity.action);
            match action {
                Some(SeverityAction::Rollback) if tracked.standing == Standing::Counting => {
                    critical.push(tracked.name.clone())
                }
                Some(SeverityAction::Rollback | SeverityAction::Decide(_) | SeverityAction::Log) | None => {
                    off_target.push(tracked.name.clone());
                }
            }
        }
        if !critical.is_empty() {
            return Health::Critical { firing: critical };
        }
        if let Some(why) = self.unknown(around, now) {
            return Health::NoData { why };
        }
        if !off_target.is_empty() {
            return Health::OffTarget { firing: off_target };
        }
        Health::Healthy
    }

    /// What is not known, in words; `None` when health is known.
    pub fn unknown(&self, around: &Surroundings, now: Timestamp) -> Option<String> {
        if let Some(suspect) = self
            .alerts
            .values()
            .find(|tracked| tracked.standing == Standing::Suspect)
        {
            return Some(format!(
                "alert {} came back after its end; its source is being asked",
                suspect.name
            ));
        }
        unknown_path(self.plan.spec.alerts.watchdog, around, now)
    }
}

/// What is not known about the alert path itself, in words. Silence is not health.
pub fn unknown_path(watchdog: Watchdog, around: &Surroundings, now: Timestamp) -> Option<String> {
    if let Some(age) = around.undecided.filter(|age| *age > Surroundings::BEHIND) {
        return Some(format!("what was heard {age} ago is not decided yet"));
    }
    match around.poll {
        Poll::Unreadable { since } => {
            let age = Period::between(since, now);
            return Some(format!("the alert source could not be read for {age}"));
        }
        Poll::NotYet => return Some("the alert source was not asked yet".to_owned()),
        Poll::Good | Poll::NotConfigured => {}
    }
    match (watchdog, around.watchdog_seen) {
        (Watchdog::None, _) => None,
        (Watchdog::Required, None) => Some("the Watchdog alert was never seen".to_owned()),
        // The wall clock went back: until it catches up, every age would read zero and a dead Watchdog would look fresh.
        (Watchdog::Required, Some(seen))
            if seen.duration_since(now) > CLOCK_SKEW && !planted::on(Bug::FutureIsFresh) =>
        {
            Some("the Watchdog alert was last seen in the future: the clock of this machine went back".to_owned())
        }
        (Watchdog::Required, Some(seen)) => {
            let age = Period::between(seen, now);
            (age > around.watchdog_fresh).then(|| format!("the Watchdog alert was last seen {age} ago"))
        }
    }
}
