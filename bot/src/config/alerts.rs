//! Owns how long silence may last before it is no longer health, and the budget of automatic rollbacks.
//! Refuses numbers with which a missed alert would stay missed.

use std::collections::BTreeMap;

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
        let silence = "a dead alert path must show before a phase is over";
        section.within(
            "watchdog_fresh",
            alerts.watchdog_fresh,
            Period::millis(100),
            Period::minutes(60),
            silence,
        );
        for (key, period) in [("poll_every", alerts.poll_every), ("poll_timeout", alerts.poll_timeout)] {
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

/// The budgets of automatic rollbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environments {
    /// That of every environment without one of its own.
    pub budget: Budget,
    /// Environments with a budget of their own, by the name that plans use.
    pub budgets: BTreeMap<String, Budget>,
}

impl Environments {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let budget = section.section("budget", Budget::read);
        let budgets = section.named("budgets", |name, section| {
            (name.to_owned(), Budget::own(section, budget))
        });
        Self {
            budget,
            budgets: budgets.into_iter().collect(),
        }
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
    fn read(section: &mut Section<'_>) -> Self {
        let budget = Self {
            automatic_rollbacks: section.number("automatic_rollbacks"),
            window: section.required("window"),
        };
        budget.check(section);
        budget
    }

    /// The budget of a single environment; what it leaves out is as in `general`.
    fn own(section: &mut Section<'_>, general: Self) -> Self {
        let rollbacks = section.optional_number("automatic_rollbacks");
        let budget = Self {
            automatic_rollbacks: rollbacks.unwrap_or(general.automatic_rollbacks),
            window: section.optional("window").unwrap_or(general.window),
        };
        budget.check(section);
        budget
    }

    fn check(self, section: &Section<'_>) {
        if self.automatic_rollbacks == 0 {
            let shadow = "must be at least 1; a plan that shall not act by itself says `mode: shadow`";
            section.fault("automatic_rollbacks", shadow);
        }
        let counted = "rollbacks of one cause must be counted together";
        section.within(
            "window",
            self.window,
            Period::minutes(1),
            Period::minutes(7 * 24 * 60),
            counted,
        );
    }
}
