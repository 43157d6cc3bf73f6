//! What the scenarios of both chat platforms ask alike: the states of a card, and what the server behind it has written down.

use anyhow::Result;
use tidegate::app::Running;
use tidegate::chat::Desk as _;
use tidegate_rollout::RolloutId;

/// Every state that a card can show.
pub(crate) const STATES: [&str; 10] = [
    "ADVANCING",
    "BAKING",
    "HELD",
    "PAUSED",
    "WAITING",
    "WATCHING",
    "ROLLING BACK",
    "ROLLED BACK",
    "COMPLETED",
    "ABORTED",
];

/// Who did something of that kind to a rollout, in order.
pub(crate) async fn did(running: &Running, rollout: &str, kind: &str) -> Result<Vec<String>> {
    let desk = running.app.dispatcher.desk();
    let log = desk.history(&RolloutId::new(rollout), 100).await?;
    let of_kind = log.into_iter().filter(|(_, entry)| entry.kind == kind);
    Ok(of_kind.map(|(_, entry)| entry.by).collect())
}
