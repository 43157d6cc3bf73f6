//! Owns which notices concern everybody in a channel, and not only those who follow the rollout in its thread.
//! Refuses to word them, and to know how a platform makes them loud.

use tidegate_rollout::Notice;
use tidegate_rollout::notice::NoticeKind;
use tidegate_rollout::plan::Hears;

/// What everybody in the channel sees although it stands in a thread, in four kinds: a person is needed, traffic goes or went
/// back, that does not work, it is over. The first three are what pages. The rest is for those who follow the rollout;
/// what was promised to an audience, too, for the card above the thread says the same at any time.
pub(super) fn is_loud(notice: &Notice) -> bool {
    let over = matches!(notice.kind, NoticeKind::Completed { .. } | NoticeKind::Aborted { .. });
    over || notice.kind.loudness() == Hears::Pages
}
