//! The table: what is changed in the example, the code that must come of it, and where it must point.

use tidegate_rollout::plan::codes::Code;

/// What is changed in the example, and what must be said then.
pub(super) struct Case {
    pub(super) code: Code,
    pub(super) change: &'static [(&'static str, &'static str)],
    /// The path of the finding.
    pub(super) path: &'static str,
    /// What stands at its place.
    pub(super) at: &'static str,
}

pub(super) const fn case(
    code: Code,
    change: &'static [(&'static str, &'static str)],
    path: &'static str,
    at: &'static str,
) -> Case {
    Case { code, change, path, at }
}

const MATCHERS: &str = r#"matchers: ['alertname="CheckoutLatencyHigh"']"#;
const SLOW: &str = "spec.triggers[1].alert.matchers";

/// The flag of the example, and the groups that only a flag has.
pub(super) const FLAG: &str = "    flag:\n      key: checkout-v2       # what the service asks for over OFREP\n      groups:\n        staff: [mara, jon, nia]\n";
pub(super) const STAFF: (&str, &str) = ("      groups: [staff]        # all of them, on top of the 15%\n", "");
pub(super) const STAFF_AGAIN: (&str, &str) = ("      groups: [staff]\n", "");
pub(super) const REPLICAS: &str =
    "    deployment-replicas: { namespace: shop, new: checkout-v2, old: checkout-v1, total: 20 }\n";
const DIP: &str = "    deployment-replicas: { namespace: shop, new: v2, old: v1, total: 20, floor: 80% }\n";
const FEW: &str = "    deployment-replicas: { namespace: shop, new: v2, old: v1, total: 5 }\n";
const NO_PODS: &str = "    deployment-replicas: { namespace: shop, new: v2, old: v1, total: 0 }\n";
const SAME: &str = "    httproute: { namespace: shop, route: checkout, new: checkout, old: checkout }\n";
const BIG: &str = "    httproute: { namespace: Shop, route: checkout, new: v2, old: v1 }\n";
const SELECTOR: &str =
    "    service-selector: { namespace: shop, service: checkout, label: version, new: v2, old: v1, ready: 3 }\n";

const ELSEWHERE: &str = "  rollback: { ladder: [{ name: other, target: { flag: { key: other } } }] }\n";
const LOGS_OF_A_FLAG: &str = "  rollback: { podLogs: 20 }\n";
const AT_ONCE: &str = "  rollback: { ladder: [{ name: off, target: { flag: { key: checkout-v2 } }, within: 0s }] }\n";

pub(super) const CASES: &[Case] = &[
    case(Code::P100, &[("  mode", "mode"), ("spec:\n", "spec: [\n")], "", ":"),
    case(
        Code::P101,
        &[("      bake: 30m", "      bkae: 30m")],
        "spec.phases[0].bkae",
        "bkae",
    ),
    case(
        Code::P102,
        &[("severity: sev2", "severity: sev4")],
        "spec.triggers[1].severity",
        "sev4",
    ),
    case(
        Code::P102,
        &[("      groups: [staff]        #", "      groups: [stuff] #")],
        "spec.phases[0].groups[0]",
        "stuff",
    ),
    case(
        Code::P102,
        &[("by: [incident-commander,", "by: [commander,")],
        "spec.severities.sev2.action.decide.by[0]",
        "commander",
    ),
    case(
        Code::P103,
        &[("  title: New checkout to production\n", "")],
        "spec",
        "spec",
    ),
    case(
        Code::P104,
        &[("members: [mara]", "members: mara")],
        "spec.roles.incident-commander.members",
        "mara",
    ),
    case(
        Code::P104,
        &[("service: checkout ", "service: 7 ")],
        "spec.service",
        "7",
    ),
    case(
        Code::P104,
        &[(FLAG, NO_PODS), STAFF, STAFF_AGAIN],
        "spec.target.deployment-replicas.total",
        "0",
    ),
    case(
        Code::P107,
        &[(FLAG, BIG), STAFF, STAFF_AGAIN],
        "spec.target.httproute.namespace",
        "Shop",
    ),
    case(
        Code::P203,
        &[(FLAG, FEW), STAFF, STAFF_AGAIN],
        "spec.phases[0].weight",
        "15%",
    ),
    case(
        Code::P209,
        &[(FLAG, SELECTOR), STAFF, STAFF_AGAIN],
        "spec.phases[1].weight",
        "40%",
    ),
    case(
        Code::P215,
        &[(FLAG, SAME), STAFF, STAFF_AGAIN],
        "spec.target.httproute.old",
        "checkout",
    ),
    case(
        Code::P220,
        &[(
            "  noData: hold               # silence is not health: stay, and page\n",
            ELSEWHERE,
        )],
        "spec.rollback.ladder",
        "ladder",
    ),
    case(
        Code::P221,
        &[(
            "  noData: hold               # silence is not health: stay, and page\n",
            AT_ONCE,
        )],
        "spec.rollback.ladder[0].within",
        "0s",
    ),
    case(
        Code::P228,
        &[(
            "  noData: hold               # silence is not health: stay, and page\n",
            LOGS_OF_A_FLAG,
        )],
        "spec.rollback.podLogs",
        "20",
    ),
    case(
        Code::P231,
        &[(FLAG, DIP), STAFF, STAFF_AGAIN],
        "spec.target.deployment-replicas.floor",
        "80%",
    ),
    case(
        Code::P105,
        &[("gate: manual", "gate: manually")],
        "spec.phases[1].gate",
        "manually",
    ),
    case(
        Code::P105,
        &[("action: log", "action: decide")],
        "spec.severities.sev3.action",
        "decide",
    ),
    case(Code::P106, &[(MATCHERS, "matchers: []")], SLOW, "matchers"),
    case(Code::P106, &[("New checkout to production", "''")], "spec.title", "''"),
    case(Code::P106, &[("New checkout to production", "")], "spec.title", "title"),
    case(
        Code::P107,
        &[("name: checkout\n", "name: Checkout_2\n")],
        "metadata.name",
        "Checkout_2",
    ),
    case(
        Code::P107,
        &[("name: canary", "name: 'the canary'")],
        "spec.phases[0].name",
        "'the canary'",
    ),
    case(
        Code::P107,
        &[("key: checkout-v2", "key: checkout/v2")],
        "spec.target.flag.key",
        "checkout/v2",
    ),
    case(Code::P108, &[("bake: 30m", "bake: 30")], "spec.phases[0].bake", "30"),
    case(
        Code::P109,
        &[(MATCHERS, "matchers: [alertname]")],
        "spec.triggers[1].alert.matchers[0]",
        "alertname",
    ),
    case(
        Code::P109,
        &[(MATCHERS, "matchers: [{alertname: Slow}]")],
        "spec.triggers[1].alert.matchers[0]",
        "{",
    ),
    case(
        Code::P113,
        &[("name: some", "name: canary")],
        "spec.phases[1].name",
        "canary",
    ),
    case(
        Code::P114,
        &[("channels: [chat, log]", "channels: [chat, chat]")],
        "spec.audiences.team.channels[1]",
        "chat",
    ),
    case(
        Code::P120,
        &[("weight: 15%", "weight: 0.15")],
        "spec.phases[0].weight",
        "0.15",
    ),
    case(
        Code::P120,
        &[("weight: 100%", "weight: 110%")],
        "spec.phases[2].weight",
        "110%",
    ),
    case(
        Code::P160,
        &[(MATCHERS, r#"matchers: [service="cart", a="b"]"#)],
        "spec.triggers[1].alert.matchers[0]",
        "service=\"cart\"",
    ),
    case(
        Code::P160,
        &[(MATCHERS, r#"matchers: ['a="b"', 'a=~"c|d"']"#)],
        "spec.triggers[1].alert.matchers[1]",
        "'a=~\"c|d\"'",
    ),
    case(
        Code::P160,
        &[(MATCHERS, r#"matchers: ['a="b"', 'c!~".*"']"#)],
        "spec.triggers[1].alert.matchers[1]",
        "'c!~\".*\"'",
    ),
    case(
        Code::P160,
        &[(MATCHERS, r#"matchers: ['job="tidegate"']"#)],
        "spec.triggers[1].alert.matchers[0]",
        "'job=\"tidegate\"'",
    ),
    case(
        Code::P161,
        &[("[mara]\n", "[]\n"), ("members: [jon, nia]", "members: []")],
        "spec.severities.sev2.action.decide.by",
        "by",
    ),
    case(
        Code::P162,
        &[("members: [jon, nia]", "members: []")],
        "spec.roles.oncall.members",
        "members",
    ),
    case(
        Code::P163,
        &[(MATCHERS, r#"matchers: ['a!="b"', 'c=~"d|e"']"#)],
        SLOW,
        "matchers",
    ),
    case(
        Code::P164,
        &[(MATCHERS, r#"matchers: ['a="b"', 'c=~".+"']"#)],
        "spec.triggers[1].alert.matchers[1]",
        "'c=~\".+\"'",
    ),
    case(
        Code::P164,
        &[(MATCHERS, r#"matchers: ['a="b"', 'c=~"x?"']"#)],
        "spec.triggers[1].alert.matchers[1]",
        "'c=~\"x?\"'",
    ),
    case(
        Code::P165,
        &[("severity: sev3", "severity: sev1")],
        "spec.triggers[2].severity",
        "sev1",
    ),
    case(
        Code::P166,
        &[("severity: sev3", "severity: sev2")],
        "spec.triggers[2].severity",
        "sev2",
    ),
    case(
        Code::P167,
        &[(MATCHERS, r#"matchers: ['service="checkout"', 'a="b"']"#)],
        "spec.triggers[1].alert.matchers[0]",
        "'service=\"checkout\"'",
    ),
    case(
        Code::P168,
        &[("CheckoutLatencyHigh", "Watchdog")],
        "spec.triggers[1].alert.matchers[0]",
        "'alertname=\"Watchdog\"'",
    ),
    case(
        Code::P170,
        &[
            ("severity: sev1", "severity: sev3"),
            ("severity: sev2", "severity: sev3"),
        ],
        "spec.triggers",
        "triggers",
    ),
    case(
        Code::P171,
        &[("severity: sev2", "severity: sev1")],
        "spec.severities.sev2",
        "sev2",
    ),
    case(
        Code::P201,
        &[("weight: 40%", "weight: 10%")],
        "spec.phases[1].weight",
        "10%",
    ),
    case(
        Code::P202,
        &[("weight: 40%", "weight: 46%")],
        "spec.phases[1].weight",
        "46%",
    ),
    case(
        Code::P204,
        &[("weight: 15%", "weight: 26%")],
        "spec.phases[0].weight",
        "26%",
    ),
    case(
        Code::P205,
        &[("weight: 100%", "weight: 99.99%")],
        "spec.phases[2].weight",
        "99.99%",
    ),
    case(
        Code::P206,
        &[
            ("weight: 15%", "weight: 0%"),
            ("weight: 40%", "weight: 0%"),
            ("weight: 100%", "weight: 0%"),
        ],
        "spec.phases",
        "phases",
    ),
    case(
        Code::P207,
        &[("weight: 15%", "weight: 0%")],
        "spec.phases[0].groups[0]",
        "staff",
    ),
    case(
        Code::P208,
        &[("advance\n      groups: [staff]\n", "advance\n")],
        "spec.phases[0].groups[0]",
        "staff",
    ),
    case(Code::P212, &[("bake: 30m", "bake: 0s")], "spec.phases[0].bake", "0s"),
    case(Code::P213, &[("  watch: 1d ", "  #")], "spec.watch", "spec"),
    case(Code::P214, &[("bake: 30m", "bake: 59s")], "spec.phases[0].bake", "59s"),
    case(
        Code::P216,
        &[(
            "      bake: 30m",
            "      approvals: [{ role: oncall, people: 3 }]\n      bake: 30m",
        )],
        "spec.phases[0].approvals[0]",
        "{",
    ),
    case(
        Code::P102,
        &[(
            "      bake: 30m",
            "      checks: [{ id: sessions, text: Sessions last, owner: oncal }]\n      bake: 30m",
        )],
        "spec.phases[0].checks[0].owner",
        "oncal",
    ),
    case(
        Code::P240,
        &[("channels: [pager]", "channels: [chat]"), ("[announcements]", "[log]")],
        "spec.audiences",
        "audiences",
    ),
    case(
        Code::P242,
        &[("default: rollback } }, page: true", "default: rollback } }")],
        "spec.severities.sev2",
        "sev2",
    ),
    case(
        Code::P270,
        &[("New checkout to", "postgres://shop:hunter2@db/x to")],
        "spec.title",
        "postgres://shop:hunter2@db/x to production",
    ),
    case(
        Code::P290,
        &[("  environment:", "  mode: shadow\n  environment:")],
        "spec.mode",
        "shadow",
    ),
    case(
        Code::P291,
        &[("watchdog: required", "watchdog: none")],
        "spec.alerts.watchdog",
        "none",
    ),
    case(
        Code::P292,
        &[("receivers: [default]", "receivers: []")],
        "spec.alerts.receivers",
        "receivers",
    ),
    case(
        Code::P293,
        &[("noData: hold", "noData: { rollbackAfter: 90s }")],
        "spec.noData.rollbackAfter",
        "90s",
    ),
    case(
        Code::P294,
        &[("within: 15m", "within: 0s")],
        "spec.severities.sev2.action.decide.within",
        "0s",
    ),
    case(
        Code::P295,
        &[("default: rollback", "default: hold")],
        "spec.severities.sev2.action.decide.default",
        "hold",
    ),
    case(
        Code::P296,
        &[("{ required: true }", "{ required: true, default: v2 }")],
        "spec.inputs.version.default",
        "v2",
    ),
];
