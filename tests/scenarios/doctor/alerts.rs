//! The way that alerts come: Prometheus, its rules, Alertmanager, its routes, its webhook.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::alertmanager::{Alertmanager, Proof, Settings};
use tidegate_tests::ports::Port;
use tidegate_tests::prometheus::{self, Prometheus, Rule};
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::RECEIVER_TOKEN;
use tidegate_tests::wait;
use tokio::net::TcpListener;

use super::house::{House, Said, plan, rules};

fn peers(url: String) -> impl FnOnce(&mut Value) {
    move |settings| settings["receivers"]["alertmanager"]["default"]["peers"] = json!([url])
}

fn servers(url: String) -> impl FnOnce(&mut Value) {
    move |settings| settings["prometheus"]["servers"] = json!([url])
}

fn watchdog() -> Value {
    json!({ "labels": { "alertname": "Watchdog" } })
}

#[tokio::test]
async fn an_alertmanager_that_does_not_answer_as_one_is_found() -> Result<()> {
    let house = House::new().await?;
    let nobody = Port::reserve()?;
    let said = house.look_at(peers(nobody.url())).await?;
    said.finds(
        "fail",
        "alertmanager.unreachable",
        "cannot be reached",
        "alertmanager.default.peers",
    );
    let stranger = Sink::start().await?;
    let said = house.look_at(peers(stranger.url(""))).await?;
    said.finds("fail", "alertmanager.odd", "not JSON", "base addresses");
    stranger.answer_with(StatusCode::UNAUTHORIZED);
    let said = house.look_at(peers(stranger.url(""))).await?;
    said.finds("fail", "alertmanager.unauthorized", "401", "peers_login");
    let said = house
        .look_at(|settings| settings["receivers"]["alertmanager"]["default"]["peers"] = json!([]))
        .await?;
    said.finds(
        "warn",
        "alertmanager.no-peers",
        "a lost webhook",
        "alertmanager.default.peers",
    );

    Ok(())
}

#[tokio::test]
async fn an_alertmanager_that_does_not_tell_us_is_found_and_how_to_make_it() -> Result<()> {
    let house = House::new().await?;
    let mut to_us = Settings::to(house.tidegate.webhook());
    to_us.proof = Proof::Bearer(RECEIVER_TOKEN.to_owned());
    let with = async |settings: &Settings, alerts: &[Value]| -> Result<_> {
        let alertmanager = Alertmanager::start(settings).await?;
        alertmanager.post(alerts).await?;
        house.look_at(peers(alertmanager.url())).await
    };
    with(&to_us, &[watchdog()]).await?.finds_nothing();
    let said = with(&to_us, &[]).await?;
    said.finds(
        "fail",
        "alertmanager.no-watchdog",
        "finance never advances without it",
        "vector(1)",
    );
    let elsewhere = Settings {
        receiver: house.pager.url("/other"),
        ..to_us.clone()
    };
    let said = with(&elsewhere, &[watchdog()]).await?;
    said.finds(
        "fail",
        "alertmanager.no-webhook",
        "no receiver that posts to us",
        &house.tidegate.webhook(),
    );
    let forgetful = Settings {
        send_resolved: false,
        ..to_us.clone()
    };
    let said = with(&forgetful, &[watchdog()]).await?;
    said.finds("fail", "alertmanager.no-resolved", "`scenario`", "send_resolved: true");
    let nameless = Settings {
        proof: Proof::Nothing,
        ..to_us.clone()
    };
    let said = with(&nameless, &[watchdog()]).await?;
    said.finds(
        "fail",
        "alertmanager.no-credentials",
        "answered 401",
        "credentials_file",
    );

    // It tells us everything but the one alert that proves the way.
    let routed = json!({
        "route": { "receiver": "tidegate", "routes": [{ "receiver": "people", "matchers": ["alertname=\"Watchdog\""] }] },
        "receivers": [{ "name": "people" }, { "name": "tidegate", "webhook_configs": [{
            "url": house.tidegate.webhook(), "http_config": { "authorization": { "credentials": RECEIVER_TOKEN } },
        }] }],
    });
    let alertmanager = Alertmanager::start_with(&routed.to_string()).await?;
    alertmanager.post(&[watchdog()]).await?;
    let said = house.look_at(peers(alertmanager.url())).await?;
    said.finds(
        "fail",
        "alertmanager.watchdog-elsewhere",
        "routed elsewhere",
        "continue: true",
    );
    Ok(())
}

/// The Watchdog here, and `routes` above everything else; what no route takes goes to `people`.
async fn routed(house: &House, routes: &[Value]) -> Result<Alertmanager> {
    let watchdog = json!({ "receiver": "tidegate", "matchers": ["alertname=\"Watchdog\""] });
    let routes: Vec<&Value> = routes.iter().chain([&watchdog]).collect();
    let settings = json!({
        "route": { "receiver": "people", "routes": routes },
        "receivers": [{ "name": "people" }, { "name": "tidegate", "webhook_configs": [{
            "url": house.tidegate.webhook(), "http_config": { "authorization": { "credentials": RECEIVER_TOKEN } },
        }] }],
    });
    let alertmanager = Alertmanager::start_with(&settings.to_string()).await?;
    alertmanager.post(&[self::watchdog()]).await?;
    Ok(alertmanager)
}

/// The one route that a fix names, as Alertmanager reads it.
fn route_in(said: &Said) -> Result<Value> {
    let fix = said.bad()[0]["fix"].as_str().unwrap_or_default().to_owned();
    let route = fix.split('`').find_map(|it| it.strip_prefix("- "));
    Ok(serde_saphyr::from_str(route.context("the fix names no route")?)?)
}

#[tokio::test]
async fn alerts_that_go_elsewhere_are_found_and_the_route_of_the_fix_brings_them() -> Result<()> {
    let house = House::new().await?;
    let with = async |routes: &[Value]| {
        let alertmanager = routed(&house, routes).await?;
        house.look_at(peers(alertmanager.url())).await
    };
    let said = with(&[]).await?;
    said.finds(
        "warn",
        "alertmanager.alerts-elsewhere",
        "the trigger `errors` of finance go to `people`, and not here",
        "receiver: tidegate, matchers: ['service=\"finance-service\"', 'environment=\"production\"']",
    );
    with(&[route_in(&said)?]).await?.finds_nothing();

    // Somebody before it takes them, and does not let go.
    let desk = json!({ "receiver": "people", "match_re": { "service": "finance-.*|till" } });
    let said = with(&[desk.clone(), route_in(&said)?]).await?;
    said.finds(
        "warn",
        "alertmanager.alerts-elsewhere",
        "go to `people`",
        "above those that end",
    );
    with(&[route_in(&said)?, desk]).await?.finds_nothing();
    Ok(())
}

#[tokio::test]
async fn what_hangs_on_a_label_is_known_where_the_rule_says_it() -> Result<()> {
    let house = House::new().await?;
    let alertmanager = routed(
        &house,
        &[json!({ "receiver": "tidegate", "match": { "severity": "critical" } })],
    )
    .await?;
    let said = house.look_at(peers(alertmanager.url())).await?;
    said.finds(
        "warn",
        "alertmanager.alerts-unknown",
        "hangs on their `severity`",
        "Label the rules",
    );
    let with = async |severity: &str| {
        let [watchdog, errors] = <[Rule; 2]>::try_from(rules()).map_err(|_| anyhow::anyhow!("two rules"))?;
        let prometheus = Prometheus::start(&prometheus::Settings {
            alertmanagers: vec![house.alertmanager.address()],
            rules: vec![watchdog, errors.label("severity", severity)],
            ..prometheus::Settings::default()
        })
        .await?;
        told_to(&prometheus, 1).await?;
        let both = |settings: &mut Value| {
            servers(prometheus.url())(settings);
            peers(alertmanager.url())(settings);
        };
        house.look_at(both).await
    };
    with("critical").await?.finds_nothing();
    let said = with("warning").await?;
    said.finds(
        "warn",
        "alertmanager.alerts-elsewhere",
        "go to `people`",
        "receiver: tidegate",
    );
    Ok(())
}

/// Until Prometheus has found its Alertmanagers.
async fn told_to(prometheus: &Prometheus, alertmanagers: usize) -> Result<()> {
    let url = format!("{}/api/v1/alertmanagers", prometheus.url());
    let client = tidegate_tests::http::client()?;
    wait::until("it has found its Alertmanagers", Duration::from_secs(30), async || {
        let told = tidegate_tests::http::get_json(&client, &url).await?;
        let found = told["data"]["activeAlertmanagers"].as_array().map_or(0, Vec::len);
        ensure!(found == alertmanagers, "{told}");
        Ok(())
    })
    .await
}

/// Both examples have triggers whose names are patterns.
#[tokio::test]
async fn a_pattern_that_no_rule_fits_and_labels_that_no_alert_has_are_found() -> Result<()> {
    let house = House::new().await?;
    let with = async |service: &str, name: &str| {
        let mut plan = plan();
        plan["spec"]["service"] = service.into();
        // A plan with a pattern alone is refused.
        plan["spec"]["triggers"][0]["alert"]["matchers"] = json!([name, "severity=\"critical\""]);
        let file = house.tidegate.scratch().write("patterned.yaml", plan.to_string())?;
        house.look_at(|settings| settings["plans"] = json!([file])).await
    };
    with("finance-service", "alertname=~\"Error(Rate|Ratio)High\"")
        .await?
        .finds_nothing();
    let said = with("finance-service", "alertname=~\"Error(Ratio|Count)High\"").await?;
    said.finds(
        "warn",
        "prometheus.no-rule",
        "no rule has a name like `Error(Ratio|Count)High`, which pulls the trigger `errors` of finance",
        "whose whole name matches",
    );
    // As part of a name it would fit.
    let said = with("finance-service", "alertname=~\"ErrorRate\"").await?;
    said.finds("warn", "prometheus.no-rule", "a name like `ErrorRate`", "whole name");
    let said = with("till-service", "alertname=~\"ErrorRate.*\"").await?;
    said.finds(
        "warn",
        "prometheus.other-labels",
        "no alert of `ErrorRateHigh` fulfils `service=\"till-service\"`",
        "Give the rule the labels",
    );
    Ok(())
}

#[tokio::test]
async fn a_prometheus_without_the_rules_is_found_and_said_once() -> Result<()> {
    let house = House::new().await?;
    let nobody = Port::reserve()?;
    let said = house.look_at(servers(nobody.url())).await?;
    said.finds(
        "fail",
        "prometheus.unreachable",
        "cannot be reached",
        "prometheus.servers",
    );
    let said = house.look_at(|settings| settings["prometheus"] = json!({})).await?;
    said.finds(
        "warn",
        "prometheus.unknown",
        "no Prometheus is named",
        "prometheus.servers",
    );

    let with = async |rules: Vec<Rule>, alertmanagers: Vec<String>| -> Result<_> {
        let settings = prometheus::Settings {
            alertmanagers,
            rules,
            ..prometheus::Settings::default()
        };
        let prometheus = Prometheus::start(&settings).await?;
        told_to(&prometheus, settings.alertmanagers.len()).await?;
        house.look_at(servers(prometheus.url())).await
    };
    let ours = || vec![house.alertmanager.address()];
    let without = |name: &str| {
        let mut rules = rules();
        rules.remove(usize::from(name != "Watchdog"));
        rules
    };
    let said = with(without("ErrorRateHigh"), ours()).await?;
    said.finds(
        "warn",
        "prometheus.no-rule",
        "trigger `errors` of finance",
        "- alert: ErrorRateHigh",
    );
    let said = with(without("Watchdog"), ours()).await?;
    said.finds(
        "fail",
        "prometheus.no-watchdog",
        "no rule `Watchdog`",
        "deploy/prometheus/rules.yml",
    );
    let said = with(rules(), Vec::new()).await?;
    said.finds(
        "fail",
        "prometheus.tells-nobody",
        "no Alertmanager",
        "alerting.alertmanagers",
    );

    Ok(())
}

/// No rule, so no alert in a fresh Alertmanager either: one cause, one finding.
#[tokio::test]
async fn a_watchdog_that_no_rule_raises_is_not_said_to_be_missing_twice() -> Result<()> {
    let house = House::new().await?;
    let settings = prometheus::Settings {
        alertmanagers: vec![house.alertmanager.address()],
        rules: rules().split_off(1),
        ..Default::default()
    };
    let prometheus = Prometheus::start(&settings).await?;
    let mut to_us = Settings::to(house.tidegate.webhook());
    to_us.proof = Proof::Bearer(RECEIVER_TOKEN.to_owned());
    let alertmanager = Alertmanager::start(&to_us).await?;
    let said = house
        .look_at(|settings| {
            settings["prometheus"]["servers"] = json!([prometheus.url()]);
            settings["receivers"]["alertmanager"]["default"]["peers"] = json!([alertmanager.url()]);
        })
        .await?;
    ensure!(said.codes().contains(&"prometheus.no-watchdog".to_owned()), "{said:?}");
    ensure!(
        !said.codes().contains(&"alertmanager.no-watchdog".to_owned()),
        "{said:?}"
    );
    Ok(())
}

#[tokio::test]
async fn somebody_who_never_answers_costs_seconds() -> Result<()> {
    let house = House::new().await?;
    // Takes connections and says nothing; what is not accepted waits in the queue of the system.
    let hangs = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", hangs.local_addr()?);
    let began = Instant::now();
    let said = house
        .look_at(|settings| {
            settings["receivers"]["alertmanager"]["default"]["peers"] = json!([url]);
            settings["prometheus"]["servers"] = json!([url]);
            settings["slack"]["api_url"] = url.clone().into();
            settings["channels"]["pager"]["webhook"]["url"] = url.clone().into();
            settings["web"]["external_url"] = url.clone().into();
        })
        .await?;
    let took = began.elapsed();
    let mut codes = said.codes();
    codes.sort();
    assert_eq!(
        codes,
        [
            "alertmanager.unreachable",
            "channel.unreachable",
            "prometheus.unreachable",
            "server.unreachable",
            "slack.unreachable",
        ],
        "{said:?}"
    );
    ensure!(took < Duration::from_secs(20), "it took {took:?}");
    println!("counted: five who never answer took {took:.1?}");
    Ok(())
}
