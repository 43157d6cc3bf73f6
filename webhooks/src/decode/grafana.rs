//! Owns the webhook contact point of Grafana alerting, version 1: Alertmanager's shape with additions.
//! Refuses Alertmanager's own bodies, which say version 4.

use tidegate_rollout::Source;

use super::{Batch, Malformed, group};

pub(super) fn decode(text: &str) -> Result<Batch, Malformed> {
    let group = group::read(text)?;
    match group.version() {
        None | Some("1") => group.into_batch(Source::Grafana),
        Some("4") => Err(Malformed(
            "version 4 is what Alertmanager sends; let it post to /webhooks/alertmanager".to_owned(),
        )),
        Some(other) => Err(Malformed(format!(
            "version {other:.20} of the webhook is not known here; 1 is"
        ))),
    }
}
