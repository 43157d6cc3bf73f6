//! The table of commitments: what is changed in the example, the code that must come of it, and where it must point.

use tidegate_rollout::plan::codes::Code;

use super::table::{Case, case};

const DAY: &str = "daily: \"17:00\"";
const CUTOVER: &str = "every: 1h, while: cutover";

pub(super) const CASES: &[Case] = &[
    case(
        Code::P102,
        &[("cutover: { to: [stakeholders]", "cutover: { to: [stakeholder]")],
        "spec.commitments.cutover.to[0]",
        "stakeholder",
    ),
    case(
        Code::P105,
        &[("while: cutover", "while: cutovr")],
        "spec.commitments.cutover.while",
        "cutovr",
    ),
    case(
        Code::P106,
        &[("day: { to: [stakeholders]", "day: { to: []")],
        "spec.commitments.day.to",
        "to",
    ),
    case(
        Code::P107,
        &[("    day: {", "    every day: {")],
        "spec.commitments[\"every day\"]",
        "every day",
    ),
    case(Code::P110, &[(DAY, "daily: 5pm")], "spec.commitments.day.daily", "5pm"),
    case(
        Code::P110,
        &[(DAY, "daily: 9:00")],
        "spec.commitments.day.daily",
        "9:00",
    ),
    case(
        Code::P114,
        &[("day: { to: [stakeholders]", "day: { to: [stakeholders, stakeholders]")],
        "spec.commitments.day.to[1]",
        "stakeholders",
    ),
    case(
        Code::P250,
        &[("{ to: [stakeholders], daily: \"17:00\" }", "{ to: [stakeholders] }")],
        "spec.commitments.day",
        "day",
    ),
    case(
        Code::P250,
        &[(DAY, "daily: \"17:00\", every: 1h")],
        "spec.commitments.day",
        "day",
    ),
    case(
        Code::P251,
        &[("Europe/Berlin", "Europe/Belin")],
        "spec.timezone",
        "Europe/Belin",
    ),
    case(
        Code::P252,
        &[("afterIncident: 5m", "afterIncident: 0s")],
        "spec.commitments.first-word.afterIncident",
        "0s",
    ),
    case(
        Code::P252,
        &[(CUTOVER, "every: 0s")],
        "spec.commitments.cutover.every",
        "0s",
    ),
    case(
        Code::P253,
        &[("day: { to: [stakeholders]", "day: { to: [team]")],
        "spec.commitments.day.to[0]",
        "team",
    ),
    case(
        Code::P254,
        &[(CUTOVER, "every: 4m")],
        "spec.commitments.cutover.every",
        "4m",
    ),
    case(
        Code::P255,
        &[(DAY, "daily: \"17:00\", while: cutover")],
        "spec.commitments.day.while",
        "cutover",
    ),
];
