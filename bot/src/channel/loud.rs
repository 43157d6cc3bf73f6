//! Owns which notices concern everybody in a channel, and not only those who follow the rollout in its thread.
//! Refuses to word them, and to know how a platform makes them loud.

use tidegate_rollout::Notice;
use tidegate_rollout::notice::NoticeKind;

/// What everybody in the channel sees although it stands in a thread: a person is needed, traffic goes or went back, that
/// does not work, it is over. The rest is for those who follow the rollout.
pub(super) fn is_loud(notice: &Notice) -> bool {
    match &notice.kind {
        NoticeKind::WaitsAtGate { .. }
        | NoticeKind::GuardHolds { .. }
        | NoticeKind::HookFailed { .. }
        | NoticeKind::ApprovalAsked { .. }
        | NoticeKind::DecisionOpened { .. }
        | NoticeKind::AdvanceFailed { .. }
        | NoticeKind::NoData { .. }
        | NoticeKind::DeliveryMissed { .. }
        | NoticeKind::Update(_)
        | NoticeKind::Report { .. }
        | NoticeKind::CommitmentMissed { .. }
        | NoticeKind::RollingBack { .. }
        | NoticeKind::RolledBack { .. }
        | NoticeKind::RollbackStuck { .. }
        | NoticeKind::Completed { .. }
        | NoticeKind::Aborted { .. } => true,
        NoticeKind::Started { .. }
        | NoticeKind::PhaseBegan { .. }
        | NoticeKind::Paused { .. }
        | NoticeKind::Resumed { .. }
        | NoticeKind::Held { .. }
        | NoticeKind::Released { .. }
        | NoticeKind::AlertLogged { .. }
        | NoticeKind::AlertResolved { .. }
        | NoticeKind::AlertSuppressed { .. }
        | NoticeKind::AlertSuspect { .. }
        | NoticeKind::DecisionAnswered { .. }
        | NoticeKind::WouldRollBack { .. }
        | NoticeKind::HookPassed { .. }
        | NoticeKind::Approved { .. }
        | NoticeKind::Checked { .. }
        | NoticeKind::Acknowledged { .. }
        | NoticeKind::DataBack { .. }
        | NoticeKind::Watching { .. } => false,
    }
}
