//! Owns who is told: that somebody can be woken, and that every channel is named once.

use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{Plan, SeverityAction};

/// The label under `metadata.labels` of a plan that is only shown: nobody has to be pageable for it.
pub const DEMO_LABEL: &str = "tidegate.dev/demo";

/// Channels that are always there. Both are read by people who look, and wake nobody.
const WAKE_NOBODY: [&str; 2] = ["chat", "log"];

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    let spec = &plan.spec;
    for (name, audience) in &spec.audiences {
        let path = Path::spec("audiences").key(name).key("channels");
        super::repeated(&audience.channels, &path, found);
        if audience.channels.is_empty() {
            found.push(Finding::new(
                Code::P106,
                path,
                format!("audience `{name}` has no channel"),
            ));
        }
    }
    let may_page = spec
        .severities
        .values()
        .any(|severity| severity.page || severity.action != SeverityAction::Log);
    let mut channels = spec.audiences.values().flat_map(|audience| &audience.channels);
    let can_page = channels.any(|channel| !WAKE_NOBODY.contains(&channel.as_str()));
    let is_demo = plan
        .metadata
        .labels
        .get(DEMO_LABEL)
        .is_some_and(|value| value == "true");
    if may_page && !can_page && !is_demo {
        found.push(
            Finding::new(
                Code::P240,
                Path::spec("audiences"),
                "no audience has a channel that can page somebody",
            )
            .help("add one, such as `oncall: { channels: [pager], hears: pages }`, and set up `pager` on the server")
            .note("`chat` and `log` are read by people who look; they wake nobody"),
        );
    }
}
