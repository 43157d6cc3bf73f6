//! A reload is all or nothing, over HTTP and by SIGHUP.

use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_tests::tidegate::Setup;
use tidegate_tests::wait;

use crate::doors::house::{House, json_of};

async fn reload(house: &House) -> (StatusCode, Value) {
    let answer = house.post("/-/reload").bearer_auth(house.admin()).send().await.unwrap();
    (answer.status(), json_of(answer).await)
}

/// A generated file that was too large for its reader took a whole fleet down (Cloudflare, 18 November 2025).
#[tokio::test]
async fn bad_config_keeps_last_good() {
    let mut house = House::usual().await;
    let token = house.token("the-operator", &[]).await;
    house.rewrite(|settings| {
        // One fault at the end, and before it much that could be put in force.
        settings["people"] = json!([]);
        settings["receivers"] = json!({});
        settings["web"]["metrics_token_file"] = Value::Null;
        settings["limits"] = json!({ "body": "1" });
    });
    let (status, problem) = reload(&house).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("limits.body"), "{problem}");
    let still = house.get("/api/v1/rollouts").bearer_auth(&token).send().await.unwrap();
    assert_eq!(still.status(), StatusCode::OK);
    assert_eq!(
        house.get("/metrics").send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(house.running.app.current.get().receivers.doors.iter().count(), 3);
    let health = async |house: &House| {
        let answer = house.get("/health").bearer_auth(house.admin()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "it works on with what it has");
        json_of(answer).await
    };
    let refused = health(&house).await["refused_reload"].clone();
    assert_eq!(refused["faults"][0]["path"], "limits.body", "{refused}");
    assert!(refused["at"].is_string(), "{refused}");

    house.rewrite(|settings| settings["limits"] = json!({}));
    let (status, answer) = reload(&house).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(health(&house).await["refused_reload"], Value::Null);
    let gone = house.get("/api/v1/rollouts").bearer_auth(&token).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::FORBIDDEN);
    assert_eq!(house.get("/metrics").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_receiver_is_open_and_a_removed_one_shut_with_the_next_request() {
    let mut house = House::usual().await;
    let deliver = async |house: &House, name: &str| {
        let request = house
            .post(&format!("/webhooks/alertmanager/{name}"))
            .bearer_auth("the-secret-of-a-sender");
        request.json(&json!({})).send().await.unwrap().status()
    };
    assert_eq!(deliver(&house, "second").await, StatusCode::NOT_FOUND);
    assert_eq!(deliver(&house, "default").await, StatusCode::BAD_REQUEST);
    house.rewrite(|settings| {
        let receivers = settings["receivers"]["alertmanager"].as_object_mut().unwrap();
        let default = receivers.remove("default").unwrap();
        receivers.insert("second".to_owned(), default);
    });
    assert_eq!(reload(&house).await.0, StatusCode::OK);
    assert_eq!(deliver(&house, "second").await, StatusCode::BAD_REQUEST);
    assert_eq!(deliver(&house, "default").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_needs_a_restart_is_said() {
    let mut house = House::usual().await;
    house.rewrite(|settings| {
        settings["storage"]["path"] = json!("/elsewhere");
        settings["limits"] = json!({ "body": "1MiB" });
    });
    // The second time nothing is new, and still nothing is in force.
    for _ in 0..2 {
        let (status, answer) = reload(&house).await;
        assert_eq!(status, StatusCode::OK);
        let warnings: Vec<_> = answer["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect();
        for key in ["storage.path", "limits.body"] {
            let said = format!("{key} has changed; it is in force after a restart");
            assert!(warnings.contains(&said.as_str()), "{warnings:?}");
        }
        assert_eq!(house.running.app.current.get().limits.body, 8 << 20);
    }
}

#[tokio::test]
async fn a_plan_that_has_become_broken_or_a_stranger_here_is_refused_and_the_good_one_stays() {
    let mut house = House::usual().await;
    let good = tidegate_tests::paths::repository().join("deploy/examples/checkout/plan.yaml");
    let good = std::fs::read_to_string(good).unwrap();
    house.scratch.write("plan.yaml", &good).unwrap();
    house.rewrite(|settings| settings["plans"] = json!(["plan.yaml"]));
    let (status, answer) = reload(&house).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer["warnings"].to_string().contains("`jon` as oncall"), "{answer}");
    let elsewhere = good.replace("receivers: [default]", "receivers: [second]");
    for (bad, why) in [
        (good.replace("title:", "titel:"), "titel"),
        (elsewhere, "receiver `second`"),
    ] {
        house.scratch.write("plan.yaml", &bad).unwrap();
        let (status, problem) = reload(&house).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        assert_eq!(house.running.app.plans.load().names(), ["checkout"]);
    }
}

#[tokio::test]
async fn without_the_lifecycle_api_only_the_signal_reloads() {
    let house = House::with(&[("/web/enable_lifecycle", false.into())]).await;
    let (status, problem) = reload(&house).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(problem["code"], "lifecycle-off");
}

#[tokio::test]
async fn the_program_reloads_on_sighup_and_ends_quietly_on_sigterm() {
    let mut server = Setup::new().unwrap().start().await.unwrap();
    let status = async |server: &tidegate_tests::tidegate::Tidegate| server.get("/api/v1/whoami").await.unwrap().0;
    assert_eq!(status(&server).await, StatusCode::OK);
    let file = server.scratch().path().join("tidegate.yml");
    let mut settings: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    settings["people"] = json!([{ "id": "ana", "roles": ["viewer"] }]);
    std::fs::write(&file, settings.to_string()).unwrap();
    server.program().unwrap().signal(Signal::HUP).unwrap();
    let made = wait::until("the new person is known", Duration::from_secs(20), async || {
        let (status, made) = server.post("/api/v1/tokens", &json!({ "person": "ana" })).await?;
        anyhow::ensure!(status == StatusCode::CREATED, "{made}");
        Ok(made)
    });
    assert!(made.await.unwrap()["token"].is_string());
    let exit = server.stop().await.unwrap();
    assert_eq!(exit.code(), Some(0));
}

/// The metrics belong to the process, so they are asked for where one server is alone in it.
#[tokio::test]
async fn the_metrics_tell_a_reload_that_was_refused_and_one_that_was_not() {
    let setup = Setup::new()
        .unwrap()
        .with(json!({ "web": { "enable_lifecycle": true } }));
    let server = setup.start().await.unwrap();
    let client = tidegate_tests::http::client().unwrap();
    let file = server.scratch().path().join("tidegate.yml");
    let good = std::fs::read_to_string(&file).unwrap();
    let mut bad: Value = serde_json::from_str(&good).unwrap();
    bad["limits"] = json!({ "body": "1" });
    let reloaded = async |settings: &str| {
        std::fs::write(&file, settings).unwrap();
        let (status, answer) = server.post("/-/reload", &json!({})).await.unwrap();
        let metrics = client.get(server.url("/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("tidegate_config_last_reload_successful "));
        (status, line.unwrap_or_else(|| panic!("{answer} {metrics}")).to_owned())
    };
    assert_eq!(reloaded(&good).await, (StatusCode::OK, "1".to_owned()));
    let refused = (StatusCode::UNPROCESSABLE_ENTITY, "0".to_owned());
    assert_eq!(reloaded(&bad.to_string()).await, refused);
    assert_eq!(reloaded(&good).await, (StatusCode::OK, "1".to_owned()));
}

const PLAN: &str = "
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout, labels: { tidegate.dev/demo: 'true' } }
spec:
  title: Checkout to production
  service: checkout
  environment: production
  target: { flag: { key: checkout-v2 } }
  phases: [{ name: all, weight: 100%, bake: 1h }]
  watch: 1h
  triggers: [{ name: errors, alert: { matchers: ['alertname=\"Errors\"'] }, severity: sev1 }]
  severities: { sev1: { action: rollback } }
  alerts: { receivers: [default], watchdog: none }
  audiences: { team: { channels: [chat, log], hears: everything } }
";

/// Whoever edits the plan of a rollout that is under way has changed the next one.
#[tokio::test]
async fn a_rollout_keeps_the_plan_it_was_started_with_and_says_when_the_file_changed() {
    let setup = Setup::new().unwrap().plan("checkout", PLAN).unwrap();
    let setup = setup.with(json!({ "web": { "enable_lifecycle": true } }));
    let server = setup.start().await.unwrap();
    let say = async |text: &str| {
        let (status, answer) = server.post("/api/v1/commands", &json!({ "text": text })).await.unwrap();
        assert!(status.is_success(), "{answer}");
        answer.to_string()
    };
    let reload = async |plan: &str| {
        std::fs::write(server.scratch().path().join("plans/checkout.yaml"), plan).unwrap();
        let (status, answer) = server.post("/-/reload", &json!({})).await.unwrap();
        assert!(status.is_success(), "{answer}");
    };
    let says = "The file of its plan says something else by now; it keeps the plan that it was started with.";
    say("start checkout").await;
    assert!(!say("status").await.contains(says));
    reload(&PLAN.replace("bake: 1h", "bake: 2h")).await;
    let status = say("status").await;
    assert!(status.contains(says), "{status}");
    let (_, listed) = server.get("/api/v1/rollouts").await.unwrap();
    assert_eq!(listed["rollouts"][0]["plan_changed"], says);
    reload(PLAN).await;
    assert!(!say("status").await.contains(says), "the same again is no change");
}
