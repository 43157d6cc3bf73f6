//! The way that alerts come: Prometheus, its rules, Alertmanager, its routes, its webhook.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::alertmanager::{Alertmanager, Proof, Settings};
use tidegate_tests::ports::Port;
use tidegate_tests::prometheus::{self, Prometheus, Rule};
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::RECEIVER_TOKEN;
use tidegate_tests::wait;
use tokio::net::TcpListener;

use super::house::{House, rules};

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
        let url = format!("{}/api/v1/alertmanagers", prometheus.url());
        let client = tidegate_tests::http::client()?;
        wait::until("it has found its Alertmanagers", Duration::from_secs(30), async || {
            let told = tidegate_tests::http::get_json(&client, &url).await?;
            let found = told["data"]["activeAlertmanagers"].as_array().map_or(0, Vec::len);
            ensure!(found == settings.alertmanagers.len(), "{told}");
            Ok(())
        })
        .await?;
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
