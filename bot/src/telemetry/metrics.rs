//! Owns the names of the series that Tidegate exports, with what each means.
//! Refuses names in other places: a test scrapes a server after a whole rollout and compares what it finds with this list.

use std::fmt::Write as _;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// What a series does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A count of durations, by how long they were.
    Seconds,
}

/// One series.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it means, with its labels.
    pub help: &'static str,
}

/// Declares the names, and their list.
macro_rules! series {
    ($($name:ident = $kind:ident $text:literal $help:literal;)+) => {
        $(#[doc = $help] pub const $name: &str = $text;)+

        /// Every series.
        pub const EVERY: &[Series] = &[$(Series { name: $text, kind: Kind::$kind, help: $help }),+];
    };
}

series! {
    BUILD_INFO = Gauge "tidegate_build_info" "1, with the version that runs.";
    ROLLOUT_INFO = Gauge "tidegate_rollout_info"
        "1 for each rollout that is under way or was lately, with rollout, service, environment, plan, version.";
    ROLLOUT_STATE = Gauge "tidegate_rollout_state" "1 for the state that a rollout is in, by rollout and state.";
    PHASE_WEIGHT = Gauge "tidegate_phase_weight_ratio"
        "Share of traffic on the new version, by rollout and kind: declared, or observed by this replica.";
    ROLLBACKS = Counter "tidegate_rollbacks_total"
        "Rollbacks decided here, by source (alert, guard, human) and reason (the trigger of the plan, or one word).";
    ROLLBACK_DURATION = Seconds "tidegate_rollback_duration_seconds"
        "From the decision to roll back until zero was read back.";
    ALERT_TO_ROLLBACK = Seconds "tidegate_alert_to_rollback_seconds"
        "From the start of an alert, as its source says it, until zero was read back.";
    WEBHOOK_EVENTS = Counter "tidegate_webhook_events_total" "Deliveries to the webhook routes, by source and result.";
    WEBHOOK_REFUSED = Counter "tidegate_webhook_refused_total"
        "Requests to the door of a configured receiver that were refused for their sender's fault, by source, receiver and code.";
    ALERTS = Counter "tidegate_alerts_total" "Alerts heard, by source and whether a rollout matched.";
    NOTIFICATIONS = Counter "tidegate_notifications_total" "Attempts to say something, by channel and result.";
    DEAD_LETTERS = Gauge "tidegate_dead_letters" "Messages that nobody will try to say any more.";
    OUTBOX_OLDEST = Gauge "tidegate_outbox_oldest_seconds"
        "Age of the oldest thing that was decided and is not done, by kind: action or message. 0: nothing waits.";
    UNREADABLE_ROWS = Counter "tidegate_unreadable_rows_total" "Stored rows that could not be read.";
    COMMANDS = Counter "tidegate_commands_total" "Commands of people, by surface, command and result.";
    COMMITMENTS_MISSED = Counter "tidegate_commitments_missed_total"
        "Words of a rollout that people were promised and did not have in time.";
    WATCHDOG_LAST_SEEN = Gauge "tidegate_watchdog_last_seen_timestamp_seconds"
        "When the Watchdog alert was last seen, by receiver.";
    DECIDER_TICK = Gauge "tidegate_decider_last_tick_timestamp_seconds" "When time was last looked at.";
    CONFIG_RELOAD_GOOD = Gauge "tidegate_config_last_reload_successful"
        "Whether the last attempt to load the configuration succeeded.";
    CONFIG_RELOAD_AT = Gauge "tidegate_config_last_reload_success_timestamp_seconds"
        "When the configuration was last loaded.";
    HTTP_REQUESTS = Counter "tidegate_http_requests_total" "Requests, by route, method and status.";
    HTTP_DURATION = Seconds "tidegate_http_request_duration_seconds"
        "How long a request took until its answer began, by route and method.";
    PANICS = Counter "tidegate_panics_total" "Handlers that broke and were caught.";
}

/// Says what every series means, for the `HELP` lines, and begins those that may stay at nothing.
pub(super) fn describe() {
    for series in EVERY {
        match series.kind {
            Kind::Counter => describe_counter!(series.name, series.help),
            Kind::Gauge => describe_gauge!(series.name, series.help),
            Kind::Seconds => describe_histogram!(series.name, Unit::Seconds, series.help),
        }
    }
    // A rule on how much it grew must see the first one, too.
    for never in [PANICS, UNREADABLE_ROWS, COMMITMENTS_MISSED] {
        metrics::counter!(never).absolute(0);
    }
}

/// A gauge as it stands at the moment of a scrape. What is counted over time is recorded where it happens; what simply is
/// would otherwise go on being exported after it has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The series.
    pub name: &'static str,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

impl Standing {
    /// A value of `name`.
    pub fn new<const N: usize>(name: &'static str, labels: [(&'static str, &str); N], value: f64) -> Self {
        Self {
            name,
            labels: labels.map(|(name, value)| (name, value.to_owned())).into(),
            value,
        }
    }
}

/// The values in the text form of Prometheus, each series under one heading.
pub fn text(all: &[Standing]) -> String {
    let mut text = String::new();
    for series in EVERY {
        let mut values = all.iter().filter(|standing| standing.name == series.name).peekable();
        if values.peek().is_some() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} gauge", series.name, series.help);
        }
        for standing in values {
            let labels: Vec<String> = standing
                .labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let _ = writeln!(text, "{}{{{}}} {}", series.name, labels.join(","), standing.value);
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_line() {
        let hostile = "v1\"} 7\nx\\";
        let standing = [
            Standing::new(ROLLOUT_INFO, [("version", hostile)], 1.0),
            Standing::new(ROLLOUT_INFO, [("version", "v2")], 1.0),
            Standing::new(OUTBOX_OLDEST, [], 0.25),
        ];
        let lines: Vec<String> = text(&standing)
            .lines()
            .filter(|line| !line.starts_with("# HELP"))
            .map(str::to_owned)
            .collect();
        assert_eq!(
            lines,
            [
                "# TYPE tidegate_rollout_info gauge",
                r#"tidegate_rollout_info{version="v1\"} 7\nx\\"} 1"#,
                r#"tidegate_rollout_info{version="v2"} 1"#,
                "# TYPE tidegate_outbox_oldest_seconds gauge",
                "tidegate_outbox_oldest_seconds{} 0.25",
            ]
        );
    }

    #[test]
    fn every_name_is_there_once_and_says_its_unit() {
        for series in EVERY {
            let same = EVERY.iter().filter(|other| other.name == series.name);
            assert_eq!(same.count(), 1, "{}", series.name);
            assert_eq!(
                series.kind == Kind::Counter,
                series.name.ends_with("_total"),
                "{}",
                series.name
            );
        }
    }
}
