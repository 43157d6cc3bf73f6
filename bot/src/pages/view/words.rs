//! Owns the marks: which shape and which colour repeat which word.
//! Refuses new words: states, health and standings are named in the core.

use tidegate_rollout::alert::Labels;
use tidegate_rollout::rollout::{Standing, Tracked};
use tidegate_rollout::{Health, Rollout, Stage};

use super::{Mark, brief};

/// The first word of the headline: where the rollout stands.
pub fn state(rollout: &Rollout) -> Mark {
    let (glyph, tone) = match &rollout.stage {
        Stage::RollingBack { .. } => ("down", "bad"),
        Stage::RolledBack { .. } => ("down", "warn"),
        Stage::Completed { .. } => ("check", "ok"),
        Stage::Aborted { .. } => ("stop", "quiet"),
        Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. }
            if rollout.pause.is_some() =>
        {
            ("pause", "warn")
        }
        Stage::Advancing { failed: Some(_), .. } => ("warn", "bad"),
        Stage::Advancing { failed: None, .. } => ("up", "info"),
        Stage::Baking { .. } if !rollout.holds.is_empty() => ("hold", "warn"),
        Stage::Baking { .. } => ("bake", "info"),
        Stage::AtGate { .. } => ("gate", "warn"),
        Stage::Watching { .. } => ("watch", "info"),
    };
    Mark::new(rollout.state_word(), glyph, tone)
}

/// The second word of the headline: how the new version does.
pub fn health(health: &Health) -> Mark {
    let (glyph, tone) = match health {
        Health::Healthy => ("ok", "ok"),
        Health::OffTarget { .. } => ("ring", "warn"),
        Health::Critical { .. } => ("bad", "bad"),
        Health::NoData { .. } => ("nodata", "nodata"),
    };
    Mark::new(health.word(), glyph, tone)
}

/// Why health is what it is, in a sentence.
pub(super) fn health_why(health: &Health) -> String {
    match health {
        Health::Healthy => "The alert path is alive and nothing of this plan fires.".to_owned(),
        Health::OffTarget { firing } => format!("Fires, but does not roll back by itself: {}.", some(firing)),
        Health::Critical { firing } => format!("Fires and rolls back: {}.", some(firing)),
        Health::NoData { why } => format!("Nobody knows: {why}."),
    }
}

fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|name| brief(name, 80)).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        left => format!("{} and {left} more", shown.join(", ")),
    }
}

/// What a known alert counts for.
///
/// Of a rollout that is `over` it is what was known last: nothing is heard for it any more.
pub(super) fn standing(tracked: &Tracked, over: bool) -> Mark {
    match &tracked.standing {
        Standing::Counting if over => Mark::new("FIRED", "ring", "quiet"),
        Standing::Counting => Mark::new("FIRING", "bad", "bad"),
        Standing::PreExisting => Mark::new("FROM BEFORE", "ring", "warn"),
        Standing::OldVersion => Mark::new("OLD VERSION", "ring", "warn"),
        Standing::Suspect => Mark::new("SUSPECT", "nodata", "nodata"),
        Standing::Stale => Mark::new("LATE WORD", "stop", "quiet"),
        Standing::Suppressed(_) => Mark::new("SUPPRESSED", "pause", "quiet"),
        Standing::Resolved => Mark::new("NOT REPORTED", "stop", "quiet"),
    }
}

/// What that means, in a sentence.
pub(super) fn standing_why(tracked: &Tracked, over: bool) -> &'static str {
    match &tracked.standing {
        Standing::Counting if over => {
            "It began under this rollout's traffic and counted. It fired when the rollout ended."
        }
        Standing::Counting => "It began under this rollout's traffic and counts.",
        Standing::PreExisting => {
            "It fired before this rollout carried traffic, or shortly before its start: it holds, it does not roll back."
        }
        Standing::OldVersion => "It names the old version: evidence against a rollback.",
        Standing::Suspect => "It came back after its end; every peer of its source is being asked.",
        Standing::Stale => "No peer knows it any more: late word of its end.",
        Standing::Suppressed(_) => "Somebody silenced it, or another alert inhibits it.",
        Standing::Resolved => "Its source stopped reporting it. That alone proves nothing.",
    }
}

/// Labels as Prometheus writes them, without the name, cut where it gets long.
pub(super) fn labels(labels: &Labels) -> String {
    let pairs = labels.iter().filter(|(name, _)| *name != "alertname").take(12);
    let text: Vec<String> = pairs.map(|(name, value)| format!("{name}={value:?}")).collect();
    brief(&text.join("  "), 300)
}

/// `text` as the beginning of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
