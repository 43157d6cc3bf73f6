//! Owns the stories the demo can tell: what each one does to the shop, and how it must end.
//! Refuses to do any of it; the play looks here for its cues.

/// A story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing goes wrong.
    Happy,
    /// The new version begins to fail at half of the traffic.
    ErrorSpike,
    /// The same, in the middle of thousands of alerts about other services.
    AlertStorm,
    /// The same, and the service is killed in the middle of the rollback.
    Crash,
    /// The alert path falls silent at half of the traffic.
    NoData,
}

/// What happens when a phase has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// The new version begins to fail.
    Fault,
    /// The new version begins to fail, and thousands of other alerts will come with the one about it.
    FaultInAStorm,
    /// The alert source falls silent, its Watchdog included.
    Silence,
}

/// How a story ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All traffic is on the new version.
    Completed,
    /// All traffic is on the old version again.
    RolledBack,
    /// Nothing moves until a person looks.
    Held,
    /// Zero could not be written or read back.
    Stuck,
    /// Neither happened in the time the story has.
    TimedOut,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// The phase whose beginning is the cue, from 1. Half of the visitors are on the new version then.
const TURNING_POINT: usize = 2;

impl Scenario {
    /// Every story, in the order of the list.
    pub const ALL: [Self; 5] = [
        Self::Happy,
        Self::ErrorSpike,
        Self::AlertStorm,
        Self::Crash,
        Self::NoData,
    ];

    /// Its name on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Happy => "happy",
            Self::ErrorSpike => "error-spike",
            Self::AlertStorm => "alert-storm",
            Self::Crash => "crash",
            Self::NoData => "no-data",
        }
    }

    /// What it shows, in one line.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Happy => "Nothing goes wrong: three phases and the watch, all by themselves.",
            Self::ErrorSpike => "The new version fails at 50%: an alert arrives, and traffic goes back by itself.",
            Self::AlertStorm => "The same among 2,000 alerts about other services, all within a second.",
            Self::Crash => "The same, and the service is killed in the middle of the rollback, then started again.",
            Self::NoData => "The alert path falls silent at 50%: nothing advances, because silence is not health.",
        }
    }

    /// How it must end.
    pub const fn expected(self) -> Ending {
        match self {
            Self::Happy => Ending::Completed,
            Self::ErrorSpike | Self::AlertStorm | Self::Crash => Ending::RolledBack,
            Self::NoData => Ending::Held,
        }
    }

    /// What to do now that the `number`-th phase, from 1, has begun.
    pub(super) fn cue(self, number: usize) -> Option<Cue> {
        let cue = match self {
            Self::Happy => return None,
            Self::ErrorSpike | Self::Crash => Cue::Fault,
            Self::AlertStorm => Cue::FaultInAStorm,
            Self::NoData => Cue::Silence,
        };
        (number == TURNING_POINT).then_some(cue)
    }

    /// Whether a line of this `kind` in the rollout's log is the end of the story, and which.
    pub(super) fn ending(self, kind: &str) -> Option<Ending> {
        match kind {
            "completed" => Some(Ending::Completed),
            "rolled-back" => Some(Ending::RolledBack),
            "rollback-stuck" => Some(Ending::Stuck),
            "aborted" | "guard-holds" => Some(Ending::Held),
            // A slow machine may be silent for a moment in any story; only here it is the point.
            "no-data" if self == Self::NoData => Some(Ending::Held),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_can_reach_the_end_it_must_reach() {
        let kinds = ["completed", "rolled-back", "no-data"];
        for scenario in Scenario::ALL {
            let reachable = kinds.map(|kind| scenario.ending(kind));
            assert!(reachable.contains(&Some(scenario.expected())), "{}", scenario.word());
        }
    }

    #[test]
    fn silence_ends_only_the_story_about_silence() {
        assert_eq!(Scenario::NoData.ending("no-data"), Some(Ending::Held));
        assert_eq!(Scenario::ErrorSpike.ending("no-data"), None);
        assert_eq!(Scenario::Happy.ending("phase-began"), None);
    }

    #[test]
    fn the_cue_comes_once_and_never_in_the_happy_story() {
        for scenario in Scenario::ALL {
            let cues = (1..=3).filter(|number| scenario.cue(*number).is_some()).count();
            assert_eq!(cues, usize::from(scenario != Scenario::Happy), "{}", scenario.word());
        }
    }
}
