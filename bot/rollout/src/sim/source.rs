//! Owns the model of Prometheus and a pair of Alertmanagers: what really fires, and what is told of it.
//! Refuses to be reliable: webhooks repeat, come late, in any order, or never; only the truth is the truth.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::alert::{Alert, AlertKey, AlertStatus, Fingerprint, Source as Sender, Suppression};
use crate::matcher::Op;
use crate::plan::{Plan, Trigger};

use super::Setup;
use super::faults::Fault;
use super::random::Random;
use super::store::Content;
use super::world::{Task, World};

/// How often the Watchdog is sent, and how often a replica polls, in milliseconds.
pub(super) const EVERY: u64 = 4_000;

/// How long the source is cut off from what watches the service, in milliseconds.
const CUT_OFF: u64 = 3_500;

/// The one receiver, and how many peers are behind it.
pub(super) const RECEIVER: &str = "default";
pub(super) const PEERS: usize = 2;

/// One firing of one alert, as it really was.
#[derive(Clone, Debug)]
pub(super) struct Occasion {
    pub(super) alert: Alert,
    pub(super) begins: u64,
    pub(super) ends: u64,
    /// The index of the plan whose service it is about.
    pub(super) plan: usize,
    pub(super) old_version: bool,
    /// From when to when somebody silences it.
    pub(super) silenced: Option<(u64, u64)>,
    /// Whether the same alert fires on other services too.
    wide: bool,
    /// When the source says "resolved" although it goes on.
    false_end: Option<Lie>,
}

/// The source says "resolved" although it goes on.
#[derive(Clone, Copy, Debug)]
struct Lie {
    /// From when to when it believes so.
    from: u64,
    to: u64,
    /// Whether only the first peer does; the second lists the alert all along.
    one_peer: bool,
}

/// The truth about every alert, and about the path on which it is told.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) occasions: Vec<Occasion>,
    /// When the Watchdog does not fire.
    dead: Option<(u64, u64)>,
    /// When the source cannot be read.
    unreadable: Option<(u64, u64)>,
    /// When the Watchdog last reached somebody.
    pub(super) watchdog_heard: Option<u64>,
}

impl Source {
    /// Imagines what will happen in a history.
    pub(super) fn imagine(setup: &Setup, random: &mut Random) -> Self {
        let mut occasions = Vec::new();
        for _ in 0..random.below(5) {
            imagine_some(setup, random, &mut occasions);
        }
        let interval = |random: &mut Random| {
            let from = random.between(10_000, setup.calm_from - 10_000);
            Some((from, from + random.between(10_000, 60_000)))
        };
        let dies = setup.faults.has(Fault::WatchdogStops) && random.chance(25);
        let dead = if dies { interval(random) } else { None };
        let hides = setup.faults.has(Fault::PollUnreadable) && random.chance(30);
        let unreadable = if hides {
            hides_with_a_lie(random, &occasions).or_else(|| interval(random))
        } else {
            None
        };
        let ends_with_the_storm = |(from, to): (u64, u64)| (from, to.min(setup.calm_from));
        Self {
            occasions,
            dead: dead.map(ends_with_the_storm),
            unreadable: unreadable.map(ends_with_the_storm),
            watchdog_heard: None,
        }
    }

    /// For how long already polls get no answer.
    pub(super) fn unreadable_for(&self, now: u64) -> u64 {
        let hidden = self.unreadable.filter(|_| self.unreadable(now));
        hidden.map_or(0, |(from, _)| now - from)
    }

    /// Whether the Watchdog does not fire.
    pub(super) fn is_dead(&self, now: u64) -> bool {
        within(self.dead, now)
    }

    /// Whether a poll gets no answer.
    pub(super) fn unreadable(&self, now: u64) -> bool {
        within(self.unreadable, now)
    }

    /// Whether any peer lists this very firing as active.
    pub(super) fn lists(&self, key: &AlertKey, now: u64) -> bool {
        let listed = |occasion: &Occasion| (0..PEERS).any(|peer| occasion.is_listed(peer, now));
        self.occasions
            .iter()
            .any(|occasion| occasion.alert.key() == *key && listed(occasion) && !occasion.is_silenced(now))
    }

    /// Everything a peer lists now.
    pub(super) fn listed(&self, peer: usize, now: u64) -> Vec<Alert> {
        let active = self.occasions.iter().filter(|occasion| occasion.is_listed(peer, now));
        let as_told = |occasion: &Occasion| Alert {
            suppressed: occasion.is_silenced(now).then(|| Suppression::Silenced {
                by: vec!["s-1".to_owned()],
            }),
            ..occasion.alert.clone()
        };
        active.map(as_told).collect()
    }
}

impl Occasion {
    pub(super) fn active(&self, now: u64) -> bool {
        within(Some((self.begins, self.ends)), now)
    }

    /// Whether a peer lists it: not while the peer itself was cut off and took it for ended.
    fn is_listed(&self, peer: usize, now: u64) -> bool {
        let lie = self.false_end.filter(|lie| peer == 0 || !lie.one_peer);
        self.active(now) && !within(lie.map(|lie| (lie.from, lie.to)), now)
    }

    /// Whether one and the same peer has listed it, and nobody silenced it, from `since` until `now`.
    pub(super) fn listed_throughout(&self, since: u64, now: u64) -> bool {
        let lie = self.false_end.filter(|lie| !lie.one_peer);
        let told_otherwise = lie.is_some_and(|lie| lie.from <= now && since < lie.to);
        self.begins <= since && self.active(now) && self.silenced.is_none() && !told_otherwise
    }

    /// Whether the source has said that it ended, although it goes on.
    pub(super) fn was_taken_back(&self, now: u64) -> bool {
        self.false_end.is_some_and(|lie| lie.from <= now)
    }

    pub(super) fn is_silenced(&self, now: u64) -> bool {
        within(self.silenced, now)
    }
}

fn within(interval: Option<(u64, u64)>, now: u64) -> bool {
    interval.is_some_and(|(from, to)| (from..to).contains(&now))
}

fn imagine_some(setup: &Setup, random: &mut Random, occasions: &mut Vec<Occasion>) {
    let plan = random.index(setup.plans.len());
    let Some(trigger) = setup.plans[plan].spec.triggers.get(random.index(3)).cloned() else {
        return;
    };
    // Some begin before any rollout does.
    let begins = if random.chance(20) {
        random.below(4_000)
    } else {
        random.between(5_000, setup.calm_from)
    };
    let wide = setup.faults.has(Fault::WideAlert) && random.chance(25);
    let old = setup.faults.has(Fault::OldVersionFails) && random.chance(10);
    let plans: Vec<usize> = match setup.plans.len() {
        // Two services that fail together are no mass failure yet: both roll back, and share what the budget leaves.
        count if wide && count > 2 && random.chance(50) => vec![plan, (plan + 1) % count],
        count if wide => (0..count).collect(),
        _ => vec![plan],
    };
    for plan in plans {
        let draft = Draft {
            plan,
            trigger: &trigger,
            // One cause is seen by all its services at nearly the same moment.
            begins: begins + random.below(if wide { 100 } else { 3_000 }),
            version: old.then_some("1.0.0"),
            wide: wide && setup.plans.len() > 1,
        };
        imagine_one(setup, random, occasions, draft);
    }
    if old {
        let draft = Draft {
            plan,
            trigger: &trigger,
            begins: begins + random.between(1_500, 4_500),
            version: Some("2.0.0"),
            wide: false,
        };
        imagine_one(setup, random, occasions, draft);
    }
}

/// What an alert will be about.
struct Draft<'a> {
    plan: usize,
    trigger: &'a Trigger,
    begins: u64,
    version: Option<&'a str>,
    wide: bool,
}

fn imagine_one(setup: &Setup, random: &mut Random, occasions: &mut Vec<Occasion>, draft: Draft<'_>) {
    let Draft { plan, version, .. } = draft;
    let Some(alert) = alert(&setup.plans[plan], draft.trigger, version) else {
        return;
    };
    let mut begins = draft.begins;
    for _ in 0..=random.below(3) / 2 {
        // Firings of one label set do not overlap.
        let taken = |other: &&Occasion| other.alert.fingerprint == alert.fingerprint;
        let free_from = occasions.iter().filter(taken).map(|other| other.ends + 1_000).max();
        begins = begins.max(free_from.unwrap_or_default());
        if begins > setup.calm_from {
            return;
        }
        let ends = if random.chance(30) {
            u64::MAX / 4
        } else {
            begins + random.between(2_000, 70_000)
        };
        let middle = random.between(begins, ends.min(setup.calm_from));
        let silence = setup.faults.has(Fault::Silence) && random.chance(15);
        let false_end = imagine_a_lie(setup, random, begins, ends);
        occasions.push(Occasion {
            alert: Alert {
                starts_at: World::right(begins),
                ..alert.clone()
            },
            begins,
            ends,
            plan,
            old_version: version == Some("1.0.0"),
            wide: draft.wide,
            silenced: silence.then_some((middle, middle + 20_000)),
            false_end,
        });
        begins = ends + random.between(1_000, 20_000);
        if begins > setup.calm_from {
            return;
        }
    }
}

/// What cuts the source off from the service mostly cuts it off from us as well: it cannot be read from the moment on at
/// which it finds out that an alert goes on.
fn hides_with_a_lie(random: &mut Random, occasions: &[Occasion]) -> Option<(u64, u64)> {
    let mut lies = occasions.iter().rev().filter_map(|occasion| occasion.false_end);
    let lie = lies.find(|lie| !lie.one_peer).filter(|_| random.chance(70))?;
    let from = lie.to.saturating_sub(random.between(0, 400));
    Some((from, from + random.between(10_000, 60_000)))
}

fn imagine_a_lie(setup: &Setup, random: &mut Random, begins: u64, ends: u64) -> Option<Lie> {
    let lie = |one_peer, lasting: u64| Lie {
        from: begins + 4_000,
        to: (begins + 4_000 + lasting).min(ends),
        one_peer,
    };
    let (both, one) = (random.chance(20), random.chance(20));
    let lasting = random.between(CUT_OFF, 30_000);
    if ends - begins <= 8_000 {
        None
    } else if both && setup.faults.has(Fault::FalseResolve) {
        Some(lie(false, CUT_OFF))
    } else if one && setup.faults.has(Fault::PeerBlind) {
        Some(lie(true, lasting))
    } else {
        None
    }
}

/// An alert that pulls a trigger; `None` for triggers whose matchers cannot be fulfilled by naming values.
fn alert(plan: &Plan, trigger: &Trigger, version: Option<&str>) -> Option<Alert> {
    let spec = &plan.spec;
    let mut labels: BTreeMap<String, String> = [
        ("service".to_owned(), spec.service.clone()),
        ("environment".to_owned(), spec.environment.clone()),
    ]
    .into();
    for matcher in &trigger.alert.matchers {
        if matcher.op() == Op::Equal {
            labels.insert(matcher.name().to_owned(), matcher.value().to_owned());
        }
    }
    labels.extend(version.map(|version| ("version".to_owned(), version.to_owned())));
    let pulls = trigger.alert.matchers.iter().all(|matcher| matcher.matches(&labels));
    let text: Vec<String> = labels.values().cloned().collect();
    pulls.then(|| Alert {
        source: Sender::Alertmanager,
        receiver: RECEIVER.to_owned(),
        fingerprint: Fingerprint(text.join("/")),
        status: AlertStatus::Firing,
        labels,
        annotations: BTreeMap::new(),
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        suppressed: None,
    })
}

impl World<'_> {
    /// Puts every webhook of the history on its way.
    pub(super) fn schedule_source(&mut self) {
        self.later(200, Task::Watchdog);
        for index in 0..self.source.occasions.len() {
            let occasion = self.source.occasions[index].clone();
            self.schedule_occasion(&occasion);
        }
    }

    fn schedule_occasion(&mut self, occasion: &Occasion) {
        let firing = &occasion.alert;
        let end = |at: u64| Alert {
            status: AlertStatus::Resolved,
            ends_at: Some(World::right(at)),
            ..firing.clone()
        };
        self.tell(|_| format!("truth: {} {:?}", firing.name(), occasion));
        // Both peers may tell; the first mostly does.
        // One webhook tells of all the services of a group.
        let delay = if occasion.wide {
            700
        } else {
            self.random.between(200, 3_000)
        };
        self.put_on_its_way(occasion, firing, occasion.begins + delay);
        if let Some(lie) = occasion.false_end {
            let fault = if lie.one_peer {
                Fault::PeerBlind
            } else {
                Fault::FalseResolve
            };
            self.fired.add(fault);
            self.put_on_its_way(occasion, &end(lie.from), lie.from + 500);
            self.put_on_its_way(occasion, firing, lie.to + 500);
        }
        if occasion.ends < self.setup.calm_from {
            let ended = occasion.ends + self.random.between(200, 2_000);
            if self.setup.faults.has(Fault::ResolvedLost) && self.random.chance(20) {
                self.fired.add(Fault::ResolvedLost);
            } else {
                self.put_on_its_way(occasion, &end(occasion.ends), ended);
            }
            if self.setup.faults.has(Fault::LateFiring) && self.random.chance(25) {
                self.fired.add(Fault::LateFiring);
                let late = self.random.between(500, 9_000);
                self.put_on_its_way(occasion, firing, ended + late);
                self.put_on_its_way(occasion, &end(occasion.ends), ended + late + 5_000);
            }
        }
        let special = [
            (occasion.silenced.is_some(), Fault::Silence),
            (occasion.wide, Fault::WideAlert),
            (occasion.old_version, Fault::OldVersionFails),
        ];
        for (_, fault) in special.iter().filter(|(is_so, _)| *is_so) {
            self.fired.add(*fault);
        }
    }

    /// Sends a webhook at a moment, unless it is silenced then; what can go wrong on the way goes wrong here.
    fn put_on_its_way(&mut self, occasion: &Occasion, alert: &Alert, at: u64) {
        if occasion.is_silenced(at) || self.strikes(Fault::Drop, 12) {
            return;
        }
        let mut at = at;
        if self.strikes(Fault::Delay, 15) {
            at += self.random.between(2_000, 20_000);
        }
        self.later(at, Task::Webhook(Box::new(alert.clone())));
        if self.strikes(Fault::Duplicate, 25) {
            for _ in 0..self.random.between(1, 3) {
                let after = self.random.between(10, 9_000);
                self.later(at + after, Task::Webhook(Box::new(alert.clone())));
            }
        }
    }

    /// A webhook arrives at whoever is up; when nobody is, it is sent again.
    pub(super) fn webhook(&mut self, alert: Alert) {
        let Some(replica) = self.somebody() else {
            return self.later(1_500, Task::Webhook(Box::new(alert)));
        };
        self.tell(|_| format!("webhook: {} {:?} since {}", alert.name(), alert.status, alert.starts_at));
        self.facts.webhooks += 1;
        self.hear(replica, Content::Alerted(alert));
    }

    pub(super) fn hear(&mut self, replica: usize, content: Content) {
        let now = self.wall(replica);
        self.store.remember(content, now);
        self.take_up(replica, self.store.inbox.len() - 1);
    }

    /// The dead man's switch is sent to whoever is up.
    pub(super) fn watchdog(&mut self) {
        self.later(EVERY, Task::Watchdog);
        if self.source.is_dead(self.now) {
            self.fired.add(Fault::WatchdogStops);
            return;
        }
        if let Some(replica) = self.somebody() {
            self.saw_watchdog(replica);
        }
    }

    pub(super) fn saw_watchdog(&mut self, replica: usize) {
        let now = self.wall(replica);
        self.store.watchdog_seen = self.store.watchdog_seen.max(Some(now));
        self.source.watchdog_heard = Some(self.now);
    }
}
