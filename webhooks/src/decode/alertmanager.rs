//! Owns Alertmanager's webhook, version 4.
//! Refuses Grafana's bodies, which look alike but say version 1: the two are asked for their alerts in different ways.

use tidegate_rollout::Source;

use super::{Batch, Malformed, group};

pub(super) fn decode(text: &str) -> Result<Batch, Malformed> {
    let group = group::read(text)?;
    match group.version() {
        // Absent where a template of the user's makes the body.
        None | Some("4") => group.into_batch(Source::Alertmanager),
        Some("1") => Err(Malformed(
            "version 1 is what Grafana sends; let it post to /webhooks/grafana".to_owned(),
        )),
        Some(other) => Err(Malformed(format!(
            "version {other:.20} of the webhook is not known here; 4 is"
        ))),
    }
}
