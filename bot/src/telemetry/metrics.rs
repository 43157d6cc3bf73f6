//! Owns the names of the series that Tidegate exports, with what each means.
//! Refuses names in other places: a series that is not in this list is not exported.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// 1 with the version as a label.
pub const BUILD_INFO: &str = "tidegate_build_info";
/// 1 for each rollout, with `rollout`, `service`, `environment`, `plan`, `version`.
pub const ROLLOUT_INFO: &str = "tidegate_rollout_info";
/// 1 for the state a rollout is in, 0 for the others; `rollout`, `state`.
pub const ROLLOUT_STATE: &str = "tidegate_rollout_state";
/// Share of traffic on the new version, `rollout`, `kind="declared|observed"`.
pub const PHASE_WEIGHT: &str = "tidegate_phase_weight_ratio";
/// `reason`, `source="guard|alertmanager|human"`.
pub const ROLLBACKS: &str = "tidegate_rollbacks_total";
/// From the decision until zero was read back.
pub const ROLLBACK_DURATION: &str = "tidegate_rollback_duration_seconds";
/// From the arrival of an alert until the first write to the target.
pub const ALERT_TO_ACTION: &str = "tidegate_alert_to_action_seconds";
/// `source`, `result`.
pub const WEBHOOK_EVENTS: &str = "tidegate_webhook_events_total";
/// `channel`, `result`.
pub const NOTIFICATIONS: &str = "tidegate_notifications_total";
/// Age of the oldest thing that was decided and is not done.
pub const OUTBOX_OLDEST: &str = "tidegate_outbox_oldest_seconds";
/// `surface`, `command`, `result`.
pub const COMMANDS: &str = "tidegate_commands_total";
/// Unix time.
pub const WATCHDOG_LAST_SEEN: &str = "tidegate_watchdog_last_seen_timestamp_seconds";
/// 1 or 0.
pub const CONFIG_RELOAD_GOOD: &str = "tidegate_config_last_reload_successful";
/// Unix time.
pub const CONFIG_RELOAD_AT: &str = "tidegate_config_last_reload_success_timestamp_seconds";
/// `route`, `method`, `status`.
pub const HTTP_REQUESTS: &str = "tidegate_http_requests_total";
/// `route`, `method`.
pub const HTTP_DURATION: &str = "tidegate_http_request_duration_seconds";
/// Handlers that broke and were caught.
pub const PANICS: &str = "tidegate_panics_total";

/// Says what every series means, for the `HELP` lines.
pub(super) fn describe() {
    describe_gauge!(BUILD_INFO, "The version that runs.");
    describe_gauge!(ROLLOUT_INFO, "A rollout, with what it rolls out.");
    describe_gauge!(ROLLOUT_STATE, "1 for the state that a rollout is in.");
    describe_gauge!(PHASE_WEIGHT, "Share of traffic on the new version.");
    describe_counter!(ROLLBACKS, "Rollbacks, by reason and by who decided.");
    describe_histogram!(
        ROLLBACK_DURATION,
        Unit::Seconds,
        "From the decision until zero was read back."
    );
    describe_histogram!(
        ALERT_TO_ACTION,
        Unit::Seconds,
        "From an alert's arrival to the first write to the target."
    );
    describe_counter!(
        WEBHOOK_EVENTS,
        "Deliveries to the webhook routes, by source and result."
    );
    describe_counter!(NOTIFICATIONS, "Messages to channels, by result.");
    describe_gauge!(
        OUTBOX_OLDEST,
        Unit::Seconds,
        "Age of the oldest thing that was decided and is not done."
    );
    describe_counter!(COMMANDS, "Commands of people, by surface, command and result.");
    describe_gauge!(
        WATCHDOG_LAST_SEEN,
        Unit::Seconds,
        "When the Watchdog alert was last seen."
    );
    describe_gauge!(
        CONFIG_RELOAD_GOOD,
        "Whether the last attempt to load the configuration succeeded."
    );
    describe_gauge!(
        CONFIG_RELOAD_AT,
        Unit::Seconds,
        "When the configuration was last loaded."
    );
    describe_counter!(HTTP_REQUESTS, "Requests, by route and status.");
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "How long a request took until its answer began."
    );
    describe_counter!(PANICS, "Handlers that broke and were caught.");
}
