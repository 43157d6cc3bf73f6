//! Owns commitments as people write them: who is told, by which clock, in which time zone.
//! Refuses to keep them: how they stand is [`crate::commitment`], and what time does to them is decided in [`crate::step`].

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::period::Period;

/// Zones come with the program: two machines never disagree about them.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// What an audience can rely on. Exactly one of `afterIncident`, `every` and `daily` says when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Commitment {
    /// Names of `spec.audiences`; each of them must be reached.
    #[schemars(length(min = 1))]
    pub to: Vec<String>,
    /// The first word comes within this time of an incident: a rollback, a question, a hold by a guard, a target that
    /// cannot be moved, or health that is not known. The page about it is that word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub after_incident: Option<Period>,
    /// An update comes this often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub every: Option<Period>,
    /// While what `every` counts; left out: `rollout`.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "During")]
    pub during: Option<During>,
    /// A report comes each day at this time of `timezone`. A time that a day skips is the same moment later; of one that
    /// comes twice, the first counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TimeOfDay")]
    pub daily: Option<TimeOfDay>,
}

/// A stretch of a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum During {
    /// From the start to the end.
    #[default]
    Rollout,
    /// From the first traffic until the last phase is through, or all traffic is back.
    Cutover,
    /// From an incident until it is over.
    Incident,
}

/// The one clock that a commitment runs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The first word within so long of an incident.
    AfterIncident(Period),
    /// An update every so often, during this stretch.
    Every(Period, During),
    /// A report each day at this time.
    Daily(TimeOfDay),
}

impl Commitment {
    /// Its clock; nothing where the plan gives it none, or several. The linter refuses those.
    pub fn clock(&self) -> Option<Clock> {
        match (self.after_incident, self.every, self.daily) {
            (Some(within), None, None) => Some(Clock::AfterIncident(within)),
            (None, Some(every), None) => Some(Clock::Every(every, self.during.unwrap_or_default())),
            (None, None, Some(time)) => Some(Clock::Daily(time)),
            _ => None,
        }
    }
}

impl fmt::Display for Clock {
    /// As people say it: "an update every 1h while in cutover".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterIncident(within) => write!(f, "the first word within {within} of an incident"),
            Self::Every(every, During::Rollout) => write!(f, "an update every {every}"),
            Self::Every(every, During::Cutover) => write!(f, "an update every {every} while in cutover"),
            Self::Every(every, During::Incident) => write!(f, "an update every {every} during an incident"),
            Self::Daily(time) => write!(f, "a report each day at {time}"),
        }
    }
}

impl Plan {
    /// The zone in which people are told times. The linter refuses a plan whose zone is not known.
    pub fn zone(&self) -> TimeZone {
        zone_named(&self.spec.timezone).unwrap_or(TimeZone::UTC)
    }
}

/// The zone called `name`.
pub fn zone_named(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok()
}

/// The names of all zones.
pub(super) fn zone_names() -> Vec<String> {
    ZONES.available().map(|name| name.as_str().to_owned()).collect()
}

/// A time of day on a wall clock, to the minute: `17:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(Time);

impl TimeOfDay {
    /// The first moment after `from` at which a clock in `zone` says so; one for each day there.
    pub fn next_after(self, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let on = |date: Date| zone.to_timestamp(date.to_datetime(self.0)).ok();
        let mut date = from.to_zoned(zone.clone()).date();
        // The second day is later for sure, but for a day that a zone left out.
        for _ in 0..3 {
            if let Some(due) = on(date).filter(|due| *due > from) {
                return Some(due);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

/// Why a text is not a time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day: write `17:00`, from `00:00` to `23:59`")]
pub struct NotATimeOfDay(String);

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, NotATimeOfDay> {
        let refuse = || NotATimeOfDay(text.chars().take(40).collect());
        let two =
            |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok());
        let (hour, minute) = text.split_once(':').ok_or_else(refuse)?;
        match (two(hour).flatten(), two(minute).flatten()) {
            (Some(hour), Some(minute)) => Time::new(hour, minute, 0, 0).map(Self).map_err(|_| refuse()),
            _ => Err(refuse()),
        }
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^([01]\d|2[0-3]):[0-5]\d$",
            "description": "A time of day, for example \"17:00\"."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(time: &str, zone: &str, from: &str) -> String {
        let zone = zone_named(zone).expect("a zone");
        let (time, from): (TimeOfDay, Timestamp) = (time.parse().expect("a time"), from.parse().expect("a moment"));
        time.next_after(from, &zone).expect("a moment").to_string()
    }

    #[test]
    fn a_time_of_day_is_written_one_way() {
        for good in ["00:00", "09:05", "17:00", "23:59"] {
            assert_eq!(good.parse::<TimeOfDay>().expect(good).to_string(), good);
        }
        for bad in [
            "",
            "9:00",
            "24:00",
            "17:60",
            "17",
            "17:00:00",
            "5pm",
            "+1:00",
            "17:0",
            " 17:00",
            "١٧:٠٠",
        ] {
            assert!(bad.parse::<TimeOfDay>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_next_time_is_today_or_tomorrow_on_the_clock_of_the_zone() {
        assert_eq!(after("17:00", "UTC", "2026-01-05T08:00:00Z"), "2026-01-05T17:00:00Z");
        assert_eq!(after("17:00", "UTC", "2026-01-05T17:00:00Z"), "2026-01-06T17:00:00Z");
        assert_eq!(
            after("17:00", "America/Los_Angeles", "2026-01-05T08:00:00Z"),
            "2026-01-06T01:00:00Z"
        );
        assert_eq!(
            after("09:00", "Asia/Kolkata", "2026-01-05T04:00:00Z"),
            "2026-01-06T03:30:00Z"
        );
    }

    #[test]
    fn a_day_of_twenty_three_or_twenty_five_hours_has_one_of_each_time() {
        let berlin = "Europe/Berlin";
        // 29 March 2026 goes from 02:00 to 03:00, 25 October from 03:00 back to 02:00.
        assert_eq!(after("17:00", berlin, "2026-03-28T16:00:00Z"), "2026-03-29T15:00:00Z");
        assert_eq!(after("17:00", berlin, "2026-10-24T15:00:00Z"), "2026-10-25T16:00:00Z");
        assert_eq!(
            after("02:30", berlin, "2026-03-28T12:00:00Z"),
            "2026-03-29T01:30:00Z",
            "skipped: 03:30"
        );
        assert_eq!(after("02:30", berlin, "2026-03-29T01:30:00Z"), "2026-03-30T00:30:00Z");
        assert_eq!(
            after("02:30", berlin, "2026-10-24T12:00:00Z"),
            "2026-10-25T00:30:00Z",
            "the first of two"
        );
        assert_eq!(
            after("02:30", berlin, "2026-10-25T00:30:00Z"),
            "2026-10-26T01:30:00Z",
            "and not the second"
        );
    }

    #[test]
    fn a_day_that_a_zone_left_out_is_passed_over() {
        // There was no 30 December 2011 in Samoa.
        assert_eq!(
            after("17:00", "Pacific/Apia", "2011-12-30T03:00:00Z"),
            "2011-12-31T03:00:00Z"
        );
        assert_eq!(
            after("17:00", "Pacific/Apia", "2011-12-31T03:00:00Z"),
            "2012-01-01T03:00:00Z"
        );
    }

    #[test]
    fn zones_come_with_the_program() {
        assert!(zone_named("Europe/Berlin").is_some() && zone_named("UTC").is_some());
        assert!(zone_named("Europe/Belin").is_none() && zone_named("").is_none() && zone_named("../etc").is_none());
        assert!(zone_names().iter().any(|name| name == "Europe/Berlin"));
    }
}
