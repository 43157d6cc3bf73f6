//! Owns the one rule of the demo: the share of failed visits to the new version, over a few seconds, for a second.
//! Refuses to look anywhere: it is given what was scraped and the time, and says what fires, as Prometheus would.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

/// Counters reach back so far.
pub(in crate::demo) const WINDOW: SignedDuration = SignedDuration::from_secs(3);
/// From this share of failed visits on, in thousandths.
pub(in crate::demo) const TOO_MANY: u64 = 50;
/// For so long before it fires.
pub(in crate::demo) const FOR: SignedDuration = SignedDuration::from_secs(1);

/// Counters of the new version at one moment, by the rollout that let the visitors in.
pub(super) type Scrape = BTreeMap<String, Counters>;

/// The counters of one series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Visits that failed.
    pub(super) bad: u64,
    /// All visits.
    pub(super) total: u64,
}

/// Something that fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Firing {
    /// The rollout whose visitors it is about.
    pub(super) rollout: String,
    /// Since when.
    pub(super) since: Timestamp,
    /// The share of failed visits now, in thousandths.
    pub(super) share: u64,
}

/// The rule with what it remembers.
#[derive(Debug, Default)]
pub(super) struct Rule {
    scrapes: VecDeque<(Timestamp, Scrape)>,
    states: BTreeMap<String, State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Pending { since: Timestamp },
    Firing { since: Timestamp },
}

impl Rule {
    /// Takes in a scrape and says what fires now.
    pub(super) fn evaluate(&mut self, now: Timestamp, scrape: Scrape) -> Vec<Firing> {
        self.scrapes.push_back((now, scrape));
        while self
            .scrapes
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.scrapes.pop_front();
        }
        let shares = self.shares();
        self.states
            .retain(|rollout, _| shares.get(rollout).is_some_and(|share| *share > TOO_MANY));
        let mut firing = Vec::new();
        for (rollout, share) in shares {
            if share <= TOO_MANY {
                continue;
            }
            let state = self
                .states
                .entry(rollout.clone())
                .or_insert(State::Pending { since: now });
            if let State::Pending { since } = *state
                && now.duration_since(since) >= FOR
            {
                *state = State::Firing { since: now };
            }
            if let State::Firing { since } = *state {
                firing.push(Firing { rollout, since, share });
            }
        }
        firing
    }

    /// The share of failed visits between the oldest and the newest scrape of the window, in thousandths. Without visits
    /// there is no share, and so nothing fires: a version without traffic has no error rate.
    fn shares(&self) -> BTreeMap<String, u64> {
        let Some((_, newest)) = self.scrapes.back() else {
            return BTreeMap::new();
        };
        let share = |(rollout, now): (&String, &Counters)| {
            // A series that has just appeared is its own oldest sample: nothing rose, so there is no share yet.
            let before = self.scrapes.iter().find_map(|(_, scrape)| scrape.get(rollout))?;
            let bad = now.bad.saturating_sub(before.bad);
            let total = now.total.saturating_sub(before.total);
            let share = bad.saturating_mul(1_000).checked_div(total)?;
            Some((rollout.clone(), share))
        };
        newest.iter().filter_map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn scrape(bad: u64, total: u64) -> Scrape {
        BTreeMap::from([("shop-1".to_owned(), Counters { bad, total })])
    }

    #[test]
    fn a_share_that_is_too_high_fires_after_its_second_and_not_before() {
        let mut rule = Rule::default();
        assert_eq!(rule.evaluate(second(0), scrape(0, 100)), []);
        assert_eq!(rule.evaluate(second(1), scrape(15, 150)), [], "pending");
        let firing = rule.evaluate(second(2), scrape(30, 200));
        assert_eq!(
            firing,
            [Firing {
                rollout: "shop-1".to_owned(),
                since: second(2),
                share: 300
            }]
        );
        let later = rule.evaluate(second(3), scrape(45, 250));
        assert_eq!(later[0].since, second(2), "it is the same occasion");
    }

    #[test]
    fn a_share_at_the_limit_is_not_above_it() {
        let mut rule = Rule::default();
        for n in 0..5 {
            let count = u64::try_from(n).unwrap();
            assert_eq!(rule.evaluate(second(n), scrape(count, 20 * count)), []);
        }
    }

    #[test]
    fn one_bad_evaluation_alone_does_not_fire() {
        let mut rule = Rule::default();
        rule.evaluate(second(0), scrape(0, 100));
        assert_eq!(rule.evaluate(second(1), scrape(10, 150)), []);
        // Nobody comes any more; within the window the share stays, beyond it there is none.
        assert_eq!(rule.evaluate(second(5), scrape(10, 150)), []);
        assert_eq!(rule.evaluate(second(6), scrape(10, 150)), []);
    }

    #[test]
    fn it_ends_when_nobody_comes_to_the_new_version_any_more_and_begins_anew_for_the_next_rollout() {
        let mut rule = Rule::default();
        rule.evaluate(second(0), scrape(0, 100));
        rule.evaluate(second(1), scrape(15, 150));
        assert_eq!(rule.evaluate(second(2), scrape(30, 200)).len(), 1);
        let ended = (3..8)
            .map(|n| rule.evaluate(second(n), scrape(30, 200)))
            .next_back()
            .unwrap();
        assert_eq!(ended, []);
        let mut both = scrape(30, 200);
        both.insert("shop-2".to_owned(), Counters { bad: 0, total: 10 });
        rule.evaluate(second(8), both.clone());
        both.insert("shop-2".to_owned(), Counters { bad: 9, total: 40 });
        assert_eq!(rule.evaluate(second(9), both.clone()), [], "pending again");
        both.insert("shop-2".to_owned(), Counters { bad: 18, total: 70 });
        let firing = rule.evaluate(second(10), both);
        assert_eq!((firing[0].rollout.as_str(), firing[0].since), ("shop-2", second(10)));
    }
}
