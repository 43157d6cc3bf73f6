//! Owns how long silence may last before it is no longer health, and the budget of automatic rollbacks.
//! Refuses numbers with which a missed alert would stay missed.

use tidegate_rollout::Period;

use super::section::Section;

/// How alert sources are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// How long a seen Watchdog counts.
    pub watchdog_fresh: Period,
    /// How often every peer is polled.
    pub poll_every: Period,
    /// How long a peer may take to answer.
    pub poll_timeout: Period,
}

impl Alerts {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let alerts = Self {
            watchdog_fresh: section.required("watchdog_fresh"),
            poll_every: section.required("poll_every"),
            poll_timeout: section.required("poll_timeout"),
        };
        for (key, period) in [
            ("watchdog_fresh", alerts.watchdog_fresh),
            ("poll_every", alerts.poll_every),
            ("poll_timeout", alerts.poll_timeout),
        ] {
            if period < Period::millis(100) {
                section.fault(key, "must be at least `100ms`");
            }
        }
        if alerts.poll_timeout > alerts.poll_every {
            section.fault("poll_timeout", "must not be longer than `poll_every`");
        }
        if alerts.poll_timeout > Period::seconds(8) {
            section.fault(
                "poll_timeout",
                "must be at most `8s`: a suspect alert is asked about within ten",
            );
        }
        if alerts.poll_every > Period::minutes(1) {
            section.fault("poll_every", "must be at most `1m`: a lost webhook must cost seconds");
        }
        alerts
    }
}

/// How much may be rolled back by itself before a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many automatic rollbacks of one environment …
    pub automatic_rollbacks: u32,
    /// … within this time.
    pub window: Period,
}

impl Budget {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            automatic_rollbacks: section.number("automatic_rollbacks"),
            window: section.required("window"),
        }
    }
}
