//! Owns saying things in the service's own log: one line each, with the facts as fields.
//! Refuses to be silenced with the rest of the log: what is said here is marked as sent.

use tracing::info;

use super::Message;
use crate::telemetry::NOTICES;

/// Writes one line.
pub fn say(message: &Message) {
    let notice = &message.notice;
    info!(
        target: NOTICES,
        {
            notice.id = %notice.id,
            notice.kind = notice.kind.word(),
            rollout.id = %notice.about.rollout,
            rollout.state = notice.about.state,
            rollout.weight = notice.about.weight,
        },
        "{}",
        message.text
    );
}
