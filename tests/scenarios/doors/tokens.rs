//! Tokens: made, listed, revoked, and never worth more than the person behind them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_tests::built::Build;

use super::house::{House, json_of};

async fn make(house: &House, wanted: Value) -> (StatusCode, Value) {
    let answer = house
        .post("/api/v1/tokens")
        .bearer_auth(house.admin())
        .json(&wanted)
        .send()
        .await
        .unwrap();
    (answer.status(), json_of(answer).await)
}

#[tokio::test]
async fn a_token_is_never_worth_more_than_its_person() {
    let house = House::usual().await;
    for wrong in [
        json!({ "person": "nobody" }),
        json!({ "person": "the-viewer", "roles": ["admin"] }),
        json!({ "person": "the-viewer", "roles": ["viewer", "flags"] }),
        json!({ "person": "admin", "roles": ["operator"] }),
        json!({ "person": "admin" }),
        json!({ "person": "", "roles": ["flags"] }),
        json!({ "person": "a b", "roles": ["flags"] }),
    ] {
        let (status, problem) = make(&house, wanted(&wrong)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {problem}");
        assert!(problem.get("token").is_none());
    }
    for unread in [
        json!({ "person": "the-viewer", "ttl": "soon" }),
        json!({ "person": "the-viewer", "boss": 1 }),
    ] {
        let answer = house
            .post("/api/v1/tokens")
            .bearer_auth(house.admin())
            .json(&unread)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_client_error(), "{unread}");
    }
}

fn wanted(value: &Value) -> Value {
    value.clone()
}

#[tokio::test]
async fn a_token_ends_with_its_time() {
    let house = House::usual().await;
    let (status, made) = make(&house, json!({ "person": "the-viewer", "ttl": "1ms" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let token = made["token"].as_str().unwrap();
    let answer = house.get("/api/v1/whoami").bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_token_is_out_at_once() {
    let house = House::usual().await;
    let (_, made) = make(&house, json!({ "person": "the-viewer" })).await;
    let whoami = async || {
        let request = house.get("/api/v1/whoami").bearer_auth(made["token"].as_str().unwrap());
        request.send().await.unwrap().status()
    };
    assert_eq!(whoami().await, StatusCode::OK);
    let path = format!("/api/v1/tokens/{}", made["number"]);
    let revoke = async || {
        let request = house.request(Method::DELETE, &path).bearer_auth(house.admin());
        request.send().await.unwrap().status()
    };
    assert_eq!(revoke().await, StatusCode::NO_CONTENT);
    assert_eq!(whoami().await, StatusCode::UNAUTHORIZED);
    assert_eq!(revoke().await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_list_shows_no_secret() {
    let house = House::usual().await;
    let token = house.token("the-viewer", &["viewer"]).await;
    let answer = house
        .get("/api/v1/tokens")
        .bearer_auth(house.admin())
        .send()
        .await
        .unwrap();
    let list = answer.text().await.unwrap();
    assert!(list.contains("the-viewer") && list.contains("admin"), "{list}");
    assert!(!list.contains(&token) && !list.contains(&house.admin()), "{list}");
}

#[tokio::test]
async fn the_admin_token_survives_a_restart_and_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::usual().await;
    let file = house.scratch.path().join("data/admin.token");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = house.admin();
    let sources = tidegate::config::Sources {
        file: Some(house.scratch.path().join("tidegate.yml")),
        ..Default::default()
    };
    house.running.stop().await;
    let config = sources.load().unwrap();
    let again = tidegate::app::start(sources, config, None).await.unwrap();
    let url = format!("http://{}/api/v1/whoami", again.address);
    let answer = house.client.get(url).bearer_auth(before).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_command_line_makes_lists_and_revokes() {
    let house = House::usual().await;
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(Build::Shipped.program().unwrap())
            .args(["-o", "json", "token"])
            .args(arguments)
            .env_remove("TIDEGATE_TOKEN")
            .env("TIDEGATE_SERVER", format!("http://{}", house.host()))
            .env("TIDEGATE_TOKEN_FILE", house.scratch.path().join("data/admin.token"))
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), value)
    };
    let (exit, made) = run(&["create", "--person", "the-oncall", "--role", "oncall", "--ttl", "24h"]).await;
    assert_eq!(exit, 0, "{made}");
    let token = made["result"]["token"].as_str().unwrap();
    let answer = house.get("/api/v1/whoami").bearer_auth(token).send().await.unwrap();
    assert_eq!(json_of(answer).await["person"], "the-oncall");
    let number = made["result"]["number"].to_string();
    let (_, list) = run(&["list"]).await;
    assert_eq!(list["result"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(run(&["revoke", &number]).await.0, 0);
    assert_ne!(run(&["revoke", &number]).await.0, 0);
    let (exit, refused) = run(&["create", "--person", "nobody"]).await;
    assert_ne!(exit, 0);
    assert_eq!(refused["ok"], false);
}
