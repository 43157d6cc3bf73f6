//! What must hold for every plan and every text: a plan survives being written and read, and no text is too strange.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_rollout::matcher::Matcher;
use tidegate_rollout::plan::source::{check, read};
use tidegate_rollout::plan::{
    AlertMatch, Alerts, ApiVersion, Audience, Commitment, Decide, DecideDefault, During, FlagTarget, Gate, Hears,
    Input, Kind, Metadata, Mode, NoData, Phase, Plan, PlanRole, Scope, Severity, SeverityAction, Spec, Target, Trigger,
    Watchdog,
};
use tidegate_rollout::{Period, PersonId, Weight};

use super::EXAMPLE;

/// Any text, also one that looks like something else to YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9-]{0,10}",
        "\\PC{0,12}",
        prop::sample::select(vec![
            "", "no", "~", "null", "1", "1e3", "- x", "a: b", "#", "'", "25%", " x ", "\n", "\t", "{}", "*a", "&a",
            "!x", "|", "\u{85}", "\u{2028}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?"
}

fn map<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = BTreeMap<String, T>> {
    prop::collection::btree_map(text(), value, 0..3)
}

fn list<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(value, 0..3)
}

fn weight() -> impl Strategy<Value = Weight> {
    (0u16..=10_000).prop_map(|points| Weight::from_basis_points(points).expect("in range"))
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![0i64..100_000, 0i64..3_000_000_000].prop_map(Period::millis)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    ("[a-zA-Z_][a-zA-Z0-9_]{0,5}", text())
        .prop_filter("an empty value is no condition", |(_, value)| !value.is_empty())
        .prop_map(|(name, value)| Matcher::equal(&name, &value))
}

fn severity() -> impl Strategy<Value = Severity> {
    let decide = (list(text()), period(), any::<bool>()).prop_map(|(by, within, back)| {
        let default = if back {
            DecideDefault::Rollback
        } else {
            DecideDefault::Hold
        };
        SeverityAction::Decide(Decide { by, within, default })
    });
    let action = prop_oneof![Just(SeverityAction::Rollback), Just(SeverityAction::Log), decide];
    (action, any::<bool>()).prop_map(|(action, page)| Severity { action, page })
}

fn phase() -> impl Strategy<Value = Phase> {
    (text(), weight(), period(), any::<bool>(), list(text())).prop_map(|(name, weight, bake, manual, groups)| Phase {
        name,
        weight,
        bake,
        gate: if manual { Gate::Manual } else { Gate::Auto },
        groups,
        approvals: Vec::new(),
        checks: Vec::new(),
        hooks: tidegate_rollout::plan::PhaseHooks::default(),
    })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let matchers = prop::collection::vec(matcher(), 1..3);
    (text(), matchers, any::<bool>(), text()).prop_map(|(name, matchers, wide, severity)| Trigger {
        name,
        alert: AlertMatch {
            matchers,
            scope: if wide { Scope::Any } else { Scope::Own },
        },
        severity,
    })
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (name(), map(text()), map(text())).prop_map(|(name, labels, annotations)| Metadata {
        name,
        labels,
        annotations,
    })
}

fn people() -> impl Strategy<Value = BTreeMap<String, PlanRole>> {
    map(
        (list(text()), prop::option::of(text())).prop_map(|(members, duties)| PlanRole {
            members: members.into_iter().map(PersonId::new).collect(),
            duties,
        }),
    )
}

fn audiences() -> impl Strategy<Value = BTreeMap<String, Audience>> {
    let hears = prop::sample::select(vec![Hears::Pages, Hears::Milestones, Hears::Everything]);
    map(
        (prop::collection::vec(text(), 1..3), hears).prop_map(|(channels, hears)| Audience {
            channels,
            hears,
            severities: Vec::new(),
        }),
    )
}

fn commitments() -> impl Strategy<Value = BTreeMap<String, Commitment>> {
    let during = prop::sample::select(vec![During::Rollout, During::Cutover, During::Incident]);
    let daily = (0u8..24, 0u8..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}").parse().expect("a time"));
    let clock = (
        prop::option::of(period()),
        prop::option::of(period()),
        prop::option::of(during),
        prop::option::of(daily),
    );
    let to = prop::collection::vec(text(), 1..3);
    map(
        (to, clock).prop_map(|(to, (after_incident, every, during, daily))| Commitment {
            to,
            after_incident,
            every,
            during,
            daily,
        }),
    )
}

fn inputs() -> impl Strategy<Value = BTreeMap<String, Input>> {
    map((any::<bool>(), prop::option::of(text())).prop_map(|(required, default)| Input { required, default }))
}

fn plan() -> impl Strategy<Value = Plan> {
    let words = (text(), text(), text(), any::<bool>());
    let who = (inputs(), people(), audiences(), text(), commitments());
    let what = (
        text(),
        map(list(text())),
        prop::collection::vec(phase(), 1..4),
        period(),
    );
    let stops = (
        list(trigger()),
        map(severity()),
        list(text()),
        any::<bool>(),
        prop::option::of(period()),
    );
    (metadata(), words, who, what, stops).prop_map(|(metadata, words, who, what, stops)| {
        let (title, service, environment, shadow) = words;
        let (inputs, roles, audiences, timezone, commitments) = who;
        let (key, groups, phases, watch) = what;
        let (triggers, severities, receivers, watchdog, rollback_after) = stops;
        Plan {
            api_version: ApiVersion::V1Alpha1,
            kind: Kind::RolloutPlan,
            metadata,
            spec: Spec {
                title,
                service,
                environment,
                mode: if shadow { Mode::Shadow } else { Mode::Armed },
                inputs,
                roles,
                target: Target::Flag(FlagTarget { key, groups }),
                phases,
                watch,
                triggers,
                severities,
                alerts: Alerts {
                    receivers,
                    watchdog: if watchdog { Watchdog::Required } else { Watchdog::None },
                },
                hooks: BTreeMap::new(),
                probes: BTreeMap::new(),
                rollback: tidegate_rollout::plan::Rollback::default(),
                no_data: rollback_after.map_or(NoData::Hold, NoData::RollbackAfter),
                audiences,
                timezone,
                commitments,
            },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_survives_json_and_yaml(plan in plan()) {
        let json = serde_json::to_string(&plan).expect("JSON");
        let yaml = serde_saphyr::to_string(&plan).expect("YAML");
        for text in [json, yaml] {
            let read = read(&text);
            prop_assert_eq!(&read.findings, &vec![], "{}", text);
            prop_assert_eq!(read.plan.as_ref(), Some(&plan));
            prop_assert_eq!(read.plan.map(|plan| plan.digest()), Some(plan.digest()));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let read = check(&text);
        prop_assert!(read.plan.is_some() || !read.findings.is_empty());
    }

    #[test]
    fn no_damage_to_a_plan_makes_the_reader_panic(
        cuts in prop::collection::vec((0usize..EXAMPLE.len(), 0usize..40, "[-\\[\\]{}:,*&!|>'\"%@`#?~ \n\ta-z0-9é\u{1F6A2}]{0,6}"), 1..4)
    ) {
        let mut text = EXAMPLE.to_owned();
        for (at, length, patch) in cuts {
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &patch);
        }
        let read = check(&text);
        for place in read.findings.iter().filter_map(|finding| finding.place) {
            prop_assert!(text.get(place.offset..place.offset + place.length).is_some(), "{:?} in {:?}", place, text);
        }
        prop_assert!(read.plan.is_some() || !read.findings.is_empty());
    }
}
