//! Owns the sentence of the log for every kind of notice: plain words that stand alone.
//! Refuses to word anything for a surface: templates do.

use super::{About, Bulletin, NoticeKind, clock};
use crate::period::Period;

impl NoticeKind {
    /// The sentence of the log: what happened, in plain words that stand alone.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each kind: divided, nobody would see whether all are there"
    )]
    pub fn sentence(&self, about: &About) -> String {
        let phase = about.phase.as_deref().unwrap_or("none");
        match self {
            Self::Started { by } => format!("{by} started {}.", about.rollout),
            Self::PhaseBegan { bake, read_back, .. } => {
                format!(
                    "Phase {phase} carries {}; it bakes for {bake}. {}.",
                    read_back.weight, read_back.how
                )
            }
            Self::WaitsAtGate { baked } => format!("Phase {phase} has baked {baked}; its gate waits for a person."),
            Self::Paused { by, reason } => format!("{by} paused it{}.", because(reason)),
            Self::Resumed { by, stood } => format!("{by} resumed it; it stood still for {stood}."),
            Self::Held {
                number,
                by,
                reason,
                until,
            } => {
                let until = until
                    .map(|until| format!(" until {}", clock(until)))
                    .unwrap_or_default();
                format!("{by} placed hold {number}{until}: {reason}")
            }
            Self::GuardHolds {
                number, guard, reason, ..
            } => format!("Hold {number} by guard {guard}: {reason}"),
            Self::Released { number, by } => format!("{by} released hold {number}."),
            Self::AlertLogged {
                alert,
                trigger,
                severity,
                since,
                ..
            } => format!(
                "Alert {alert} fires since {} (trigger {trigger}, {severity}): logged, no action.",
                clock(*since)
            ),
            Self::AlertResolved { alert } => format!("Alert {alert} is no longer reported. This alone proves nothing."),
            Self::AlertSuppressed { alert, by } => format!("Alert {alert} is suppressed: {by}."),
            Self::AlertSuspect { alert } => {
                format!("Alert {alert} came back after its end; its source is being asked.")
            }
            Self::DecisionOpened {
                number,
                question,
                deadline,
                default,
                ..
            } => format!(
                "Decision {number} is open until {}: {question} Default: {default}.",
                clock(*deadline)
            ),
            Self::DecisionAnswered { number, by, answer } => format!("{by} answered decision {number}: {answer}."),
            Self::WouldRollBack { because } => format!("Shadow mode: it would roll back now. {because}"),
            Self::RollingBack {
                because,
                from,
                automatic,
                ..
            } => {
                let how = if *automatic { "Automatic rollback" } else { "Rollback" };
                format!("{how} from {from} to 0%: {because}.")
            }
            Self::RollbackStuck {
                why,
                attempts,
                lasting,
                given_up: false,
            } => format!("The rollback is stuck after {attempts} attempts in {lasting}: {why}"),
            Self::RollbackStuck {
                why,
                attempts,
                given_up: true,
                ..
            } => format!("A rung of the rollback is given up after {attempts} attempts: {why}"),
            Self::RolledBack {
                from, took, read_back, ..
            } => format!(
                "Rolled back from {from} to {} in {took}. {}.",
                read_back.weight, read_back.how
            ),
            Self::AdvanceFailed { why } => format!("The target could not be moved: {why}"),
            Self::NoData { why, rolls_back_after } => {
                let then = rolls_back_after.map(|after| format!(" It goes back once that lasts {after}."));
                let then = then.unwrap_or_default();
                format!("Health is not known: {why}. Nothing advances.{then}")
            }
            Self::DataBack { lasting } => format!("Health is known again after {lasting}."),
            Self::Watching { lasting } => format!("All phases are done; a rollback stays armed for {lasting}."),
            Self::Completed { took } => format!("Completed after {took}."),
            Self::ApprovalAsked { baked, open } => {
                format!(
                    "Phase {phase} has baked {baked}; its gate waits for: {}.",
                    open.join("; ")
                )
            }
            Self::Approved {
                by,
                role,
                comment,
                open,
            } => {
                let then = left(open);
                format!("{by} approved phase {phase} as {role}{}. {then}", because(comment))
            }
            Self::Checked {
                by,
                item,
                what,
                done,
                evidence,
                open,
            } => {
                let word = if *done { "ticked" } else { "took back the tick of" };
                format!("{by} {word} {item} ({what}){}. {}", because(evidence), left(open))
            }
            Self::Acknowledged { by, what } => format!("{by} looks at {what}."),
            Self::PodLogs { pods, unread, .. } => {
                let unread = unread
                    .as_deref()
                    .map(|why| format!(" Not read: {why}."))
                    .unwrap_or_default();
                match pods.len() {
                    0 => format!("Nothing of what the pods of the new version wrote is kept.{unread}"),
                    _ => format!(
                        "What pods of the new version wrote is kept: {}.{unread}",
                        pods.join("; ")
                    ),
                }
            }
            Self::HookPassed {
                hook,
                when,
                took,
                output,
            } => {
                format!("Hook {hook} {when} passed{}.{}", after(*took), printed(output))
            }
            Self::HookFailed {
                hook,
                when,
                why,
                took,
                output,
                hold,
                unknown,
            } => {
                let what = if *unknown { "may have run" } else { "failed" };
                let then = match hold {
                    Some(number) => format!("Hold {number} waits for a person."),
                    None => "Nothing waits for it.".to_owned(),
                };
                let (after, printed) = (after(*took), printed(output));
                format!("Hook {hook} {when} {what}{after}: {why}. {then}{printed}")
            }
            Self::Aborted { by, reason } => format!("{by} aborted it{}.", because(reason)),
            Self::DeliveryMissed {
                source, receiver, why, ..
            } => format!("A delivery from {source} to the receiver {receiver} could not be read: {why}"),
            Self::Update(bulletin) => format!("Update {} ({}): {}.", bulletin.number, bulletin.name, stands(bulletin)),
            Self::Report { bulletin, .. } => {
                format!("Report {} ({}): {}.", bulletin.number, bulletin.name, stands(bulletin))
            }
            Self::CommitmentMissed {
                name,
                promised,
                audiences,
                due,
                times,
                why,
                ..
            } => {
                let times = if *times > 1 {
                    format!(", {times} times in a row")
                } else {
                    String::new()
                };
                format!(
                    "Commitment {name} ({promised}) was missed{times}: {} had no word, due {}; {why}.",
                    audiences.join(", "),
                    clock(*due)
                )
            }
        }
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

fn left(open: &[String]) -> String {
    if open.is_empty() {
        "Nothing else is open at its gate.".to_owned()
    } else {
        format!("Still open: {}.", open.join("; "))
    }
}

fn after(took: Option<Period>) -> String {
    took.map(|took| format!(" after {took}")).unwrap_or_default()
}

fn stands(bulletin: &Bulletin) -> String {
    let open = bulletin.open.len() + bulletin.more_open;
    let health = if bulletin.health.is_empty() {
        "over"
    } else {
        &bulletin.health
    };
    format!("{health}, {open} open, {} since the last", bulletin.happened.len())
}

fn printed(output: &str) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!(" Its output ended with: {output}")
    }
}
