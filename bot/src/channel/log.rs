//! Owns saying things in the service's own log: one line each, with the facts as fields.
//! Refuses anything else.

use tracing::info;

use super::Message;

/// Writes one line.
pub fn say(message: &Message) {
    let notice = &message.notice;
    info!(
        notice.id = %notice.id,
        notice.kind = notice.kind.word(),
        rollout.id = %notice.about.rollout,
        rollout.state = notice.about.state,
        rollout.weight = notice.about.weight,
        "{}",
        message.text
    );
}
