//! Owns who is told: that somebody can be woken, and that every channel is named once.

use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::{Audience, Plan, SeverityAction};

/// The label under `metadata.labels` of a plan that is only shown: nobody has to be pageable for it.
pub const DEMO_LABEL: &str = "tidegate.dev/demo";

/// Whether a plan is only shown.
pub(super) fn is_demo(plan: &Plan) -> bool {
    let label = plan.metadata.labels.get(DEMO_LABEL);
    label.is_some_and(|value| value == "true")
}

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
    let can_page = spec.audiences.values().any(Audience::is_reachable);
    if may_page && !can_page && !is_demo(plan) {
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
