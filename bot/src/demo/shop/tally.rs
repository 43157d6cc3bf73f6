//! Owns what the shop counts, and how Prometheus reads it.
//! Refuses to forget: counters only grow, as Prometheus expects of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::Version;

/// The name of the counter, as rules use it.
pub(in crate::demo) const REQUESTS: &str = "shop_requests_total";

/// Answers of one version, while one rollout steered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Answers {
    /// Answered with 200.
    pub(in crate::demo) good: u64,
    /// Answered with 500.
    pub(in crate::demo) bad: u64,
}

impl Answers {
    pub(in crate::demo) fn total(self) -> u64 {
        self.good + self.bad
    }
}

/// Everything counted so far.
#[derive(Clone, Debug, Default)]
pub(in crate::demo) struct Tally {
    old: Answers,
    /// By the rollout that let the visitor in, as the flag's metadata names it.
    new: BTreeMap<String, Answers>,
    /// Visits for which the flag could not be evaluated, so that the default of the code held.
    unanswered: u64,
    last_on_new: Option<Timestamp>,
}

impl Tally {
    pub(super) fn count(&mut self, version: Version, rollout: &str, failed: bool, at: Timestamp) {
        let answers = match version {
            Version::Old => &mut self.old,
            Version::New => {
                self.last_on_new = self.last_on_new.max(Some(at));
                self.new.entry(rollout.to_owned()).or_default()
            }
        };
        if failed {
            answers.bad += 1;
        } else {
            answers.good += 1;
        }
    }

    pub(super) fn count_unanswered(&mut self) {
        self.unanswered += 1;
    }

    /// What the old version answered.
    pub(in crate::demo) fn old(&self) -> Answers {
        self.old
    }

    /// What the new version answered, over all rollouts.
    pub(in crate::demo) fn new_version(&self) -> Answers {
        let sum = |sum: Answers, answers: &Answers| Answers {
            good: sum.good + answers.good,
            bad: sum.bad + answers.bad,
        };
        self.new.values().fold(Answers::default(), sum)
    }

    /// All visits.
    pub(in crate::demo) fn visits(&self) -> u64 {
        self.old.total() + self.new_version().total()
    }

    /// Visits for which the flag could not be evaluated.
    pub(in crate::demo) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// When a visitor last got the new version.
    pub(in crate::demo) fn last_on_new(&self) -> Option<Timestamp> {
        self.last_on_new
    }

    /// The text format of Prometheus. Both codes of a version are always there, so that a first error is a rise from zero.
    pub(super) fn exposition(&self) -> String {
        let mut text = format!("# HELP {REQUESTS} Visits answered.\n# TYPE {REQUESTS} counter\n");
        let mut rows = vec![(Version::Old, "", self.old)];
        rows.extend(
            self.new
                .iter()
                .map(|(rollout, answers)| (Version::New, rollout.as_str(), *answers)),
        );
        for (version, rollout, answers) in rows {
            for (code, count) in [("200", answers.good), ("500", answers.bad)] {
                // Writing into a string cannot fail. An empty label is an absent one.
                let _ = writeln!(
                    text,
                    "{REQUESTS}{{code=\"{code}\",rollout=\"{}\",version=\"{}\"}} {count}",
                    escaped(rollout),
                    version.number()
                );
            }
        }
        let _ = writeln!(
            text,
            "# HELP shop_flag_failures_total Visits for which the flag could not be evaluated.\n\
             # TYPE shop_flag_failures_total counter\n\
             shop_flag_failures_total {}",
            self.unanswered
        );
        text
    }
}

/// A label value comes from the server that answered the flag, so it is data.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_exposition_is_what_prometheus_reads() {
        let mut tally = Tally::default();
        tally.count(Version::Old, "", false, at(1));
        tally.count(Version::New, "shop-1", false, at(2));
        tally.count(Version::New, "shop-1", true, at(3));
        tally.count_unanswered();
        assert_eq!(
            tally.exposition(),
            "# HELP shop_requests_total Visits answered.\n\
             # TYPE shop_requests_total counter\n\
             shop_requests_total{code=\"200\",rollout=\"\",version=\"1.9.0\"} 1\n\
             shop_requests_total{code=\"500\",rollout=\"\",version=\"1.9.0\"} 0\n\
             shop_requests_total{code=\"200\",rollout=\"shop-1\",version=\"2.0.0\"} 1\n\
             shop_requests_total{code=\"500\",rollout=\"shop-1\",version=\"2.0.0\"} 1\n\
             # HELP shop_flag_failures_total Visits for which the flag could not be evaluated.\n\
             # TYPE shop_flag_failures_total counter\n\
             shop_flag_failures_total 1\n"
        );
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut tally = Tally::default();
        tally.count(Version::New, "a\"} 7\nshop_requests_total{x=\"\\", false, at(1));
        let lines = tally
            .exposition()
            .lines()
            .filter(|line| line.starts_with(REQUESTS))
            .count();
        assert_eq!(lines, 4, "{}", tally.exposition());
    }

    #[test]
    fn the_last_visit_of_the_new_version_is_remembered() {
        let mut tally = Tally::default();
        tally.count(Version::Old, "", false, at(9));
        assert_eq!(tally.last_on_new(), None);
        tally.count(Version::New, "shop-1", false, at(5));
        tally.count(Version::New, "shop-2", true, at(4));
        assert_eq!(tally.last_on_new(), Some(at(5)));
        assert_eq!(tally.new_version(), Answers { good: 1, bad: 1 });
        assert_eq!(tally.visits(), 3);
    }
}
