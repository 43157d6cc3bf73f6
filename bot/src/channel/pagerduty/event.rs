//! Owns which notices open, acknowledge and close which incidents in PagerDuty, and how an event looks on the wire.
//! Refuses a key that could collide: it names the rollout and what is open there.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tidegate_rollout::Notice;
use tidegate_rollout::notice::{About, NoticeKind};
use url::Url;

use crate::render::one_line;

/// Incidents that we opened are known by this when they come back to us as alerts.
const OURS: &str = "tidegate:";
/// The longest summary and key that PagerDuty takes, in characters.
const SUMMARY: usize = 1_024;
const KEY: usize = 255;
/// The longest text that goes along, in characters.
const DETAIL: usize = 8_000;

/// How bad it is, in PagerDuty's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Critical,
    Error,
    Warning,
    Info,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Which incident.
    key: String,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Trigger(Box<Value>),
    Acknowledge,
    Resolve,
}

/// What can be open about a rollout, each an incident of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// A gate waits for people.
    Gate,
    /// Health is not known.
    Data,
    /// The target could not be moved.
    Advance,
    /// Traffic went back by itself, or does not go back.
    Rollback,
    /// A hold or a question of this number; they are numbered together.
    Numbered(u32),
}

impl Open {
    fn word(self) -> String {
        match self {
            Self::Gate => "gate".to_owned(),
            Self::Data => "data".to_owned(),
            Self::Advance => "advance".to_owned(),
            Self::Rollback => "rollback".to_owned(),
            Self::Numbered(number) => format!("number-{number}"),
        }
    }
}

impl Event {
    /// What a notice means to PagerDuty, in order.
    pub(super) fn all_of(notice: &Notice, text: &str, page: Option<&Url>) -> Vec<Self> {
        let about = &notice.about;
        let triggered = opens(notice).map(|(open, severity)| Self {
            key: key(about, &open),
            action: Action::Trigger(Box::new(payload(notice, text, severity, page))),
        });
        let acknowledged = looks_at(&notice.kind).into_iter().map(|open| Self {
            key: key(about, &open),
            action: Action::Acknowledge,
        });
        let resolved = closes(notice).into_iter().map(|open| Self {
            key: key(about, &open),
            action: Action::Resolve,
        });
        triggered.into_iter().chain(acknowledged).chain(resolved).collect()
    }

    /// Whether it opens what one of these notices, which came after it, has closed.
    pub(super) fn is_settled_by(&self, since: &[Notice]) -> bool {
        let closed = |notice: &Notice| closes(notice).iter().any(|open| key(&notice.about, open) == self.key);
        self.opens() && since.iter().any(closed)
    }

    /// Whether it opens an incident where none is.
    pub(super) fn opens(&self) -> bool {
        matches!(self.action, Action::Trigger(_))
    }

    /// The event as it is sent.
    pub(super) fn document(&self, routing_key: &SecretString) -> Value {
        let mut document = match &self.action {
            Action::Trigger(payload) => {
                let mut document = (**payload).clone();
                document["event_action"] = "trigger".into();
                document
            }
            Action::Acknowledge => json!({ "event_action": "acknowledge" }),
            Action::Resolve => json!({ "event_action": "resolve" }),
        };
        document["routing_key"] = routing_key.expose_secret().into();
        document["dedup_key"] = self.key.as_str().into();
        document
    }
}

/// What needs a person from now on, and how badly.
pub(super) fn opens(notice: &Notice) -> Option<(String, Severity)> {
    let (open, severity) = match &notice.kind {
        NoticeKind::RollingBack { automatic: true, .. } | NoticeKind::RollbackStuck { .. } => {
            (Open::Rollback, Severity::Critical)
        }
        // Traffic is safe; why it went back is what somebody has to find out.
        NoticeKind::RolledBack {
            since_alert: Some(_), ..
        } => (Open::Rollback, Severity::Error),
        // Evidence for whoever looks for the cause.
        NoticeKind::PodLogs { alerted: true, .. } => (Open::Rollback, Severity::Error),
        NoticeKind::DecisionOpened { number, .. } => (Open::Numbered(*number), Severity::Critical),
        NoticeKind::GuardHolds { number, .. } | NoticeKind::HookFailed { hold: Some(number), .. } => {
            (Open::Numbered(*number), Severity::Error)
        }
        NoticeKind::NoData { .. } => (Open::Data, Severity::Error),
        NoticeKind::AdvanceFailed { .. } => (Open::Advance, Severity::Error),
        NoticeKind::WaitsAtGate { .. } | NoticeKind::ApprovalAsked { .. } => (Open::Gate, Severity::Info),
        NoticeKind::HookFailed { hold: None, hook, .. } => return Some((format!("hook-{hook}"), Severity::Warning)),
        NoticeKind::AlertLogged { page: true, alert, .. } => return Some((of_alert(alert), Severity::Warning)),
        NoticeKind::CommitmentMissed { name, .. } => return Some((format!("commitment-{name}"), Severity::Error)),
        NoticeKind::DeliveryMissed { source, receiver, .. } => {
            return Some((format!("delivery-{source}-{receiver}"), Severity::Error));
        }
        _ => return None,
    };
    Some((open.word(), severity))
}

/// What somebody looks at.
pub(super) fn looks_at(kind: &NoticeKind) -> Vec<String> {
    let NoticeKind::Acknowledged { what, .. } = kind else {
        return Vec::new();
    };
    match what.strip_prefix("decision ").and_then(|number| number.parse().ok()) {
        Some(number) => vec![Open::Numbered(number).word()],
        None => vec![of_alert(what), Open::Rollback.word()],
    }
}

/// What is settled.
pub(super) fn closes(notice: &Notice) -> Vec<String> {
    let numbered = |numbers: &[u32]| numbers.iter().map(|number| Open::Numbered(*number)).collect();
    let closed: Vec<Open> = match &notice.kind {
        NoticeKind::AlertResolved { alert } => return vec![of_alert(alert)],
        NoticeKind::DecisionAnswered { number, .. } | NoticeKind::Released { number, .. } => {
            vec![Open::Numbered(*number)]
        }
        NoticeKind::DataBack { .. } => vec![Open::Data],
        NoticeKind::PhaseBegan { .. } | NoticeKind::Watching { .. } => vec![Open::Gate, Open::Advance],
        NoticeKind::RollingBack { questions, .. } => numbered(questions),
        // What was open about going forward is over. After a rollback that an alert caused, that one is left to people.
        NoticeKind::RolledBack {
            since_alert: Some(_), ..
        } => over(notice, &[]),
        NoticeKind::RolledBack { .. } | NoticeKind::Completed { .. } | NoticeKind::Aborted { .. } => {
            over(notice, &[Open::Rollback])
        }
        _ => Vec::new(),
    };
    closed.into_iter().map(Open::word).collect()
}

/// All that can be open about a rollout that is over, and `also`.
fn over(notice: &Notice, also: &[Open]) -> Vec<Open> {
    let holds = notice.about.holds.iter().map(|number| Open::Numbered(*number));
    let rest = [Open::Gate, Open::Data, Open::Advance]
        .into_iter()
        .chain(also.iter().copied());
    rest.chain(holds).collect()
}

fn of_alert(name: &str) -> String {
    format!("alert-{name}")
}

fn key(about: &About, open: &str) -> String {
    cut(&format!("{OURS}{}:{open}", about.rollout), KEY)
}

fn payload(notice: &Notice, text: &str, severity: Severity, page: Option<&Url>) -> Value {
    let about = &notice.about;
    let headline = text.lines().next().unwrap_or_default();
    let source = match one_line(&about.environment) {
        environment if environment.is_empty() => "tidegate".to_owned(),
        environment => format!("tidegate/{environment}"),
    };
    let mut document = json!({
        "payload": {
            "summary": cut(headline, SUMMARY),
            "source": source,
            "severity": severity.word(),
            "timestamp": notice.at.to_string(),
            "component": one_line(&about.service),
            "group": one_line(&about.environment),
            "class": notice.kind.word(),
            "custom_details": {
                "text": cut(text, DETAIL),
                "rollout": about.rollout,
                "title": one_line(&about.title),
                "state": about.state,
                // What was decided; whether it is so, the text says.
                "wanted_weight": about.weight,
            },
        },
        "client": "Tidegate",
    });
    if let Some(page) = page {
        document["client_url"] = page.as_str().into();
        document["links"] = json!([{ "href": page.as_str(), "text": "The rollout" }]);
    }
    document
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(fits: impl Fn(&NoticeKind) -> bool) -> Notice {
        Notice::samples().into_iter().find(|sample| fits(&sample.kind)).unwrap()
    }

    /// Actions and what is open, in order.
    fn told(notice: &Notice) -> Vec<(String, String)> {
        let secret = SecretString::from("k".repeat(32));
        let events = Event::all_of(notice, "FIRST LINE\nand more", None);
        let documents = events.iter().map(|event| event.document(&secret));
        let pair = |document: Value| {
            let key = document["dedup_key"].as_str().unwrap();
            let open = key.strip_prefix("tidegate:checkout-17:").unwrap_or(key);
            (document["event_action"].as_str().unwrap().to_owned(), open.to_owned())
        };
        documents.map(pair).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
            .collect()
    }

    #[test]
    fn what_needs_a_person_opens_one_incident_and_what_settles_it_closes_that() {
        let opened = sample(|kind| matches!(kind, NoticeKind::DecisionOpened { .. }));
        let NoticeKind::DecisionOpened { number, .. } = opened.kind else {
            panic!()
        };
        let open = format!("number-{number}");
        assert_eq!(told(&opened), pairs(&[("trigger", &open)]));
        let mut seen = sample(|kind| matches!(kind, NoticeKind::Acknowledged { .. }));
        seen.kind = NoticeKind::Acknowledged {
            by: "jon".to_owned(),
            what: format!("decision {number}"),
        };
        assert_eq!(told(&seen), pairs(&[("acknowledge", &open)]));
        let mut answered = seen.clone();
        answered.kind = NoticeKind::DecisionAnswered {
            number,
            by: "jon".to_owned(),
            answer: "continue".to_owned(),
        };
        assert_eq!(told(&answered), pairs(&[("resolve", &open)]));
    }

    #[test]
    fn a_rollback_of_its_own_wakes_somebody_and_one_by_hand_nobody() {
        let mut rolling = sample(|kind| matches!(kind, NoticeKind::RollingBack { .. }));
        assert_eq!(
            told(&rolling),
            pairs(&[("trigger", "rollback"), ("resolve", "number-3")])
        );
        if let NoticeKind::RollingBack { automatic, .. } = &mut rolling.kind {
            *automatic = false;
        }
        assert_eq!(told(&rolling), pairs(&[("resolve", "number-3")]));
        let mut back = sample(|kind| matches!(kind, NoticeKind::RolledBack { .. }));
        let closed = [("resolve", "gate"), ("resolve", "data"), ("resolve", "advance")];
        let hold = ("resolve", "number-2");
        assert_eq!(
            told(&back),
            pairs(&[("trigger", "rollback"), closed[0], closed[1], closed[2], hold])
        );
        if let NoticeKind::RolledBack { since_alert, .. } = &mut back.kind {
            *since_alert = None;
        }
        let rollback = ("resolve", "rollback");
        assert_eq!(told(&back), pairs(&[closed[0], closed[1], closed[2], rollback, hold]));
    }

    #[test]
    fn every_page_of_the_samples_opens_something_and_fits() {
        for notice in Notice::samples() {
            let text = "x".repeat(2_000);
            let events = Event::all_of(&notice, &text, None);
            let opens = events
                .iter()
                .filter(|event| matches!(event.action, Action::Trigger(_)))
                .count();
            let by_hand = matches!(notice.kind, NoticeKind::RollingBack { automatic: false, .. });
            let loud = notice.kind.loudness() == tidegate_rollout::plan::Hears::Pages && !by_hand;
            let adds = matches!(notice.kind, NoticeKind::PodLogs { alerted: true, .. });
            assert_eq!(opens, usize::from(loud || adds), "{}", notice.kind.word());
            for event in events {
                let document = event.document(&SecretString::from("k".repeat(32)));
                let summary = document["payload"]["summary"].as_str().unwrap_or_default();
                assert!(summary.chars().count() <= SUMMARY && event.key.chars().count() <= KEY);
            }
        }
    }
}
