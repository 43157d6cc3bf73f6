//! Clients that are slow, greedy or gone, and the end of the server while they are there.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::house::House;

/// Nothing here takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn until_closed(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut all)).await.unwrap().unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn a_client_that_drips_its_head_is_cut_off() {
    let house = House::with(&[("/limits", json!({ "header_timeout": "300ms" }))]).await;
    let mut stream = TcpStream::connect(house.running.address).await.unwrap();
    stream
        .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn idle_clients_do_not_keep_a_good_one_waiting() {
    // They would be cut off long after the good one has lost its patience.
    let house = House::with(&[("/limits", json!({ "header_timeout": "5m" }))]).await;
    let mut idle = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(house.running.address).await.unwrap();
        stream
            .write_all(b"POST /webhooks/alertmanager HTTP/1.1\r\n")
            .await
            .unwrap();
        idle.push(stream);
    }
    let good = timeout(PATIENCE, house.get("/-/healthy").send()).await.unwrap();
    assert_eq!(good.unwrap().status(), StatusCode::OK);
    assert_eq!(idle.len(), 300);
}

#[tokio::test]
async fn with_every_connection_taken_the_next_one_waits_until_one_is_free() {
    let house = House::with(&[("/limits", json!({ "header_timeout": "5m", "connections": 16 }))]).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(house.running.address).await.unwrap();
        stream
            .write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        // Answered, so it has its place.
        let mut answer = [0; 15];
        timeout(PATIENCE, stream.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        idle.push(stream);
    }
    let mut next = TcpStream::connect(house.running.address).await.unwrap();
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    next.write_all(request).await.unwrap();
    let mut first = [0; 1];
    let early = timeout(Duration::from_millis(300), next.read(&mut first)).await;
    assert!(early.is_err(), "it was served beside sixteen others");
    drop(idle.pop());
    let answer = until_closed(&mut next).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn whatever_cannot_be_read_is_a_problem_in_the_words_of_the_api() {
    let house = House::usual().await;
    let form = "application/x-www-form-urlencoded";
    for (method, path, media, body) in [
        (Method::POST, "/api/v1/tokens", "application/json", "{\"person\":7}"),
        (Method::POST, "/api/v1/tokens", "text/plain", "{}"),
        (Method::POST, "/api/v1/commands", "text/plain", "{}"),
        (Method::DELETE, "/api/v1/tokens/one", form, ""),
        (Method::GET, "/api/v1/rollouts?limit=many", form, ""),
        (Method::GET, "/api/v1/alerts?limits=1", form, ""),
        (Method::GET, "/r/%ff", form, ""),
        (Method::POST, "/r/auth-17/do", "application/json", "{}"),
        (Method::POST, "/chat", form, "words=status"),
        (Method::POST, "/login", form, "next=%2F"),
    ] {
        let request = house.request(method.clone(), path).bearer_auth(house.admin());
        let answer = request.header("content-type", media).body(body).send().await.unwrap();
        assert!(
            answer.status().is_client_error(),
            "{method} {path}: {}",
            answer.status()
        );
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{method} {path}"
        );
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "malformed", "{method} {path}: {problem}");
        assert!(problem["hint"].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_refused() {
    let house = House::with(&[("/limits", json!({ "body_timeout": "300ms" }))]).await;
    let mut stream = TcpStream::connect(house.running.address).await.unwrap();
    let head = format!(
        "POST /api/v1/commands HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{\"te",
        house.admin()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_next_one_is_served() {
    let house = House::usual().await;
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(70_000));
    let say = |body: String| {
        let request = house.post("/api/v1/commands").bearer_auth(house.admin());
        request.header("content-type", "application/json").body(body).send()
    };
    assert_eq!(say(large).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        say("{\"text\":\"whoami\"}".to_owned()).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn bad_bodies_are_told_what_is_wrong() {
    let house = House::usual().await;
    let deep = "[".repeat(30_000);
    for (body, expected) in [
        ("", StatusCode::BAD_REQUEST),
        ("{", StatusCode::BAD_REQUEST),
        (deep.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
        ("{}", StatusCode::BAD_REQUEST),
        ("{\"text\":\"status\",\"verb\":\"status\"}", StatusCode::BAD_REQUEST),
        ("{\"text\":7}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"txt\":\"status\"}", StatusCode::UNPROCESSABLE_ENTITY),
        ("{\"verb\":\"advnce\"}", StatusCode::CONFLICT),
        ("{\"text\":\"rollback \\u0000\"}", StatusCode::CONFLICT),
    ] {
        let request = house.post("/api/v1/commands").bearer_auth(house.admin());
        let answer = request
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), expected, "{:.40}", body);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert!(
            problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let house = House::usual().await;
    let mut stream = TcpStream::connect(house.running.address).await.unwrap();
    let head = format!(
        "POST /api/v1/commands HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/json\r\nContent-Length: 17\r\n\r\n",
        house.admin()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server says so once it wants the body: from here on the request is in flight.
    let mut go_on = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    house.running.app.stop.cancel();
    stream.write_all(b"{\"text\":\"whoami\"}").await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let refused = TcpStream::connect(house.running.address).await;
    timeout(PATIENCE, house.running.stop()).await.unwrap();
    drop(refused);
}
