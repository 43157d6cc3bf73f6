//! Owns what the engine says about itself in the comprehensive health: the alert path, what waits, what was not said.
//! Refuses to fail: what cannot be read is said instead.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::Period;

use super::Engine;

impl Engine {
    /// Everything somebody needs who asks why nothing advances.
    pub async fn report(&self, now: Timestamp) -> Value {
        let age = |at: Option<Timestamp>| at.map(|at| Period::between(at, now).to_string());
        let path: serde_json::Map<String, Value> = self
            .path
            .all()
            .into_iter()
            .map(|(name, receiver)| {
                let known = json!({
                    "watchdog_seen_ago": age(receiver.watchdog_seen),
                    "webhook_heard_ago": age(receiver.heard_at),
                    "polled": receiver.polled,
                    "polled_ago": age(receiver.polled_at),
                    "failed_rounds": receiver.failed_rounds,
                });
                (name, known)
            })
            .collect();
        let unsettled = self.store.count_unsettled().await;
        let dead = self.store.count_dead_letters().await;
        json!({
            "alert_path": path,
            "turned_away": self.doors.turned_away(now),
            "active_rollouts": self.cached().len(),
            "plans_that_cannot_be_started": self.plans.load().broken().len(),
            "unsettled_deliveries": unsettled.map_or_else(|failure| json!(failure.to_string()), |count| json!(count)),
            "dead_letters": dead.map_or_else(|failure| json!(failure.to_string()), |letters| json!(letters)),
            "flags_revision": self.board.revision(),
            "flags_served": self.board.serves(std::time::Instant::now()),
            "replica": self.settings().replica,
        })
    }
}
