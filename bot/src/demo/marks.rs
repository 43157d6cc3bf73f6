//! Owns the moments of a story that are measured against one another, and whether it has shown what it is there to show.
//! Refuses an end alone as a proof: a rollback without a storm is no story about a storm.

use jiff::Timestamp;

use super::DemoError;
use super::scenario::Scenario;

/// What has happened so far.
#[derive(Default)]
pub(super) struct Marks {
    /// All of the storm was posted, and that was said.
    pub(super) storm_told: bool,
    /// Something was logged that the plan pages for.
    pub(super) page_due: bool,
    /// A page came in whose signature is the service's.
    pub(super) paged: bool,
    pub(super) told_at: Option<Timestamp>,
    pub(super) rolling_back_at: Option<Timestamp>,
    pub(super) killed_at: Option<Timestamp>,
    pub(super) restarted_at: Option<Timestamp>,
    pub(super) rolled_back_at: Option<Timestamp>,
}

impl Marks {
    /// Whether lines of this kind go to whoever hears pages.
    pub(super) fn pages(kind: &str) -> bool {
        matches!(kind, "rolled-back" | "rollback-stuck" | "guard-holds" | "no-data")
    }

    /// Whether nothing is missing any more that may come after the end of `scenario`.
    pub(super) fn are_whole(&self, scenario: Scenario) -> bool {
        (self.storm_told || scenario != Scenario::AlertStorm) && (self.paged || !self.page_due)
    }

    /// Whether everything was shown that `scenario` is about.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn judge(&self, scenario: Scenario) -> Result<(), DemoError> {
        if scenario == Scenario::AlertStorm && !self.storm_told {
            return Err(DemoError::NoStorm);
        }
        if scenario == Scenario::Crash && !self.was_killed_in_the_middle() {
            return Err(DemoError::NotKilled);
        }
        if self.page_due && !self.paged {
            return Err(DemoError::NotPaged);
        }
        Ok(())
    }

    fn was_killed_in_the_middle(&self) -> bool {
        let Self {
            rolling_back_at,
            killed_at,
            rolled_back_at,
            ..
        } = self;
        rolling_back_at.is_some() && rolling_back_at <= killed_at && killed_at <= rolled_back_at && killed_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    /// Everything that any story may have to show.
    fn whole() -> Marks {
        Marks {
            storm_told: true,
            page_due: true,
            paged: true,
            told_at: at(1),
            rolling_back_at: at(2),
            killed_at: at(3),
            restarted_at: at(4),
            rolled_back_at: at(5),
        }
    }

    #[test]
    fn a_story_that_shows_everything_passes() {
        for scenario in Scenario::ALL {
            assert!(whole().are_whole(scenario), "{}", scenario.word());
            assert!(whole().judge(scenario).is_ok(), "{}", scenario.word());
        }
    }

    #[test]
    fn a_storm_that_was_never_told_fails_its_story_and_no_other() {
        for scenario in Scenario::ALL {
            let marks = Marks {
                storm_told: false,
                ..whole()
            };
            let missed = matches!(marks.judge(scenario), Err(DemoError::NoStorm));
            assert_eq!(missed, scenario == Scenario::AlertStorm, "{}", scenario.word());
            assert_eq!(marks.are_whole(scenario), !missed, "it is waited for");
        }
    }

    #[test]
    fn a_death_before_or_after_the_rollback_is_not_in_the_middle_of_it() {
        for killed_at in [None, at(1), at(6)] {
            let marks = Marks { killed_at, ..whole() };
            let judged = marks.judge(Scenario::Crash);
            assert!(matches!(judged, Err(DemoError::NotKilled)), "{killed_at:?}");
        }
    }

    #[test]
    fn a_page_that_is_due_and_does_not_come_fails_every_story() {
        for scenario in Scenario::ALL {
            for page_due in [true, false] {
                let marks = Marks {
                    page_due,
                    paged: false,
                    ..whole()
                };
                let missed = matches!(marks.judge(scenario), Err(DemoError::NotPaged));
                assert_eq!(missed, page_due, "{}", scenario.word());
                assert_eq!(marks.are_whole(scenario), !missed, "it is waited for");
            }
        }
        assert!(Marks::pages("rolled-back") && Marks::pages("no-data") && !Marks::pages("aborted"));
    }
}
