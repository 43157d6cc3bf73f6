//! The one HTTP client calls what the configuration names, and nothing else.

use std::time::{Duration, Instant};

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use reqwest::Method;
use tidegate::net::{self, Forbidden, HostRule, Net, Unread};
use tidegate_tests::serve::Served;
use url::Url;

const DEADLINE: Duration = Duration::from_secs(10);

async fn served() -> Served {
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/large", get(async || "x".repeat(100_000)))
        .route("/away", get(async || Redirect::temporary("http://192.0.2.1/")))
        .route("/never", get(std::future::pending::<&str>));
    Served::start(router).await.unwrap()
}

fn net(hosts: &[String]) -> Net {
    Net::new(hosts.iter().map(|host| host.parse::<HostRule>().unwrap()).collect()).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_named_host_is_called_and_no_other() {
    let served = served().await;
    let net = net(&[served.address().to_string()]);
    let answer = net
        .request(Method::GET, &url(&served.url("/")), DEADLINE)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert_eq!(net::read(answer, 100).await.unwrap(), "hello");
    let port = served.address().port();
    for other in [
        format!("http://localhost:{port}/"),
        "http://127.0.0.1:1/".to_owned(),
        format!("http://[::1]:{port}/"),
    ] {
        let refused = net.request(Method::GET, &url(&other), DEADLINE).unwrap_err();
        assert!(matches!(refused, Forbidden::Host(_)), "{other}");
    }
    net.allow(Vec::new());
    assert!(
        net.request(Method::GET, &url(&served.url("/")), DEADLINE).is_err(),
        "a reload takes it away"
    );
}

#[tokio::test]
async fn this_machine_is_called_by_the_name_that_says_so() {
    let served = served().await;
    let port = served.address().port();
    let net = net(&[format!("localhost:{port}")]);
    let address = url(&format!("http://localhost:{port}/"));
    let answer = net
        .request(Method::GET, &address, DEADLINE)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let served = served().await;
    let net = net(&[served.address().to_string(), "192.0.2.1".to_owned()]);
    let answer = net
        .request(Method::GET, &url(&served.url("/away")), DEADLINE)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 307);
}

#[tokio::test]
async fn an_answer_without_an_end_ends_here() {
    let served = served().await;
    let net = net(&[served.address().to_string()]);
    let answer = net
        .request(Method::GET, &url(&served.url("/large")), DEADLINE)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert!(matches!(net::read(answer, 10_000).await, Err(Unread::TooLong(10_000))));
    let begun = Instant::now();
    let never = net
        .request(Method::GET, &url(&served.url("/never")), Duration::from_millis(200))
        .unwrap();
    assert!(never.send().await.unwrap_err().is_timeout());
    assert!(begun.elapsed() < DEADLINE);
}
