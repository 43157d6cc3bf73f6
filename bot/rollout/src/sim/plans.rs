//! Owns the plans that simulated histories run: short ones, of every kind the core knows.
//! Refuses to be clever: a plan follows from the numbers it is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::PersonId;
use crate::matcher::Matcher;
use crate::period::Period;
use crate::plan::{
    AlertMatch, Alerts, ApiVersion, Approval, Audience, Check, Commitment, Decide, DecideDefault, During, FlagTarget,
    Gate, Hears, Hook, Input, Kind, Metadata, Mode, NoData, Phase, PhaseHooks, Plan, PlanRole, Rollback, Run, Scope,
    Severity, SeverityAction, Spec, Target, Trigger,
};
use crate::weight::Weight;

use super::random::Random;

/// A plan for the `number`-th service of the environment.
pub fn plan(number: usize, random: &mut Random) -> Arc<Plan> {
    let name = format!("service-{}", ["a", "b", "c"][number % 3]);
    Arc::new(Plan {
        api_version: ApiVersion::V1Alpha1,
        kind: Kind::RolloutPlan,
        metadata: Metadata {
            name: name.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        spec: spec(name, random),
    })
}

fn spec(name: String, random: &mut Random) -> Spec {
    let input = |required| Input {
        required,
        default: None,
    };
    let members = vec![PersonId::new("mara")];
    let role = |members| PlanRole { members, duties: None };
    let commander = role(members);
    let release = role(["lee", "mara", "kim"].map(PersonId::new).to_vec());
    let mut spec = Spec {
        title: format!("{name} to production"),
        environment: "production".to_owned(),
        mode: if random.chance(8) { Mode::Shadow } else { Mode::Armed },
        inputs: [
            ("version".to_owned(), input(true)),
            ("previous".to_owned(), input(false)),
        ]
        .into(),
        roles: [
            ("incident-commander".to_owned(), commander),
            (RELEASE.to_owned(), release),
        ]
        .into(),
        target: Target::Flag(FlagTarget {
            key: format!("{name}-new"),
            groups: BTreeMap::new(),
        }),
        phases: phases(random),
        watch: Period::seconds(seconds(random, 0, 30)),
        triggers: vec![
            trigger("ErrorRate", "sev1"),
            trigger("Latency", "sev2"),
            trigger("Chatty", "sev3"),
        ],
        severities: severities(random),
        alerts: Alerts::default(),
        hooks: BTreeMap::new(),
        probes: BTreeMap::new(),
        rollback: Rollback::default(),
        no_data: if random.chance(15) {
            NoData::RollbackAfter(Period::seconds(20))
        } else {
            NoData::Hold
        },
        audiences: BTreeMap::new(),
        timezone: Spec::USUAL_ZONE.to_owned(),
        commitments: BTreeMap::new(),
        service: name,
    };
    if random.chance(50) {
        hooks(&mut spec, random);
    }
    if random.chance(35) {
        signoffs(&mut spec, random);
    }
    if random.chance(40) {
        commitments(&mut spec, random);
    }
    spec
}

/// Hooks that must not run twice and ones that may, before and after phases and on the way back.
fn hooks(spec: &mut Spec, random: &mut Random) {
    let hook = |idempotent, attempts| Hook {
        run: Run::Command(vec!["hook".to_owned()]),
        timeout: Period::seconds(40),
        idempotent,
        attempts,
        pause: Period::seconds(2),
    };
    let once = ("once".to_owned(), hook(false, 1));
    let often = ("often".to_owned(), hook(true, 3));
    spec.hooks = [once, often].into();
    let mut some = || {
        let lists: [&[&str]; 5] = [&[], &["once"], &["often"], &["once", "often"], &["often", "once"]];
        let list = lists[random.index(lists.len())];
        list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    for phase in &mut spec.phases {
        phase.hooks = PhaseHooks {
            before: some(),
            after: some(),
        };
    }
    spec.rollback.hooks = some();
}

/// The role whose members approve.
pub(super) const RELEASE: &str = "release";
/// What is ticked, if a phase has a checklist.
pub(super) const ITEM: &str = "dashboards";

/// Gates that wait for one person or for two, who may be the one who started it or not, and checklists.
fn signoffs(spec: &mut Spec, random: &mut Random) {
    for phase in &mut spec.phases {
        if random.chance(40) {
            phase.approvals.push(Approval {
                role: RELEASE.to_owned(),
                people: if random.chance(50) { 2 } else { 1 },
                self_approval: random.chance(25),
            });
        }
        if random.chance(30) {
            phase.checks.push(Check {
                id: ITEM.to_owned(),
                text: "The dashboards look as before.".to_owned(),
                owner: random.chance(50).then(|| RELEASE.to_owned()),
            });
        }
    }
}

/// People who rely on being told, by every clock there is.
fn commitments(spec: &mut Spec, random: &mut Random) {
    let people = |channel: &str| Audience {
        channels: vec![channel.to_owned()],
        hears: Hears::Everything,
        severities: Vec::new(),
    };
    let (oncall, team) = ("oncall".to_owned(), "team".to_owned());
    spec.audiences = [(oncall.clone(), people("pager")), (team.clone(), people("room"))].into();
    let nothing = |to: &[&String]| Commitment {
        to: to.iter().map(|name| (*name).clone()).collect(),
        after_incident: None,
        every: None,
        during: None,
        daily: None,
    };
    let first = Commitment {
        after_incident: Some(Period::seconds(seconds(random, 5, 25))),
        ..nothing(&[&oncall, &team])
    };
    let during = [During::Rollout, During::Rollout, During::Cutover, During::Incident];
    let often = Commitment {
        every: Some(Period::seconds(seconds(random, 12, 40))),
        during: Some(during[random.index(during.len())]),
        ..nothing(&[&team])
    };
    // Histories begin at eight o'clock.
    let daily = Commitment {
        daily: ["08:01", "08:02", "09:01"][random.index(3)].parse().ok(),
        ..nothing(&[&oncall])
    };
    let all = [("first", first), ("often", often), ("daily", daily)];
    spec.commitments = all.map(|(name, one)| (name.to_owned(), one)).into();
}

fn seconds(random: &mut Random, low: u64, high: u64) -> u32 {
    u32::try_from(random.between(low, high)).unwrap_or_default()
}

fn phases(random: &mut Random) -> Vec<Phase> {
    let weights: &[u8] = match random.below(10) {
        0 => &[0, 25, 100],
        1 => &[25, 10, 100],
        2..=5 => &[10, 50, 100],
        _ => &[5, 100],
    };
    let phase = |percent: &u8| Phase {
        name: format!("p{percent}"),
        weight: Weight::percent(*percent),
        bake: Period::seconds(seconds(random, 6, 25)),
        gate: if random.chance(20) { Gate::Manual } else { Gate::Auto },
        groups: Vec::new(),
        approvals: Vec::new(),
        checks: Vec::new(),
        hooks: PhaseHooks::default(),
    };
    weights.iter().map(phase).collect()
}

fn trigger(alert: &str, severity: &str) -> Trigger {
    Trigger {
        name: alert.to_lowercase(),
        alert: AlertMatch {
            matchers: vec![Matcher::equal("alertname", alert)],
            scope: Scope::Own,
        },
        severity: severity.to_owned(),
    }
}

fn severities(random: &mut Random) -> BTreeMap<String, Severity> {
    let decide = Decide {
        by: Vec::new(),
        within: Period::seconds(seconds(random, 10, 30)),
        default: if random.chance(50) {
            DecideDefault::Rollback
        } else {
            DecideDefault::Hold
        },
    };
    let actions = [
        ("sev1", SeverityAction::Rollback),
        ("sev2", SeverityAction::Decide(decide)),
        ("sev3", SeverityAction::Log),
    ];
    let severity = |(name, action): (&str, SeverityAction)| (name.to_owned(), Severity { action, page: false });
    actions.into_iter().map(severity).collect()
}
