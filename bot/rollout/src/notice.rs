//! Owns everything Tidegate says about a rollout: the kinds, their facts, how loud each is.
//! Refuses to know channels and wording for surfaces: templates word it, routes carry it.

mod about;
mod bulletin;
mod hostile;
mod samples;
mod sentence;

pub use about::{About, NextUpdate};
pub(crate) use bulletin::cut;
pub use bulletin::{Bulletin, Counts};
pub use hostile::WORST;
pub use samples::HOSTILE;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::ReadBack;
use crate::ids::NoticeId;
use crate::period::Period;
use crate::plan::Hears;

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its name; the same after every crash, so that it is said once.
    pub id: NoticeId,
    /// When it was decided.
    pub at: Timestamp,
    /// The audiences to whom it is addressed; empty: everybody who hears what is so loud.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// How bad the plan says that is which caused it, where an alert did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The rollout as it stood then.
    pub about: About,
    /// What is said.
    #[serde(flatten)]
    pub kind: NoticeKind,
}

/// What is said. The facts of each kind are what its template can show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "facts")]
pub enum NoticeKind {
    /// Somebody started it.
    Started {
        /// Who.
        by: String,
    },
    /// The weight of a phase was read back; it bakes.
    PhaseBegan {
        /// The least time it bakes.
        bake: Period,
        /// What the target said.
        read_back: ReadBack,
        /// Whether a person must press advance afterwards.
        manual: bool,
    },
    /// The phase has baked; its gate waits for a person.
    WaitsAtGate {
        /// How long it baked.
        baked: Period,
    },
    /// A person stopped the clock.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person let the clock run again.
    Resumed {
        /// Who.
        by: String,
        /// How long it stood still.
        stood: Period,
    },
    /// A veto was placed by a person.
    Held {
        /// Its number.
        number: u32,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When it ends by itself; nothing: when somebody releases it.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// A guard holds the rollout and a person must look.
    GuardHolds {
        /// The number of the hold.
        number: u32,
        /// Which guard.
        guard: String,
        /// Why.
        reason: String,
        /// Whether a step was stopped by it, so that somebody must say `advance` once it is released.
        #[serde(default)]
        stopped: bool,
    },
    /// A veto was taken away, or ended.
    Released {
        /// Its number.
        number: u32,
        /// Who; `tidegate` when it ended by itself.
        by: String,
    },
    /// An alert of a severity that is only logged.
    AlertLogged {
        /// The alert's name.
        alert: String,
        /// The trigger.
        trigger: String,
        /// The severity.
        severity: String,
        /// Since when it fires.
        since: Timestamp,
        /// Whether the severity pages.
        #[serde(default)]
        page: bool,
    },
    /// The source stopped saying that an alert fires. This is no proof of health.
    AlertResolved {
        /// The alert's name.
        alert: String,
    },
    /// Somebody silenced an alert that concerns this rollout.
    AlertSuppressed {
        /// The alert's name.
        alert: String,
        /// By whom or what.
        by: String,
    },
    /// An alert came back after its end; its source is being asked.
    AlertSuspect {
        /// The alert's name.
        alert: String,
    },
    /// People must decide.
    DecisionOpened {
        /// Its number.
        number: u32,
        /// The question.
        question: String,
        /// Until when.
        deadline: Timestamp,
        /// What happens when nobody answers: `rollback` or `hold`.
        default: String,
        /// Roles that may answer.
        by: Vec<String>,
    },
    /// A person decided.
    DecisionAnswered {
        /// Its number.
        number: u32,
        /// Who.
        by: String,
        /// `continue` or `rollback`.
        answer: String,
    },
    /// The plan is in shadow mode: it would have rolled back now.
    WouldRollBack {
        /// Why.
        because: String,
    },
    /// Traffic is being returned to the old version.
    RollingBack {
        /// Why.
        because: String,
        /// The weight at the decision.
        from: String,
        /// Whether no person decided.
        automatic: bool,
        /// The numbers of the questions that this answers, and of the holds for hooks that it overtakes.
        #[serde(default)]
        questions: Vec<u32>,
    },
    /// Zero could not be written or read back yet.
    RollbackStuck {
        /// What was tried and what stands in the way.
        why: String,
        /// How often it was tried.
        attempts: u32,
        /// How long it has been tried.
        lasting: Period,
        /// Whether it is not tried any more: another rung came through long ago, and this one never did.
        #[serde(default)]
        given_up: bool,
    },
    /// Zero was read back.
    RolledBack {
        /// Why.
        because: String,
        /// The weight at the decision.
        from: String,
        /// From the decision to the read-back.
        took: Period,
        /// From the start of the alert to the read-back, where an alert was the reason.
        since_alert: Option<Period>,
        /// What the target said.
        read_back: ReadBack,
        /// The rungs from which zero was not read back, `rung (target)`: traffic may still lie with them.
        #[serde(default)]
        left: Vec<String>,
    },
    /// The target could not be moved; people must look.
    AdvanceFailed {
        /// What was tried and what stands in the way.
        why: String,
    },
    /// Health has not been known for a while.
    NoData {
        /// What is not known.
        why: String,
        /// How long it may last in all before traffic goes back by itself; nothing where it never does.
        #[serde(default)]
        rolls_back_after: Option<Period>,
    },
    /// Health is known again.
    DataBack {
        /// How long it was not.
        lasting: Period,
    },
    /// All phases are done; a rollback stays armed for a while.
    Watching {
        /// For how long.
        lasting: Period,
    },
    /// It is done.
    Completed {
        /// From start to end.
        took: Period,
    },
    /// The phase has baked, and its gate asks people.
    ApprovalAsked {
        /// How long it baked.
        baked: Period,
        /// Who must do what.
        open: Vec<String>,
    },
    /// A person approved.
    Approved {
        /// Who.
        by: String,
        /// For which role.
        role: String,
        /// What they said to it.
        comment: String,
        /// What is still open at the gate.
        open: Vec<String>,
    },
    /// A person ticked an item, or took the tick back.
    Checked {
        /// Who.
        by: String,
        /// Its short name.
        item: String,
        /// What is to be true.
        what: String,
        /// Whether it is.
        done: bool,
        /// What shows it.
        evidence: String,
        /// What is still open at the gate.
        open: Vec<String>,
    },
    /// A person looks at an alert or a question.
    Acknowledged {
        /// Who.
        by: String,
        /// The alert, or the question.
        what: String,
    },
    /// A hook, or a probe, did what it should.
    HookPassed {
        /// Its name.
        hook: String,
        /// When it was due, in words: "before phase ten".
        when: String,
        /// How long it ran.
        took: Option<Period>,
        /// The last of what it printed.
        output: String,
    },
    /// A hook did not do what it should, or nobody knows whether it did.
    HookFailed {
        /// Its name.
        hook: String,
        /// When it was due, in words.
        when: String,
        /// What was seen.
        why: String,
        /// How long it ran, where that is known.
        took: Option<Period>,
        /// The last of what it printed.
        output: String,
        /// The number of the hold that waits for a person; none on the way back, which waits for nothing.
        hold: Option<u32>,
        /// Whether it may have run.
        unknown: bool,
    },
    /// What the pods of the new version wrote, read while traffic went back.
    PodLogs {
        /// Which pods, and how they stood: "checkout-new-1 (app: CrashLoopBackOff, 4 restarts)".
        pods: Vec<String>,
        /// The end of their logs.
        output: String,
        /// What could not be read, and why.
        unread: Option<String>,
        /// Whether traffic went back because of an alert.
        alerted: bool,
    },
    /// A person ended it before traffic moved.
    Aborted {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// An alert source delivered something that could not be read: an alert may be lost. It concerns the server.
    DeliveryMissed {
        /// The program that sent it.
        source: String,
        /// The receiver it was addressed to.
        receiver: String,
        /// What stood in the way.
        why: String,
        /// Whether the source itself can be asked what fires.
        polled: bool,
    },
    /// An update that a commitment promises: how things stand, and what happened since the last one.
    Update(Box<Bulletin>),
    /// The report of a day that a commitment promises.
    Report {
        /// How things stand, and what happened since the last one.
        #[serde(flatten)]
        bulletin: Box<Bulletin>,
        /// The day in numbers.
        counts: Counts,
    },
    /// Nobody was told in time of what a commitment promises. Traffic is not touched.
    CommitmentMissed {
        /// The name of the commitment.
        name: String,
        /// What was promised: "an update every 1h while in cutover".
        promised: String,
        /// The audiences that were not told.
        audiences: Vec<String>,
        /// By when they were to be; of several times, the first.
        due: Timestamp,
        /// How many times in a row it was missed by this.
        times: u32,
        /// What is known of the reason.
        why: String,
        /// The time zone of the plan.
        zone: String,
    },
}

impl NoticeKind {
    /// The stable word: the template's folder, the log's kind, the metric's label.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::PhaseBegan { .. } => "phase-began",
            Self::WaitsAtGate { .. } => "waits-at-gate",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Held { .. } => "held",
            Self::GuardHolds { .. } => "guard-holds",
            Self::Released { .. } => "released",
            Self::AlertLogged { .. } => "alert-logged",
            Self::AlertResolved { .. } => "alert-resolved",
            Self::AlertSuppressed { .. } => "alert-suppressed",
            Self::AlertSuspect { .. } => "alert-suspect",
            Self::DecisionOpened { .. } => "decision-opened",
            Self::DecisionAnswered { .. } => "decision-answered",
            Self::WouldRollBack { .. } => "would-roll-back",
            Self::RollingBack { .. } => "rolling-back",
            Self::RollbackStuck { .. } => "rollback-stuck",
            Self::RolledBack { .. } => "rolled-back",
            Self::AdvanceFailed { .. } => "advance-failed",
            Self::NoData { .. } => "no-data",
            Self::DataBack { .. } => "data-back",
            Self::Watching { .. } => "watching",
            Self::Completed { .. } => "completed",
            Self::ApprovalAsked { .. } => "approval-asked",
            Self::Approved { .. } => "approved",
            Self::Checked { .. } => "checked",
            Self::Acknowledged { .. } => "acknowledged",
            Self::HookPassed { .. } => "hook-passed",
            Self::HookFailed { .. } => "hook-failed",
            Self::PodLogs { .. } => "pod-logs",
            Self::Aborted { .. } => "aborted",
            Self::DeliveryMissed { .. } => "delivery-missed",
            Self::Update(_) => "update",
            Self::Report { .. } => "report",
            Self::CommitmentMissed { .. } => "commitment-missed",
        }
    }

    /// How loud it is: the least an audience must hear to hear this.
    pub fn loudness(&self) -> Hears {
        match self {
            Self::WaitsAtGate { .. }
            | Self::GuardHolds { .. }
            | Self::DecisionOpened { .. }
            | Self::RollingBack { .. }
            | Self::RollbackStuck { .. }
            | Self::RolledBack { .. }
            | Self::AdvanceFailed { .. }
            | Self::NoData { .. }
            | Self::DeliveryMissed { .. }
            | Self::HookFailed { .. }
            | Self::ApprovalAsked { .. }
            | Self::CommitmentMissed { .. }
            | Self::AlertLogged { page: true, .. } => Hears::Pages,
            Self::Started { .. }
            | Self::WouldRollBack { .. }
            | Self::Watching { .. }
            | Self::Completed { .. }
            | Self::Update(_)
            | Self::Report { .. }
            | Self::Aborted { .. } => Hears::Milestones,
            Self::PhaseBegan { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Held { .. }
            | Self::Released { .. }
            | Self::AlertLogged { page: false, .. }
            | Self::AlertResolved { .. }
            | Self::AlertSuppressed { .. }
            | Self::AlertSuspect { .. }
            | Self::DecisionAnswered { .. }
            | Self::HookPassed { .. }
            | Self::Approved { .. }
            | Self::Checked { .. }
            | Self::Acknowledged { .. }
            | Self::PodLogs { .. }
            | Self::DataBack { .. } => Hears::Everything,
        }
    }

    /// Who did it: a person, or `tidegate`.
    pub fn by(&self) -> &str {
        match self {
            Self::Started { by }
            | Self::Paused { by, .. }
            | Self::Resumed { by, .. }
            | Self::Held { by, .. }
            | Self::Released { by, .. }
            | Self::DecisionAnswered { by, .. }
            | Self::Approved { by, .. }
            | Self::Checked { by, .. }
            | Self::Acknowledged { by, .. }
            | Self::Aborted { by, .. } => by,
            Self::PhaseBegan { .. }
            | Self::WaitsAtGate { .. }
            | Self::GuardHolds { .. }
            | Self::AlertLogged { .. }
            | Self::AlertResolved { .. }
            | Self::AlertSuppressed { .. }
            | Self::AlertSuspect { .. }
            | Self::DecisionOpened { .. }
            | Self::WouldRollBack { .. }
            | Self::RollingBack { .. }
            | Self::RollbackStuck { .. }
            | Self::RolledBack { .. }
            | Self::AdvanceFailed { .. }
            | Self::NoData { .. }
            | Self::DataBack { .. }
            | Self::Watching { .. }
            | Self::Completed { .. }
            | Self::ApprovalAsked { .. }
            | Self::HookPassed { .. }
            | Self::HookFailed { .. }
            | Self::PodLogs { .. }
            | Self::Update(_)
            | Self::Report { .. }
            | Self::CommitmentMissed { .. }
            | Self::DeliveryMissed { .. } => "tidegate",
        }
    }
}

/// A moment as the log writes it: UTC, to the second.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
