//! Deny by default: the table of routes is looked through by hand, and then every line of it by the test.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use tidegate::http::{Auth, Route};
use tidegate_rollout::Role;

use super::house::{House, METRICS_TOKEN};

/// A path of that route, with something in the place of what varies.
fn path(route: &Route) -> String {
    let named = |part: &str| match part {
        "{receiver}" => "default".to_owned(),
        "{number}" => "999999".to_owned(),
        part if part.starts_with('{') => "unknown".to_owned(),
        part => part.to_owned(),
    };
    route.path.split('/').map(named).collect::<Vec<_>>().join("/")
}

fn is_no(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
}

#[tokio::test]
async fn every_route_names_its_authenticator() {
    let house = House::usual().await;
    let line = |route: &Route| format!("{:<6} {:<36} {}", route.method.as_str(), route.path, route.auth);
    let lines: Vec<String> = house.running.routes.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_stranger_gets_nowhere_but_through_the_open_doors() {
    let house = House::usual().await;
    let mut open = BTreeSet::new();
    for route in &house.running.routes {
        // A proxy stands in between, so that nobody counts as being on this machine.
        let request = house
            .request(route.method.clone(), &path(route))
            .header("x-forwarded-for", "192.0.2.7");
        let status = request.send().await.unwrap().status();
        if !is_no(status) {
            open.insert(format!("{} {}", route.method, route.path));
        }
    }
    let known = [
        "GET /-/healthy",
        "GET /-/ready",
        "GET /login",
        "POST /login",
        "GET /assets/{name}",
    ];
    assert_eq!(open, known.map(str::to_owned).into());
}

#[tokio::test]
async fn a_wrong_token_is_believed_nowhere() {
    let house = House::usual().await;
    let guarded = house.running.routes.iter().filter(|route| route.auth != Auth::Open);
    for route in guarded.filter(|route| route.auth != Auth::Invitation) {
        for wrong in ["", "x", "tg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "null"] {
            let request = house.request(route.method.clone(), &path(route)).bearer_auth(wrong);
            let status = request.send().await.unwrap().status();
            assert_eq!(
                status,
                StatusCode::UNAUTHORIZED,
                "{} {} with {wrong:?}",
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn every_role_opens_what_the_table_says_and_nothing_else() {
    let house = House::usual().await;
    let tokens = house.tokens().await;
    let (mut yes, mut no) = (0, 0);
    for route in &house.running.routes {
        for (role, token) in &tokens {
            let may = match route.auth {
                Auth::Open => continue,
                Auth::Roles(roles) => roles.contains(role) || (*role == Role::Admin && !roles.is_empty()),
                Auth::Flags => *role == Role::Flags,
                Auth::Metrics | Auth::Receiver => false,
                Auth::Invitation => false,
            };
            let request = house.request(route.method.clone(), &path(route)).bearer_auth(token);
            let status = request.send().await.unwrap().status();
            assert_eq!(
                !is_no(status),
                may,
                "{} {} as {}: {status}",
                route.method,
                route.path,
                role.word()
            );
            if may { yes += 1 } else { no += 1 }
        }
    }
    assert!(yes > 50 && no > 50, "{yes} doors opened, {no} stayed shut");
}

#[tokio::test]
async fn the_metrics_open_with_their_own_token_and_without_one_where_none_is_set() {
    let house = House::usual().await;
    let answer = house.get("/metrics").bearer_auth(METRICS_TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("tidegate_config_last_reload_successful")
    );
    let open = House::with(&[("/web/metrics_token_file", serde_json::Value::Null)]).await;
    assert_eq!(open.get("/metrics").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn flags_are_open_on_this_machine_only_and_only_under_its_own_name() {
    let house = House::usual().await;
    let ask = |name: &'static str, value: &'static str| {
        let context = serde_json::json!({ "context": { "targetingKey": "ana" } });
        house
            .post("/ofrep/v1/evaluate/flags")
            .header(name, value)
            .json(&context)
            .send()
    };
    assert_eq!(ask("x-nothing", "").await.unwrap().status(), StatusCode::OK);
    let port = house.running.address.port();
    assert_eq!(ask("host", "localhost").await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        ask("host", "rebound.example").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("host", "127.0.0.1.example").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("x-forwarded-for", "127.0.0.1").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("forwarded", "for=127.0.0.1").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("authorization", "Bearer wrong").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_ne!(port, 0);
    let token = house.token("shop", &["flags"]).await;
    let by_key = house
        .post("/ofrep/v1/evaluate/flags")
        .header("x-forwarded-for", "192.0.2.7")
        .header("x-api-key", token)
        .json(&serde_json::json!({ "context": { "targetingKey": "ana" } }));
    assert_eq!(by_key.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn behind_a_proxy_or_for_a_foreign_page_nobody_gets_flags_without_a_token() {
    let context = serde_json::json!({ "context": { "targetingKey": "ana" } });
    let ask = |house: &House| house.post("/ofrep/v1/evaluate/flags").json(&context);
    let usual = House::usual().await;
    assert_eq!(ask(&usual).send().await.unwrap().status(), StatusCode::OK);
    let foreign = ask(&usual)
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), StatusCode::UNAUTHORIZED);
    // A proxy such as nginx says by default neither whom it asks for nor under which name.
    let proxied = House::with(&[("/web/external_url", "https://gate.example/".into())]).await;
    assert_eq!(ask(&proxied).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let everywhere = House::with(&[("/web/listen_address", ":0".into())]).await;
    let url = format!(
        "http://127.0.0.1:{}/ofrep/v1/evaluate/flags",
        everywhere.running.address.port()
    );
    let answer = everywhere.client.post(url).json(&context).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let token = proxied.token("shop", &["flags"]).await;
    let with_token = ask(&proxied)
        .bearer_auth(token)
        .header("origin", "https://shop.example");
    assert_eq!(with_token.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_keeps_browsers_careful() {
    let house = House::usual().await;
    for (method, path) in [
        (Method::GET, "/-/healthy"),
        (Method::GET, "/login"),
        (Method::GET, "/nothing/here"),
        (Method::PUT, "/login"),
        (Method::GET, "/api/v1/rollouts"),
        (Method::OPTIONS, "/api/v1/commands"),
    ] {
        let request = house
            .request(method.clone(), path)
            .header("origin", "https://evil.example");
        let answer = request.send().await.unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let content = header("content-security-policy").unwrap();
        assert!(content.starts_with("default-src 'none'"), "{method} {path}: {content}");
        assert!(!content.contains("unsafe"), "{content}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"));
        let cors = answer
            .headers()
            .keys()
            .find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(cors, None, "{method} {path}");
    }
}

#[tokio::test]
async fn below_a_prefix_there_is_everything_and_outside_nothing() {
    let house = House::with(&[("/web/route_prefix", "/gate".into())]).await;
    let status = async |path: &str| house.get(path).send().await.unwrap().status();
    assert_eq!(status("/gate/-/healthy").await, StatusCode::OK);
    assert_eq!(status("/-/healthy").await, StatusCode::NOT_FOUND);
    let answer = house
        .get("/gate/api/v1/rollouts")
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let next = answer.headers()["location"].to_str().unwrap();
    assert_eq!(next, "/gate/login?next=%2Fapi%2Fv1%2Frollouts");
}

#[tokio::test]
async fn with_an_address_for_people_the_other_one_is_for_programs() {
    let house = House::with(&[("/web/control_address", "127.0.0.1:0".into())]).await;
    let control = house.running.control_address.unwrap();
    let at = async |address: std::net::SocketAddr, path: &str| {
        let answer = house
            .client
            .get(format!("http://{address}{path}"))
            .send()
            .await
            .unwrap();
        answer.status()
    };
    assert_eq!(at(house.running.address, "/-/healthy").await, StatusCode::OK);
    assert_eq!(at(house.running.address, "/login").await, StatusCode::NOT_FOUND);
    assert_eq!(
        at(house.running.address, "/api/v1/rollouts").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(at(control, "/login").await, StatusCode::OK);
    assert_eq!(at(control, "/webhooks/alertmanager").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_description_of_the_api_is_the_api() {
    let house = House::usual().await;
    let answer = house
        .get("/api/openapi.json")
        .bearer_auth(house.admin())
        .send()
        .await
        .unwrap();
    let document: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes = house
        .running
        .routes
        .iter()
        .filter(|route| route.path.starts_with("/api/v1/"));
    let served: BTreeSet<_> = routes.map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(described, served);
}
