//! Tokens: made, listed, revoked, and never worth more than the person behind them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate::http::tokens::MadeToken;
use tidegate::secret::Digest;
use tidegate::store::{NewToken, TokenKind};
use tidegate_rollout::{Entry, PersonId, Role};
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
async fn a_revoked_token_takes_its_sessions_along_and_the_log_says_by_whom() {
    let house = House::usual().await;
    let (_, made) = make(&house, json!({ "person": "the-operator" })).await;
    let (token, number) = (made["token"].as_str().unwrap(), &made["number"]);
    let cookie = house.sign_in(token).await;
    let other = house.sign_in(&house.admin()).await;
    let whoami = async |cookie: &str| {
        let request = house.get("/api/v1/whoami").header("cookie", cookie);
        request.send().await.unwrap().status()
    };
    assert_eq!(whoami(&cookie).await, StatusCode::OK);
    let list = house
        .get("/api/v1/tokens")
        .bearer_auth(house.admin())
        .send()
        .await
        .unwrap();
    let list = json_of(list).await;
    let sessions: Vec<_> = list["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["kind"] == "session")
        .collect();
    assert_eq!(sessions.len(), 2, "{list}");
    let session = sessions.into_iter().find(|it| &it["parent"] == number).unwrap();
    assert_eq!(session["person"], "the-operator");

    let path = format!("/api/v1/tokens/{number}");
    let revoked = house
        .request(Method::DELETE, &path)
        .bearer_auth(house.admin())
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    assert_eq!(whoami(&cookie).await, StatusCode::UNAUTHORIZED);
    assert_eq!(whoami(&other).await, StatusCode::OK, "that of another token goes on");

    let store = house.running.app.engine.store();
    let lines = store.server_history(20).await.unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|(_, line)| (line.kind.as_str(), line.by.as_str()))
        .collect();
    let expected = [
        ("token-made", "tidegate"),
        ("token-made", "admin"),
        ("signed-in", "the-operator"),
        ("signed-in", "admin"),
        ("token-revoked", "admin"),
    ];
    assert_eq!(told, expected);
    assert!(lines[2].1.text.contains(&format!("with token {number}")), "{lines:?}");
    assert!(store.verify_log().await.unwrap().broken().next().is_none());
}

#[tokio::test]
async fn a_wrong_token_is_looked_up_once_a_second_at_most() {
    let house = House::usual().await;
    let guess = "tg_a-guess";
    let (ring, now) = (&house.running.app.keyring, tidegate::clock::now());
    assert_eq!(ring.find(guess, now).await.unwrap(), None);
    let token = NewToken {
        hash: Digest::of(guess.as_bytes()).0,
        kind: TokenKind::Token,
        person: PersonId::new("admin"),
        roles: [Role::Admin].into(),
        expires_at: None,
        parent: None,
    };
    let said = |number: u64| Entry {
        at: now,
        kind: "token-made".to_owned(),
        by: "the-test".to_owned(),
        surface: None,
        text: format!("Token {number}."),
    };
    house
        .running
        .app
        .engine
        .store()
        .add_token(&token, said, now)
        .await
        .unwrap();
    assert_eq!(ring.find(guess, now).await.unwrap(), None, "the store was asked again");
    let another = tidegate::http::Keyring::new(house.running.app.engine.store().clone());
    assert!(another.find(guess, now).await.unwrap().is_some());
}

#[test]
fn a_made_token_does_not_print_itself() {
    let known = json!({
        "token": "tg_c4n4ry", "number": 7, "kind": "token", "person": "ana", "roles": [],
        "created_at": "2026-01-05T08:00:00Z", "expires_at": null,
    });
    let made: MadeToken = serde_json::from_value(known).unwrap();
    let shown = format!("{made:?} {made:#?}");
    assert!(shown.contains("ana") && !shown.contains("c4n4ry"), "{shown}");
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
