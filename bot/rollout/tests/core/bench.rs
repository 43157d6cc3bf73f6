//! Owns one rollout on the workbench: a plan, a world around it, a target that answers, and everything that was said.
//! Refuses to decide anything: it only feeds events to [`step`] and carries out the actions that come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tidegate_rollout::action::SuspectAnswer;
use tidegate_rollout::begin::Start;
use tidegate_rollout::command::grammar;
use tidegate_rollout::command::{Command, Verb};
use tidegate_rollout::{
    Action, ActionKind, Actor, Alert, AlertStatus, Entry, Event, Fingerprint, Notice, Outcome, PersonId, Plan,
    ReadBack, Refusal, Role, Rollout, Source, Step, Surface, Surroundings, Weight, step,
};

/// So many seconds after the first moment of every test, 2026-01-05 08:00:00 UTC.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + seconds).expect("within the range of time")
}

/// The plan that most tests run: three phases of ten minutes, an hour's watch, one trigger of each severity.
pub(crate) fn plan() -> Plan {
    plan_with(|_| ())
}

/// The same plan after `change` worked on its JSON.
pub(crate) fn plan_with(change: impl FnOnce(&mut Value)) -> Plan {
    let trigger = |name: &str, severity: &str| json!({ "name": name, "severity": severity, "alert": { "matchers": [format!("alertname=\"{name}\"")] } });
    let mut plan = json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": "checkout" },
        "spec": {
            "title": "Checkout to production",
            "service": "checkout",
            "environment": "production",
            "inputs": { "version": { "required": true }, "previous": {} },
            "roles": { "incident-commander": { "members": ["mara"] }, "dba": { "members": ["dana"] } },
            "target": { "flag": { "key": "checkout-v2" } },
            "phases": [
                { "name": "five", "weight": "5%", "bake": "10m" },
                { "name": "half", "weight": "50%", "bake": "10m" },
                { "name": "full", "weight": "100%", "bake": "10m" },
            ],
            "watch": "1h",
            "triggers": [trigger("HighErrorRate", "sev1"), trigger("HighLatency", "sev2"), trigger("Chatty", "sev3")],
            "severities": {
                "sev1": { "action": "rollback" },
                "sev2": { "action": { "decide": { "within": "5m", "default": "rollback" } } },
                "sev3": { "action": "log" },
            },
        },
    });
    change(&mut plan);
    serde_json::from_value(plan).expect("a plan")
}

/// A person with server roles, at the command line.
pub(crate) fn person(id: &str, roles: &[Role]) -> Actor {
    Actor {
        person: PersonId::new(id),
        roles: roles.iter().copied().collect(),
        surface: Surface::Cli,
    }
}

/// Jon, who may operate.
pub(crate) fn jon() -> Actor {
    person("jon", &[Role::Operator])
}

/// An alert of the plan's service, firing since `starts_at`.
pub(crate) fn alert(name: &str, starts_at: Timestamp) -> Alert {
    let labels = [
        ("alertname", name),
        ("service", "checkout"),
        ("environment", "production"),
    ];
    Alert {
        source: Source::Alertmanager,
        receiver: "default".to_owned(),
        fingerprint: Fingerprint(format!("fp-{name}")),
        status: AlertStatus::Firing,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        annotations: BTreeMap::new(),
        starts_at,
        ends_at: None,
        suppressed: None,
    }
}

/// The same alert, over since `ends_at`.
pub(crate) fn over(alert: &Alert, ends_at: Timestamp) -> Alert {
    Alert {
        status: AlertStatus::Resolved,
        ends_at: Some(ends_at),
        ..alert.clone()
    }
}

/// The same alert with one more label.
pub(crate) fn labelled(mut alert: Alert, key: &str, value: &str) -> Alert {
    alert.labels.insert(key.to_owned(), value.to_owned());
    alert
}

/// A target read back at `weight`.
pub(crate) fn read_back(weight: Weight, at: Timestamp) -> ReadBack {
    ReadBack {
        weight,
        how: format!("The flag serves {weight}"),
        seen_in_traffic: false,
        observed: None,
        at,
    }
}

/// How the target of the bench answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It does what it is asked and reads so.
    Answers,
    /// It never answers.
    Hangs,
    /// Every call fails.
    Refuses,
    /// It says that it is done, and reads this instead.
    Reads(Weight),
    /// It knows this higher epoch.
    Fences(u64),
}

/// One rollout and the world around it.
pub(crate) struct Bench {
    pub(crate) rollout: Rollout,
    pub(crate) around: Surroundings,
    pub(crate) now: Timestamp,
    pub(crate) weight: Weight,
    pub(crate) manner: Manner,
    pub(crate) watchdog: bool,
    /// What the peers of the alert source answer when asked.
    pub(crate) peers: SuspectAnswer,
    pub(crate) log: Vec<Entry>,
    pub(crate) notices: Vec<Notice>,
    /// Every weight that was ever written, with the moment.
    pub(crate) writes: Vec<(Timestamp, Weight)>,
    open: Vec<(Action, Timestamp)>,
}

impl Bench {
    /// A rollout of `plan` that Jon just started; its target has not been asked yet.
    pub(crate) fn started(plan: Plan) -> Self {
        Self::try_start(plan, &[("version", "2.3.0"), ("previous", "2.2.9")], Vec::new()).expect("a start")
    }

    pub(crate) fn try_start(plan: Plan, inputs: &[(&str, &str)], recent: Vec<Alert>) -> Result<Self, Refusal> {
        let now = at(0);
        let around = Surroundings::calm(now);
        let start = Start {
            plan: Arc::new(plan),
            inputs: inputs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            actor: jon(),
            counter: 17,
            recent,
            target_busy: None,
            target_epoch: 0,
        };
        let first = Rollout::begin(start, &around, now)?;
        let mut bench = Self {
            rollout: first.next.clone(),
            around,
            now,
            weight: Weight::ZERO,
            manner: Manner::Answers,
            watchdog: true,
            peers: SuspectAnswer::Absent,
            log: Vec::new(),
            notices: Vec::new(),
            writes: Vec::new(),
            open: Vec::new(),
        };
        bench.keep(first);
        Ok(bench)
    }

    /// A rollout of `plan` whose first phase bakes.
    pub(crate) fn baking(plan: Plan) -> Self {
        let mut bench = Self::started(plan);
        bench.pass(1);
        bench
    }

    /// Feeds one event and carries out what the target and the peers answer at once.
    pub(crate) fn feed(&mut self, event: &Event) -> Result<(), Refusal> {
        self.around.watchdog_seen = if self.watchdog {
            Some(self.now)
        } else {
            self.around.watchdog_seen
        };
        let next = step(&self.rollout, &self.around, event, self.now)?;
        assert_eq!(
            next.next.generation,
            self.rollout.generation + u64::from(next.changed),
            "a generation counts the saved steps"
        );
        self.keep(next);
        Ok(())
    }

    fn keep(&mut self, step: Step) {
        self.rollout = step.next;
        self.log.extend(step.log);
        self.notices.extend(step.notices);
        self.open
            .extend(step.actions.into_iter().map(|action| (action, self.now)));
        if step.spends_budget {
            self.around.automatic_rollbacks += 1;
        }
        self.around.freeze = step.freeze.or(self.around.freeze.take());
    }

    /// Lets `seconds` pass, one tick each; workers answer in between.
    pub(crate) fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.work();
            self.now += SignedDuration::from_secs(1);
            self.feed(&Event::Ticked).expect("a tick is never refused");
        }
        self.work();
    }

    /// Lets workers try every open action once.
    pub(crate) fn work(&mut self) {
        for (action, since) in std::mem::take(&mut self.open) {
            match self.try_one(&action, since) {
                Some(outcome) => {
                    let keeps_trying = matches!(outcome, Outcome::Failing { .. });
                    self.report(&action, outcome);
                    if keeps_trying {
                        self.open.push((action, since));
                    }
                }
                None => self.open.push((action, since)),
            }
        }
    }

    fn try_one(&mut self, action: &Action, since: Timestamp) -> Option<Outcome> {
        let wanted = match &action.kind {
            ActionKind::SetWeight { weight, .. } => *weight,
            ActionKind::ToZero { .. } => Weight::ZERO,
            ActionKind::AskAboutAlert { key, .. } => {
                return Some(Outcome::Asked {
                    key: key.clone(),
                    answer: self.peers,
                });
            }
            // The test answers these itself.
            ActionKind::RunHook { .. } | ActionKind::ReadLogs { .. } => return None,
        };
        match self.manner {
            Manner::Answers => {
                self.weight = wanted;
                self.writes.push((self.now, wanted));
                Some(Outcome::Applied(read_back(wanted, self.now)))
            }
            Manner::Hangs => None,
            Manner::Refuses => Some(Outcome::Failing {
                attempts: 1,
                since,
                why: "connection refused".to_owned(),
            }),
            Manner::Reads(found) => Some(Outcome::Applied(read_back(found, self.now))),
            Manner::Fences(found) if found > action.epoch => Some(Outcome::Fenced { found }),
            Manner::Fences(_) => {
                self.weight = wanted;
                Some(Outcome::Applied(read_back(wanted, self.now)))
            }
        }
    }

    pub(crate) fn report(&mut self, action: &Action, outcome: Outcome) {
        let event = Event::Reported {
            action: action.id.clone(),
            outcome,
        };
        self.feed(&event).expect("an outcome is never refused");
    }

    /// Takes the open actions off the bench: the test answers them itself.
    pub(crate) fn take_open(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.open)
            .into_iter()
            .map(|(action, _)| action)
            .collect()
    }

    pub(crate) fn fires(&mut self, alert: &Alert) {
        self.feed(&Event::Alerted(alert.clone()))
            .expect("an alert is never refused");
    }

    pub(crate) fn says(&mut self, actor: &Actor, command: Command) -> Result<(), Refusal> {
        self.feed(&Event::Commanded {
            actor: actor.clone(),
            command,
            seen: None,
        })
    }

    /// Somebody types a line.
    pub(crate) fn types(&mut self, actor: &Actor, line: &str) -> Result<(), Refusal> {
        let said = grammar::parse(line, self.now, |_| grammar::Named::No)?;
        match said.verb {
            Verb::Do(command) => self.says(actor, command),
            other => panic!("{other:?} does not concern one rollout"),
        }
    }

    pub(crate) fn notices_of(&self, kind: &str) -> usize {
        self.notices.iter().filter(|notice| notice.kind.word() == kind).count()
    }
}
