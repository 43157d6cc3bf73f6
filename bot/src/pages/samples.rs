//! Owns rollouts in every state, made by the core itself, for looking at pages and testing them.
//! Refuses hand-made states: each is reached by events, as in life.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::alert::{Alert, AlertStatus, Fingerprint, Source};
use tidegate_rollout::begin::Start;
use tidegate_rollout::command::Command;
use tidegate_rollout::{
    Action, ActionKind, Actor, Entry, Event, Outcome, PersonId, Plan, ReadBack, Role, Rollout, Share, Step, Surface,
    Surroundings, Weight, step,
};

use super::view::{Reader, Seen, Theme};

const PLAN: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout }
spec:
  title: New checkout to production
  service: checkout
  environment: production
  inputs:
    version: { required: true }
  roles:
    incident-commander: { members: [mara] }
    oncall: { members: [jon, nia] }
  target:
    flag: { key: checkout-v2, groups: { staff: [mara, jon, nia] } }
  phases:
    - { name: canary, weight: 5%, bake: 30m, groups: [staff] }
    - { name: some, weight: 25%, bake: 6h, gate: manual }
    - { name: half, weight: 50%, bake: 12h }
    - { name: everybody, weight: 100%, bake: 12h }
  watch: 1d
  triggers:
    - { name: error-rate, alert: { matchers: ['alertname="CheckoutErrorRateHigh"'] }, severity: sev1 }
    - { name: latency, alert: { matchers: ['alertname="CheckoutLatencyHigh"'] }, severity: sev2 }
    - { name: queue, alert: { matchers: ['alertname="CheckoutQueueLong"'] }, severity: sev3 }
  severities:
    sev1: { action: rollback, page: true }
    sev2: { action: { decide: { by: [incident-commander, oncall], within: 30m, default: rollback } }, page: true }
    sev3: { action: log }
  audiences:
    oncall: { channels: [pager], hears: pages }
    team: { channels: [chat], hears: everything }
"#;

/// 20 November 2026, 13:46:40 UTC.
pub(super) const START: i64 = 1_795_182_400;

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(START + minutes * 60)
}

pub(super) fn plan() -> Plan {
    let read = tidegate_rollout::plan::source::read(PLAN);
    read.plan
        .unwrap_or_else(|| panic!("the sample plan is off: {:?}", read.findings))
}

pub(super) fn actor(name: &str, role: Role) -> Actor {
    Actor {
        person: PersonId::new(name),
        roles: [role].into(),
        surface: Surface::Page,
    }
}

pub(super) fn reader(role: Role) -> Reader {
    Reader {
        actor: actor("lee", role),
        theme: Theme::System,
    }
}

/// A rollout that lives through events, and its log.
pub(super) struct Story {
    pub(super) rollout: Rollout,
    pub(super) history: Vec<(u64, Entry)>,
    pub(super) around: Surroundings,
    pub(super) now: Timestamp,
    pub(super) share: Option<Share>,
    asked: Vec<Action>,
}

impl Story {
    pub(super) fn begins(plan: Plan, counter: u64) -> Self {
        Self::begins_at(plan, counter, at(0))
    }

    fn begins_at(plan: Plan, counter: u64, now: Timestamp) -> Self {
        let start = Start {
            plan: Arc::new(plan),
            inputs: BTreeMap::from([("version".to_owned(), "2.3.0".to_owned())]),
            actor: actor("lee", Role::Operator),
            counter,
            recent: Vec::new(),
            target_busy: None,
            target_epoch: 0,
        };
        let around = Surroundings::calm(now);
        let first = Rollout::begin(start, &around, now).expect("it may begin");
        let mut story = Self {
            rollout: first.next.clone(),
            history: Vec::new(),
            around,
            now,
            share: None,
            asked: Vec::new(),
        };
        story.keep(first);
        story
    }

    fn keep(&mut self, step: Step) {
        for entry in step.log {
            self.history.push((self.history.len() as u64 + 1, entry));
        }
        self.asked = step.actions;
        self.rollout = step.next;
    }

    fn comes(&mut self, event: &Event) {
        let next = step(&self.rollout, &self.around, event, self.now).expect("nothing is refused");
        self.keep(next);
    }

    /// Time passes and the alert path stays alive.
    pub(super) fn later(mut self, minutes: i64) -> Self {
        self.now += SignedDuration::from_mins(minutes);
        self.around.watchdog_seen = Some(self.now - SignedDuration::from_secs(12));
        self.comes(&Event::Ticked);
        self
    }

    /// Time passes and nothing is heard.
    pub(super) fn silent(mut self, minutes: i64) -> Self {
        for _ in 0..minutes {
            self.now += SignedDuration::from_mins(1);
            self.comes(&Event::Ticked);
        }
        self
    }

    /// The target has what it was asked for.
    pub(super) fn read_back(mut self) -> Self {
        let action = self.asked.first().expect("something was asked").clone();
        let weight = match &action.kind {
            ActionKind::SetWeight { weight, .. } => *weight,
            ActionKind::ToZero { .. }
            | ActionKind::AskAboutAlert { .. }
            | ActionKind::ReadLogs { .. }
            | ActionKind::RunHook { .. } => Weight::ZERO,
        };
        self.now += SignedDuration::from_secs(2);
        let total = 3_112;
        let share = Share {
            new: total * u64::from(weight.basis_points()) / 10_000,
            total,
        };
        let read_back = ReadBack {
            weight,
            how: format!("{weight} is served; {total} evaluations since"),
            seen_in_traffic: true,
            observed: Some(share),
            at: self.now,
        };
        self.share = Some(share);
        self.comes(&Event::Reported {
            action: action.id,
            outcome: Outcome::Applied(read_back),
        });
        self
    }

    pub(super) fn fails(self, why: &str) -> Self {
        self.reports(Outcome::GaveUp {
            attempts: 5,
            why: why.to_owned(),
        })
    }

    /// What was asked for ends so.
    pub(super) fn reports(mut self, outcome: Outcome) -> Self {
        let action = self.asked.first().expect("something was asked").clone();
        self.comes(&Event::Reported {
            action: action.id,
            outcome,
        });
        self
    }

    pub(super) fn says(mut self, who: &str, command: Command) -> Self {
        self.comes(&Event::Commanded {
            actor: actor(who, Role::IncidentCommander),
            command,
            seen: None,
        });
        self
    }

    pub(super) fn alert(mut self, name: &str, summary: &str, began: i64) -> Self {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let labels = BTreeMap::from([
            label("alertname", name),
            label("service", "checkout"),
            label("environment", "production"),
            label("pod", summary),
        ]);
        self.comes(&Event::Alerted(Alert {
            source: Source::Alertmanager,
            receiver: "default".to_owned(),
            fingerprint: Fingerprint(format!("{name:0>16}")),
            status: AlertStatus::Firing,
            labels,
            annotations: BTreeMap::new(),
            starts_at: self.now + SignedDuration::from_mins(began),
            ends_at: None,
            suppressed: None,
        }));
        self
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            rollout: &self.rollout,
            around: &self.around,
            share: self.share,
        }
    }
}

pub(super) fn pause(reason: &str) -> Command {
    Command::Pause {
        reason: reason.to_owned(),
    }
}

pub(super) fn hold(reason: &str) -> Command {
    Command::Hold {
        reason: reason.to_owned(),
        until: None,
    }
}

/// One story for each state, by name; all of them are told at the same moment.
pub(super) fn stories() -> Vec<(&'static str, Story)> {
    let lengths: BTreeMap<u64, SignedDuration> = told(|_| at(0))
        .into_iter()
        .map(|(_, story)| (counter_of(&story), story.now.duration_since(at(0))))
        .collect();
    told(|counter| at(2_000) - lengths.get(&counter).copied().unwrap_or_default())
}

fn counter_of(story: &Story) -> u64 {
    let id = story.rollout.id.as_str();
    id.rsplit('-')
        .next()
        .and_then(|counter| counter.parse().ok())
        .expect("ids end in a counter")
}

fn told(start: impl Fn(u64) -> Timestamp) -> Vec<(&'static str, Story)> {
    let fresh = |counter| Story::begins_at(plan(), counter, start(counter));
    let baking = |counter| fresh(counter).read_back().later(31).read_back();
    let gate = |counter| baking(counter).later(361);
    vec![
        ("advancing", fresh(11)),
        ("baking", baking(12).later(142)),
        ("gate", gate(13)),
        (
            "paused",
            baking(14).later(20).says("jon", pause("watching redis for a while")),
        ),
        (
            "held",
            baking(15)
                .later(20)
                .says("jon", hold("waiting for the cache to warm up"))
                .alert("CheckoutQueueLong", "checkout-7d9f", 0),
        ),
        (
            "decision",
            baking(16)
                .later(50)
                .alert("CheckoutLatencyHigh", "checkout-7d9f", -1)
                .later(2),
        ),
        ("no-data", baking(17).later(10).silent(4)),
        (
            "failed",
            gate(18)
                .says("mara", Command::Advance)
                .fails("the flag could not be written: database is locked"),
        ),
        (
            "rolling-back",
            gate(19).says("mara", Command::Advance).read_back().later(40).alert(
                "CheckoutErrorRateHigh",
                "checkout-7d9f",
                -1,
            ),
        ),
        (
            "rolled-back",
            gate(20)
                .says("mara", Command::Advance)
                .read_back()
                .later(40)
                .alert("CheckoutErrorRateHigh", "checkout-7d9f", -1)
                .read_back()
                .later(3),
        ),
        (
            "watching",
            gate(21)
                .says("mara", Command::Advance)
                .read_back()
                .later(721)
                .read_back()
                .later(721)
                .later(200),
        ),
        (
            "completed",
            gate(22)
                .says("mara", Command::Advance)
                .read_back()
                .later(721)
                .read_back()
                .later(721)
                .later(1)
                .later(1441),
        ),
    ]
}
