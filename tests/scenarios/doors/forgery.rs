//! Requests that a page of another site makes a browser send.

use reqwest::header::HeaderName;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::house::House;

const ORIGIN: HeaderName = HeaderName::from_static("origin");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let house = House::usual().await;
    let cookie = house.sign_in(&house.admin()).await;
    let here = format!("http://{}", house.host());
    let cases: [(&[(HeaderName, &str)], StatusCode); 11] = [
        (&[], StatusCode::FORBIDDEN),
        (&[(ORIGIN, "null")], StatusCode::FORBIDDEN),
        (&[(ORIGIN, "https://evil.example")], StatusCode::FORBIDDEN),
        (&[(ORIGIN, "http://127.0.0.1:1")], StatusCode::FORBIDDEN),
        (&[(SITE, "cross-site")], StatusCode::FORBIDDEN),
        (&[(SITE, "same-site")], StatusCode::FORBIDDEN),
        (&[(SITE, "cross-site"), (ORIGIN, &here)], StatusCode::FORBIDDEN),
        (&[(SITE, "same-origin"), (SITE, "cross-site")], StatusCode::FORBIDDEN),
        (&[(SITE, "same-origin")], StatusCode::OK),
        (&[(ORIGIN, &here)], StatusCode::OK),
        (&[(SITE, "same-origin"), (ORIGIN, &here)], StatusCode::OK),
    ];
    for (headers, expected) in cases {
        let mut request = house.post("/api/v1/commands").header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let answer = request.json(&json!({ "text": "whoami" })).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_token_needs_no_origin_but_a_foreign_one_is_refused() {
    let house = House::usual().await;
    let say = |name: HeaderName, value: &'static str| {
        let request = house
            .post("/api/v1/commands")
            .bearer_auth(house.admin())
            .header(name, value);
        request.json(&json!({ "text": "whoami" })).send()
    };
    assert_eq!(
        say(HeaderName::from_static("x-nothing"), "").await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        say(ORIGIN, "https://evil.example").await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(say(SITE, "cross-site").await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_is_signed_in_by_another_site() {
    let house = House::usual().await;
    for (name, value) in [(ORIGIN, "https://evil.example"), (ORIGIN, "null"), (SITE, "cross-site")] {
        let request = house
            .post("/login")
            .header(name, value)
            .form(&[("token", house.admin())]);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{value}");
        assert!(!answer.headers().contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn behind_a_proxy_the_external_address_is_ours() {
    let house = House::with(&[("/web/external_url", "https://gate.example/".into())]).await;
    let cookie = house.sign_in(&house.admin()).await;
    let say = |origin: &'static str| {
        let request = house
            .post("/api/v1/commands")
            .header("cookie", &cookie)
            .header(ORIGIN, origin);
        request.json(&json!({ "text": "whoami" })).send()
    };
    assert_eq!(say("https://gate.example").await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        say("http://gate.example").await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let answer = house
        .post("/login")
        .form(&[("token", house.admin())])
        .send()
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn looking_changes_nothing_whatever_it_pretends_to_be() {
    let house = House::usual().await;
    for route in house.running.routes.iter().filter(|route| route.method != Method::GET) {
        if route.path.contains('{')
            || house
                .running
                .routes
                .iter()
                .any(|it| it.method == Method::GET && it.path == route.path)
        {
            continue;
        }
        for method in [Method::GET, Method::HEAD] {
            let request = house.request(method.clone(), &route.path).bearer_auth(house.admin());
            let request = request
                .header("x-http-method-override", "POST")
                .query(&[("_method", "POST")]);
            let status = request.send().await.unwrap().status();
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {}", route.path);
        }
    }
}
