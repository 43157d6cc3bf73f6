//! Owns samples of every kind of notice, awkward ones among them, so that templates fail before an incident.
//! Refuses to leave a kind out: the match below does not compile without it.

mod headline;

use jiff::{SignedDuration, Timestamp};

use super::{Bulletin, Counts, Notice, NoticeKind};
use crate::action::ReadBack;
use crate::ids::{NoticeId, RolloutId};
use crate::period::Period;
use crate::rollout::Guard;
use crate::weight::{Share, Weight};

/// Text as hostile as it gets: mentions of two platforms, markup, a template, quotes, line breaks, direction marks.
pub const HOSTILE: &str = "<!channel> @everyone <@U1> {{secrets.token}} <script>alert(1)</script> \"quoted\" *bold*\nsecond line \u{202e}evil & more";

impl Notice {
    /// At least one sample of each kind; hostile text wherever text from outside can stand.
    pub fn samples() -> Vec<Self> {
        let kinds = kinds();
        kinds
            .into_iter()
            .enumerate()
            .map(|(n, kind)| Self {
                id: NoticeId::of(&RolloutId::numbered("checkout", 17), 41, n),
                at: moment(0),
                to: addressed(&kind),
                severity: None,
                about: headline::about(&kind),
                kind,
            })
            .collect()
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_795_226_700 + seconds)
}

fn read_back(percent: u8) -> ReadBack {
    ReadBack {
        weight: Weight::percent(percent),
        how: "the flag serves it; 3112 evaluations since".to_owned(),
        seen_in_traffic: true,
        observed: Some(Share { new: 778, total: 3112 }),
        at: moment(2),
    }
}

fn kinds() -> Vec<NoticeKind> {
    let all = [
        about_progress(),
        about_alerts(),
        about_the_end(),
        about_gates_and_hooks(),
        about_commitments(),
        about_the_server(),
    ]
    .concat();
    debug_assert!(all.iter().all(is_listed));
    all
}

fn about_progress() -> Vec<NoticeKind> {
    let text = || HOSTILE.to_owned();
    let jon = || "jon".to_owned();
    vec![
        NoticeKind::Started { by: jon() },
        NoticeKind::PhaseBegan {
            bake: Period::minutes(30),
            read_back: read_back(25),
            manual: true,
        },
        NoticeKind::PhaseBegan {
            bake: Period::ZERO,
            read_back: read_back(25),
            manual: false,
        },
        NoticeKind::WaitsAtGate {
            baked: Period::minutes(30),
        },
        NoticeKind::Paused {
            by: jon(),
            reason: text(),
        },
        NoticeKind::Paused {
            by: jon(),
            reason: String::new(),
        },
        NoticeKind::Resumed {
            by: jon(),
            stood: Period::seconds(90),
        },
        NoticeKind::Held {
            number: 1,
            by: jon(),
            reason: text(),
            until: None,
        },
        NoticeKind::Held {
            number: 1,
            by: jon(),
            reason: text(),
            until: Some(moment(5400)),
        },
        NoticeKind::GuardHolds {
            number: 2,
            guard: "pre-existing alert".to_owned(),
            reason: text(),
            stopped: false,
        },
        NoticeKind::GuardHolds {
            number: 2,
            guard: Guard::ForeignChange.word().to_owned(),
            reason: text(),
            stopped: true,
        },
        NoticeKind::Released { number: 1, by: jon() },
    ]
}

fn about_alerts() -> Vec<NoticeKind> {
    let text = || HOSTILE.to_owned();
    let jon = || "jon".to_owned();
    vec![
        NoticeKind::AlertLogged {
            alert: text(),
            trigger: "latency".to_owned(),
            severity: "sev3".to_owned(),
            since: moment(-60),
            page: true,
        },
        NoticeKind::AlertLogged {
            alert: text(),
            trigger: "latency".to_owned(),
            severity: "sev4".to_owned(),
            since: moment(-60),
            page: false,
        },
        NoticeKind::AlertResolved { alert: text() },
        NoticeKind::AlertSuppressed {
            alert: text(),
            by: text(),
        },
        NoticeKind::AlertSuspect { alert: text() },
        NoticeKind::DecisionOpened {
            number: 3,
            question: text(),
            deadline: moment(1800),
            default: "rollback".to_owned(),
            by: vec!["incident-commander".to_owned()],
        },
        NoticeKind::DecisionAnswered {
            number: 3,
            by: jon(),
            answer: "continue".to_owned(),
        },
    ]
}

fn about_the_end() -> Vec<NoticeKind> {
    let text = || HOSTILE.to_owned();
    let jon = || "jon".to_owned();
    vec![
        NoticeKind::WouldRollBack { because: text() },
        NoticeKind::RollingBack {
            because: text(),
            from: "25%".to_owned(),
            automatic: true,
            questions: vec![3],
        },
        NoticeKind::RollbackStuck {
            why: text(),
            attempts: 7,
            lasting: Period::seconds(31),
            given_up: false,
        },
        NoticeKind::RolledBack {
            because: text(),
            from: "25%".to_owned(),
            took: Period::millis(840),
            since_alert: Some(Period::seconds(6)),
            read_back: read_back(0),
            left: Vec::new(),
        },
        NoticeKind::RolledBack {
            because: text(),
            from: "25%".to_owned(),
            took: Period::seconds(31),
            since_alert: Some(Period::seconds(40)),
            read_back: ReadBack {
                how: "2 pods of the new version are gone. That is rung pods; not read back at zero, and still tried: \
                      flag-off (flag/checkout)"
                    .to_owned(),
                seen_in_traffic: false,
                ..read_back(0)
            },
            left: vec!["flag-off (flag/checkout)".to_owned()],
        },
        NoticeKind::AdvanceFailed { why: text() },
        NoticeKind::NoData {
            why: text(),
            rolls_back_after: None,
        },
        NoticeKind::NoData {
            why: text(),
            rolls_back_after: Some(Period::minutes(10)),
        },
        NoticeKind::DataBack {
            lasting: Period::minutes(2),
        },
        NoticeKind::Watching {
            lasting: Period::minutes(60),
        },
        NoticeKind::Completed {
            took: Period::minutes(600),
        },
        NoticeKind::Aborted {
            by: jon(),
            reason: text(),
        },
    ]
}

fn about_gates_and_hooks() -> Vec<NoticeKind> {
    let text = || HOSTILE.to_owned();
    let jon = || "jon".to_owned();
    vec![
        NoticeKind::ApprovalAsked {
            baked: Period::minutes(30),
            open: vec![
                "approval by product (dana)".to_owned(),
                format!("check sessions: {HOSTILE}"),
            ],
        },
        NoticeKind::Approved {
            by: jon(),
            role: "ops-lead".to_owned(),
            comment: text(),
            open: vec!["approval by product (dana)".to_owned()],
        },
        NoticeKind::Approved {
            by: jon(),
            role: "ops-lead".to_owned(),
            comment: String::new(),
            open: Vec::new(),
        },
        NoticeKind::Checked {
            by: jon(),
            item: "sessions".to_owned(),
            what: text(),
            done: true,
            evidence: text(),
            open: Vec::new(),
        },
        NoticeKind::Acknowledged {
            by: jon(),
            what: text(),
        },
        NoticeKind::PodLogs {
            pods: vec![
                "checkout-new-7d9f4 (app: CrashLoopBackOff, 4 restarts)".to_owned(),
                format!("checkout-new-x2k8p (app: not ready) {HOSTILE}"),
            ],
            output: format!("checkout-new-7d9f4: {HOSTILE}"),
            unread: None,
            alerted: true,
        },
        NoticeKind::PodLogs {
            pods: Vec::new(),
            output: String::new(),
            unread: Some(text()),
            alerted: false,
        },
        NoticeKind::HookPassed {
            hook: "backup".to_owned(),
            when: "before phase quarter".to_owned(),
            took: Some(Period::seconds(42)),
            output: text(),
        },
        NoticeKind::HookFailed {
            hook: "migrate".to_owned(),
            when: "before phase quarter".to_owned(),
            why: text(),
            took: Some(Period::millis(1_200)),
            output: text(),
            hold: Some(4),
            unknown: false,
        },
        NoticeKind::HookFailed {
            hook: "workers-up".to_owned(),
            when: "after the rollback".to_owned(),
            why: text(),
            took: None,
            output: String::new(),
            hold: None,
            unknown: true,
        },
        NoticeKind::RollbackStuck {
            why: text(),
            attempts: 240,
            lasting: Period::minutes(61),
            given_up: true,
        },
    ]
}

/// What is addressed to somebody names them.
fn addressed(kind: &NoticeKind) -> Vec<String> {
    match kind {
        NoticeKind::Update(_) | NoticeKind::Report { .. } => vec!["stakeholders".to_owned()],
        _ => Vec::new(),
    }
}

fn about_commitments() -> Vec<NoticeKind> {
    let text = || HOSTILE.to_owned();
    let bulletin = Bulletin {
        name: "hourly".to_owned(),
        number: 3,
        health: "OFF TARGET".to_owned(),
        open: vec![
            format!("hold 1 by jon: {HOSTILE}"),
            format!("alert {HOSTILE} fires since 12:03 CET"),
        ],
        more_open: 2,
        happened: vec![format!("12:04 jon placed hold 1: {HOSTILE}")],
        since: moment(-3600),
        next: Some(moment(3600)),
        zone: "Europe/Berlin".to_owned(),
    };
    let quiet = Bulletin {
        health: "HEALTHY".to_owned(),
        open: Vec::new(),
        more_open: 0,
        happened: Vec::new(),
        next: None,
        zone: "UTC".to_owned(),
        ..bulletin.clone()
    };
    let missed = |times, zone: &str| NoticeKind::CommitmentMissed {
        name: "hourly".to_owned(),
        promised: "an update every 1h while in cutover".to_owned(),
        audiences: vec!["stakeholders".to_owned(), text()],
        due: moment(-300),
        times,
        why: format!("no message of it was sent on {HOSTILE} in time"),
        zone: zone.to_owned(),
    };
    let counts = Counts {
        running: Period::minutes(600),
        alerts: 4,
        firing: 1,
        holds: 1,
        questions: 0,
        kept: 9,
        missed: 1,
    };
    vec![
        NoticeKind::Update(Box::new(bulletin.clone())),
        NoticeKind::Update(Box::new(quiet)),
        NoticeKind::Report {
            bulletin: Box::new(bulletin),
            counts,
        },
        missed(1, "Europe/Berlin"),
        missed(3, "UTC"),
    ]
}

fn about_the_server() -> Vec<NoticeKind> {
    vec![NoticeKind::DeliveryMissed {
        source: "pagerduty".to_owned(),
        receiver: "default".to_owned(),
        why: HOSTILE.to_owned(),
        polled: false,
    }]
}

/// Fails to compile when a kind is added, as a reminder to add its sample above.
fn is_listed(kind: &NoticeKind) -> bool {
    match kind {
        NoticeKind::Started { .. }
        | NoticeKind::PhaseBegan { .. }
        | NoticeKind::WaitsAtGate { .. }
        | NoticeKind::Paused { .. }
        | NoticeKind::Resumed { .. }
        | NoticeKind::Held { .. }
        | NoticeKind::GuardHolds { .. }
        | NoticeKind::Released { .. }
        | NoticeKind::AlertLogged { .. }
        | NoticeKind::AlertResolved { .. }
        | NoticeKind::AlertSuppressed { .. }
        | NoticeKind::AlertSuspect { .. }
        | NoticeKind::DecisionOpened { .. }
        | NoticeKind::DecisionAnswered { .. }
        | NoticeKind::WouldRollBack { .. }
        | NoticeKind::RollingBack { .. }
        | NoticeKind::RollbackStuck { .. }
        | NoticeKind::RolledBack { .. }
        | NoticeKind::AdvanceFailed { .. }
        | NoticeKind::NoData { .. }
        | NoticeKind::DataBack { .. }
        | NoticeKind::Watching { .. }
        | NoticeKind::Completed { .. }
        | NoticeKind::Aborted { .. }
        | NoticeKind::ApprovalAsked { .. }
        | NoticeKind::Approved { .. }
        | NoticeKind::Checked { .. }
        | NoticeKind::Acknowledged { .. }
        | NoticeKind::HookPassed { .. }
        | NoticeKind::HookFailed { .. }
        | NoticeKind::PodLogs { .. }
        | NoticeKind::Update(_)
        | NoticeKind::Report { .. }
        | NoticeKind::CommitmentMissed { .. }
        | NoticeKind::DeliveryMissed { .. } => true,
    }
}
