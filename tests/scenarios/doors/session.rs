//! Signing in and out with a browser.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tidegate_rollout::{PersonId, Timestamp};
use tokio::time::timeout;

use super::house::{House, cookie_of, json_of};

/// Longer than anything here takes, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_token_becomes_a_session_of_its_person_and_ends_with_the_sign_out() {
    let house = House::usual().await;
    let token = house.token("the-operator", &[]).await;
    let answer = house
        .post("/login")
        .form(&[("token", token.as_str()), ("next", "/r/auth-17?tab=log")])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/r/auth-17?tab=log");
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    let cookie = cookie_of(&answer);
    let myself = house
        .get("/api/v1/whoami")
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    let myself = json_of(myself).await;
    assert_eq!(myself["person"], "the-operator");
    assert_eq!(myself["roles"], json!(["operator"]));

    let out = house
        .post("/logout")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "same-origin");
    let out = out.send().await.unwrap();
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let after = house
        .get("/api/v1/whoami")
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
    let token_lives = house.get("/api/v1/whoami").bearer_auth(&token).send().await.unwrap();
    assert_eq!(token_lives.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_session_is_no_token_and_a_token_no_session() {
    let house = House::usual().await;
    let cookie = house.sign_in(&house.admin()).await;
    let secret = cookie.split_once('=').unwrap().1.to_owned();
    let as_token = house.get("/api/v1/whoami").bearer_auth(&secret).send().await.unwrap();
    assert_eq!(as_token.status(), StatusCode::UNAUTHORIZED);
    let planted = format!("tidegate_session={}", house.admin());
    let as_cookie = house
        .get("/api/v1/whoami")
        .header("cookie", planted)
        .send()
        .await
        .unwrap();
    assert_eq!(as_cookie.status(), StatusCode::UNAUTHORIZED);
    let twice = format!("{cookie}; tidegate_session=other");
    let two = house
        .get("/api/v1/whoami")
        .header("cookie", twice)
        .send()
        .await
        .unwrap();
    assert_eq!(two.status(), StatusCode::UNAUTHORIZED);
    let again = house.post("/login").form(&[("token", secret)]).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_signs_in_with_a_wrong_token_or_with_that_of_a_program() {
    let house = House::usual().await;
    let program = house.token("shop", &["flags"]).await;
    for token in ["", "wrong", program.as_str()] {
        let answer = house.post("/login").form(&[("token", token)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.headers().contains_key("set-cookie"));
        assert!(answer.text().await.unwrap().contains("no token of a person"));
    }
}

#[tokio::test]
async fn after_the_sign_in_nobody_lands_elsewhere() {
    let house = House::usual().await;
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "evil"] {
        let form = [("token", house.admin()), ("next", next.to_owned())];
        let answer = house.post("/login").form(&form).send().await.unwrap();
        assert_eq!(answer.headers()["location"], "/", "{next}");
    }
}

#[tokio::test]
async fn a_person_who_is_taken_out_of_the_configuration_is_out_at_once() {
    let mut house = House::usual().await;
    let token = house.token("the-operator", &[]).await;
    let cookie = house.sign_in(&token).await;
    house.rewrite(|settings| {
        let people = settings["people"].as_array_mut().unwrap();
        people.retain(|person| person["id"] != "the-operator");
    });
    house.running.reload().await.unwrap();
    let by_token = house.get("/api/v1/rollouts").bearer_auth(&token).send().await.unwrap();
    assert_eq!(by_token.status(), StatusCode::FORBIDDEN);
    let by_cookie = house
        .get("/api/v1/rollouts")
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(by_cookie.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_person_at_a_page_is_led_to_the_sign_in_and_a_link_from_elsewhere_first_to_itself() {
    let house = House::usual().await;
    let visit = |site: &'static str| {
        let request = house.get("/api/v1/rollouts").header("accept", "text/html,*/*");
        request.header("sec-fetch-site", site).send()
    };
    let own = visit("none").await.unwrap();
    assert_eq!(own.status(), StatusCode::SEE_OTHER);
    assert_eq!(own.headers()["location"], "/login?next=%2Fapi%2Fv1%2Frollouts");
    let linked = visit("cross-site").await.unwrap();
    assert_eq!(linked.status(), StatusCode::UNAUTHORIZED);
    assert!(linked.text().await.unwrap().contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn a_form_without_a_session_is_led_to_the_sign_in_which_says_that_nothing_was_done() {
    let house = House::usual().await;
    let press = |referer: String| {
        let request = house
            .post("/r/auth-17/do")
            .header("accept", "text/html,*/*")
            .header("referer", referer);
        let form = [("verb", "rollback"), ("reason", "errors")];
        request.header("sec-fetch-site", "same-origin").form(&form).send()
    };
    for (referer, next) in [
        (format!("http://{}/r/auth-17", house.host()), "%2Fr%2Fauth-17"),
        (format!("http://{}/r/auth-17/do", house.host()), "%2Fr%2Fauth-17"),
        ("http://evil.example/r/auth-17".to_owned(), "%2F"),
    ] {
        let answer = press(referer).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(location, format!("/login?next={next}&pressed=1"));
        let page = house.get(&location).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Nothing was done"), "{page}");
    }
    let program = house
        .post("/r/auth-17/do")
        .form(&[("verb", "rollback")])
        .send()
        .await
        .unwrap();
    assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stream_ends_with_the_session_that_it_was_opened_with() {
    let mut house = House::usual().await;
    let token = house.token("the-operator", &[]).await;
    let (gone, removed) = (house.sign_in(&token).await, house.sign_in(&token).await);
    let open = async |path: &str, cookie: &str| {
        let answer = house.get(path).header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer
    };
    let (chat, events) = (open("/chat/events", &gone).await, open("/events", &gone).await);
    let other = open("/events", &removed).await;
    let out = house
        .post("/logout")
        .header("cookie", &gone)
        .header("sec-fetch-site", "same-origin");
    assert_eq!(out.send().await.unwrap().status(), StatusCode::SEE_OTHER);
    for stream in [chat, events] {
        timeout(PATIENCE, stream.text())
            .await
            .expect("the stream ends")
            .unwrap();
    }
    house.rewrite(|settings| settings["people"] = json!([]));
    house.running.reload().await.unwrap();
    timeout(PATIENCE, other.text()).await.expect("the stream ends").unwrap();
}

#[tokio::test]
async fn an_invitation_works_once_and_only_here() {
    let house = House::usual().await;
    let invite = || {
        let person = PersonId::new("the-operator");
        house
            .running
            .app
            .invitations
            .invite(person, Timestamp::UNIX_EPOCH)
            .unwrap()
    };
    let path = invite();
    let elsewhere = house
        .get(&path)
        .header("x-forwarded-for", "192.0.2.7")
        .send()
        .await
        .unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    let first = house.get(&path).send().await.unwrap();
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    let cookie = cookie_of(&first);
    let myself = house
        .get("/api/v1/whoami")
        .header("cookie", cookie)
        .send()
        .await
        .unwrap();
    assert_eq!(json_of(myself).await["person"], "the-operator");
    let second = house.get(&path).send().await.unwrap();
    assert_eq!(second.status(), StatusCode::FORBIDDEN);
    assert_eq!(json_of(second).await["code"], "used");
    // A person is shown where to go on.
    let browser = house
        .get(&path)
        .header("accept", "text/html,*/*;q=0.8")
        .send()
        .await
        .unwrap();
    assert_eq!(browser.status(), StatusCode::FORBIDDEN);
    let page = browser.text().await.unwrap();
    assert!(
        page.contains("This link signs in once") && page.contains("name=\"token\""),
        "{page}"
    );
}
