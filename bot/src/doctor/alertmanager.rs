//! Owns the check of the way that alerts come: each Alertmanager peer answers, posts to our webhook with what we ask for and
//! tells the end of an alert, and the Watchdog and what plans wait for come our way.
//! Refuses to post a test alert: looking changes nothing. Where a newer Alertmanager hides an address, the way of the Watchdog tells.

mod routes;
mod triggers;

use std::sync::Arc;

use futures_util::future::join;
use serde_json::Value;
use tidegate_rollout::plan::Watchdog;
use tidegate_rollout::{Plan, Source};
use url::Url;

use super::ask::{Asker, Silence, shown};
use super::prometheus::Servers;
use super::{Finding, Subject};
use crate::config::{Alertmanager, Config};
use routes::Route;
use triggers::Seen;

/// What Alertmanager shows in the place of a secret; since 0.26 that is also the address of a webhook.
const HIDDEN: &str = "<secret>";

/// Receivers that nobody can be asked about.
pub(super) async fn unasked(subject: Arc<Subject>) -> Vec<Finding> {
    let receivers = &subject.config.receivers;
    if receivers.doors.is_empty() {
        return vec![Finding::warn(
            "alertmanager.nobody",
            "no receiver is configured: every alert is answered 404",
            "Fill in `receivers.alertmanager.default` with a `bearer_file` and `peers`.",
        )];
    }
    let asked = |name: &str| receivers.alertmanagers.iter().any(|it| it.receiver == name);
    let all = receivers.doors.iter();
    let all = all.filter(|(name, door)| door.source() == Source::Alertmanager && !asked(name));
    all.map(|(name, _)| {
        Finding::warn(
            "alertmanager.no-peers",
            format!("{name}: nobody is asked back, so a lost webhook stays lost until it is repeated"),
            format!("List every Alertmanager of the cluster in `receivers.alertmanager.{name}.peers`."),
        )
    })
    .collect()
}

/// Every peer of one receiver.
pub(super) async fn look(
    subject: Arc<Subject>,
    receiver: Alertmanager,
    asker: Asker,
    servers: Servers,
) -> Vec<Finding> {
    let peers = receiver.peers.iter();
    let found = peers.map(|peer| look_at(&subject, &receiver, peer, &asker, &servers));
    futures_util::future::join_all(found)
        .await
        .into_iter()
        .flatten()
        .collect()
}

async fn look_at(
    subject: &Subject,
    receiver: &Alertmanager,
    peer: &Url,
    asker: &Asker,
    servers: &Servers,
) -> Vec<Finding> {
    let who = format!("{} at {}", receiver.receiver, shown(peer));
    let ask = async |path: &[&str], query| asker.json(peer, path, query, receiver.login.as_ref()).await;
    // Side by side, so that a Prometheus that hangs costs no more than an Alertmanager that does.
    let (status, rules) = join(ask(&["api", "v2", "status"], ""), servers.rules(subject, asker)).await;
    let status = match status {
        Ok(status) => status,
        Err(silence) => return vec![silent(&who, &receiver.receiver, silence)],
    };
    let loaded = status["config"]["original"].as_str().unwrap_or_default();
    let options = serde_saphyr::options! { with_snippet: false };
    let loaded: Value = serde_saphyr::from_str_with_options(loaded, options).unwrap_or_default();
    let hooks = Hooks::of(&loaded, &subject.config, &receiver.receiver);
    let mut found = hooks.judge(&who, &address(&subject.config, &receiver.receiver));
    let alerts = ask(&["api", "v2", "alerts"], "filter=alertname%3D%22Watchdog%22").await;
    let ours = hooks.likely(alerts.as_ref().unwrap_or(&Value::Null));
    // Without a way to us that is said already, as the reason.
    if !ours.is_empty() {
        let seen = Seen {
            who: &who,
            receiver,
            route: &Route::of(&loaded),
            ours: &ours,
            hidden: &hooks.hidden,
            rules: rules.as_deref(),
        };
        found.extend(triggers::judge(subject, &seen));
    }
    match alerts {
        Ok(alerts) => found.extend(watchdog(subject, receiver, &who, &hooks, &alerts)),
        Err(silence) => found.push(silent(&who, &receiver.receiver, silence)),
    }
    if found.is_empty() {
        let version = status["versionInfo"]["version"]
            .as_str()
            .unwrap_or("of unknown version");
        let where_to = match hooks.ours.first() {
            Some(hook) => format!("posts to {}", hook.url),
            None => "hides where it posts to".to_owned(),
        };
        let plans: Vec<&str> = triggers::judged(subject, receiver).map(Plan::name).collect();
        let also = match plans.as_slice() {
            [] => String::new(),
            plans => format!(", as will what pulls the triggers of {}", plans.join(", ")),
        };
        let says = format!("{who}: {version}, {where_to}, and the Watchdog comes here{also}");
        found.push(Finding::ok("alertmanager", says));
    }
    found
}

fn silent(who: &str, receiver: &str, silence: Silence) -> Finding {
    match silence {
        Silence::Unreachable(why) => Finding::fail(
            "alertmanager.unreachable",
            format!("{who} cannot be reached: {why}"),
            format!("Start it, or correct its address in `receivers.alertmanager.{receiver}.peers`."),
        ),
        Silence::Unauthorized(status) => Finding::fail(
            "alertmanager.unauthorized",
            format!("{who} does not let us in: {status}"),
            format!("Put what its API asks for into `receivers.alertmanager.{receiver}.peers_login`."),
        ),
        Silence::Odd(why) => Finding::fail(
            "alertmanager.odd",
            format!("{who} does not answer as an Alertmanager: {why}"),
            format!(
                "`receivers.alertmanager.{receiver}.peers` takes base addresses, with the path of --web.route-prefix and \
                 without `/api`."
            ),
        ),
    }
}

/// A webhook of an Alertmanager that posts to us.
struct Hook {
    receiver: String,
    url: String,
    tells_the_end: bool,
    shows_who_it_is: bool,
}

/// The webhooks in a loaded configuration.
struct Hooks {
    ours: Vec<Hook>,
    /// The receivers with webhooks whose addresses are hidden.
    hidden: Vec<String>,
}

impl Hooks {
    fn of(loaded: &Value, config: &Config, receiver: &str) -> Self {
        let mut hooks = Self {
            ours: Vec::new(),
            hidden: Vec::new(),
        };
        for each in loaded["receivers"].as_array().into_iter().flatten() {
            let name = each["name"].as_str().unwrap_or_default();
            for hook in each["webhook_configs"].as_array().into_iter().flatten() {
                let url = hook["url"].as_str().unwrap_or(HIDDEN);
                if url == HIDDEN {
                    hooks.hidden.push(name.to_owned());
                } else if let Some(url) = Url::parse(url).ok().filter(|url| is_ours(url, config, receiver)) {
                    let client = &hook["http_config"];
                    hooks.ours.push(Hook {
                        receiver: name.to_owned(),
                        url: format!("{}{}", shown(&url), url.path()),
                        tells_the_end: hook["send_resolved"].as_bool().unwrap_or(true),
                        shows_who_it_is: ["authorization", "basic_auth", "bearer_token", "bearer_token_file"]
                            .iter()
                            .any(|key| !client[*key].is_null()),
                    });
                }
            }
        }
        hooks
    }

    fn judge(&self, who: &str, address: &str) -> Vec<Finding> {
        if self.ours.is_empty() && self.hidden.is_empty() {
            return vec![Finding::fail(
                "alertmanager.no-webhook",
                format!("{who} has no receiver that posts to us"),
                format!(
                    "Give it one: `webhook_configs: [{{ url: {address}, send_resolved: true, http_config: {{ authorization: \
                     {{ credentials_file: … }} }} }}]`; docs/deploy.md has the whole of it."
                ),
            )];
        }
        let mut found = Vec::new();
        for hook in &self.ours {
            let name = &hook.receiver;
            if !hook.tells_the_end {
                found.push(Finding::fail(
                    "alertmanager.no-resolved",
                    format!("{who}: its receiver `{name}` does not tell the end of an alert"),
                    format!("Set `send_resolved: true` in the webhook of `{name}`, and reload Alertmanager."),
                ));
            }
            if !hook.shows_who_it_is {
                found.push(Finding::fail(
                    "alertmanager.no-credentials",
                    format!("{who}: its receiver `{name}` shows no credentials, so every delivery is answered 401"),
                    format!(
                        "Give the webhook of `{name}` the token of our receiver: `http_config: {{ authorization: {{ \
                         credentials_file: … }} }}`."
                    ),
                ));
            }
        }
        found
    }

    /// The receivers that may post to us, as far as can be seen.
    fn receivers(&self) -> impl Iterator<Item = &str> {
        let ours = self.ours.iter().map(|hook| &hook.receiver);
        ours.chain(&self.hidden).map(String::as_str)
    }

    /// Whether an alert that goes to these receivers comes to us, as far as can be seen.
    fn takes(&self, receivers: &[&str]) -> bool {
        self.receivers().any(|name| receivers.contains(&name))
    }

    /// The receivers that post to us, most likely. Of those with hidden addresses the Watchdog's way tells which, where it goes to
    /// one of them; where nothing tells, it may be any.
    fn likely(&self, watchdogs: &Value) -> Vec<&str> {
        let hears = |name: &&String| {
            let all = watchdogs.as_array().into_iter().flatten();
            all.flat_map(receivers_of).any(|receiver| receiver == name.as_str())
        };
        let ours = self.ours.iter().map(|hook| &hook.receiver);
        let told: Vec<&str> = ours
            .chain(self.hidden.iter().filter(hears))
            .map(String::as_str)
            .collect();
        if told.is_empty() {
            self.receivers().collect()
        } else {
            told
        }
    }
}

/// The receivers that an alert of the API goes to.
fn receivers_of(alert: &Value) -> impl Iterator<Item = &str> {
    let receivers = alert["receivers"].as_array().into_iter().flatten();
    receivers.filter_map(|receiver| receiver["name"].as_str())
}

fn watchdog(subject: &Subject, receiver: &Alertmanager, who: &str, hooks: &Hooks, alerts: &Value) -> Option<Finding> {
    let name = &receiver.receiver;
    let needs =
        |plan: &Plan| plan.spec.alerts.watchdog == Watchdog::Required && plan.spec.alerts.receivers.contains(name);
    let plans: Vec<&str> = subject
        .plans
        .usable()
        .filter(|plan| needs(plan))
        .map(|plan| plan.name())
        .collect();
    let because = match plans.as_slice() {
        [] => "a plan that needs it would never advance".to_owned(),
        plans => format!("{} never advances without it", plans.join(", ")),
    };
    let all: Vec<&Value> = alerts.as_array().into_iter().flatten().collect();
    let goes_to = |alert: &&Value| hooks.takes(&receivers_of(alert).collect::<Vec<_>>());
    if all.is_empty() {
        return Some(Finding::fail(
            "alertmanager.no-watchdog",
            format!("{who}: the alert `Watchdog` does not fire; {because}"),
            "Let Prometheus evaluate `- alert: Watchdog` with `expr: vector(1)`, as deploy/prometheus/rules.yml does, and send \
             it here.",
        ));
    }
    // Without a way to us that is said already, as the reason.
    if hooks.receivers().next().is_some() && !all.iter().any(goes_to) {
        return Some(Finding::fail(
            "alertmanager.watchdog-elsewhere",
            format!("{who}: the alert `Watchdog` is routed elsewhere; {because}"),
            "Add a route for it, above those that end: `- { receiver: tidegate, matchers: ['alertname=\"Watchdog\"'], \
             group_interval: 1m, repeat_interval: 1m, continue: true }`.",
        ));
    }
    None
}

/// Whether a webhook at `url` comes in by the door of `receiver`. By which name and port we are reached from there, only the
/// network between knows.
fn is_ours(url: &Url, config: &Config, receiver: &str) -> bool {
    let path = url.path().trim_end_matches('/');
    let whole = format!("/webhooks/alertmanager/{receiver}");
    let ends = |door: &str| path == door || (config.web.external_url.is_some() && path.ends_with(door));
    let prefix = &config.web.route_prefix;
    ends(&format!("{prefix}{whole}")) || (receiver == "default" && ends(&format!("{prefix}/webhooks/alertmanager")))
}

/// Where Alertmanager should post to, as far as we know our own address.
fn address(config: &Config, receiver: &str) -> String {
    let base = match &config.web.external_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let web = &config.web;
            let host = if web.listen_address.host.is_empty() {
                "HOST"
            } else {
                &web.listen_address.host
            };
            format!("http://{host}:{}{}", web.listen_address.port, web.route_prefix)
        }
    };
    match receiver {
        "default" => format!("{base}/webhooks/alertmanager"),
        name => format!("{base}/webhooks/alertmanager/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hooks(webhook: Value) -> Hooks {
        let config = Config::defaults().unwrap();
        let loaded =
            json!({ "receivers": [{ "name": "people" }, { "name": "tidegate", "webhook_configs": [webhook] }] });
        Hooks::of(&loaded, &config, "default")
    }

    #[test]
    fn a_webhook_is_ours_by_its_path() {
        let auth = json!({ "authorization": { "credentials": "<secret>" } });
        for (path, ours) in [
            ("/webhooks/alertmanager", 1),
            ("/webhooks/alertmanager/default", 1),
            ("/webhooks/alertmanager/", 1),
            ("/webhooks/alertmanager/second", 0),
            ("/webhooks/grafana", 0),
            ("/other/webhooks/alertmanager", 0),
        ] {
            let hooks = hooks(json!({ "url": format!("http://gate:9797{path}"), "http_config": auth }));
            assert_eq!(hooks.ours.len(), ours, "{path}");
            assert_eq!(hooks.judge("x", "y").len(), 1 - ours, "{path}");
        }
    }

    #[test]
    fn a_hidden_address_is_no_fault_and_the_watchdog_tells_whether_it_is_ours() {
        let hooks = hooks(json!({ "url": "<secret>", "http_config": {} }));
        assert_eq!(hooks.judge("x", "y"), []);
        assert!(hooks.takes(&["tidegate"]) && !hooks.takes(&["people"]));
    }

    #[test]
    fn of_hidden_addresses_the_way_of_the_watchdog_tells_which_is_ours() {
        let webhook = |name: &str| json!({ "name": name, "webhook_configs": [{ "url": HIDDEN }] });
        let loaded = json!({ "receivers": [webhook("people"), webhook("tidegate")] });
        let hooks = Hooks::of(&loaded, &Config::defaults().unwrap(), "default");
        let goes_to = |name: &str| json!([{ "receivers": [{ "name": name }] }]);
        assert_eq!(hooks.likely(&goes_to("tidegate")), ["tidegate"]);
        assert_eq!(hooks.likely(&goes_to("mail")), ["people", "tidegate"]);
        assert_eq!(hooks.likely(&Value::Null), ["people", "tidegate"]);
        let open = json!({ "name": "open", "webhook_configs": [{ "url": "http://gate/webhooks/alertmanager" }] });
        let loaded = json!({ "receivers": [webhook("people"), open] });
        let hooks = Hooks::of(&loaded, &Config::defaults().unwrap(), "default");
        assert_eq!(hooks.likely(&goes_to("open")), ["open"]);
        assert_eq!(hooks.likely(&goes_to("people")), ["open", "people"]);
    }

    #[test]
    fn an_address_with_a_secret_is_not_repeated() {
        let hooks = hooks(json!({ "url": "http://u:c4n4ry@gate/webhooks/alertmanager?k=c4n4ry" }));
        assert_eq!(hooks.ours[0].url, "http://gate/webhooks/alertmanager");
    }
}
