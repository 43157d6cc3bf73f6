//! What is refused, with which answer, and that nothing of it is handed over.

use http::StatusCode;

use crate::world::{World, fixture, post};

#[tokio::test]
async fn a_wrong_token_is_401_and_leaves_nothing_behind() {
    let world = World::new();
    let body = fixture("alertmanager/firing-single.json");
    let got = world
        .send(post(
            "/webhooks/alertmanager",
            &[("authorization", "Bearer guess")],
            body.clone(),
        ))
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert_eq!(got.header("www-authenticate"), "Bearer realm=\"tidegate\"");
    assert_eq!(world.intake.received().len(), 0);
    assert_eq!(world.alertmanager(body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_stored_is_503() {
    let world = World::new();
    world.intake.set_down(true);
    let got = world.alertmanager(fixture("alertmanager/firing-single.json")).await;
    assert_eq!(
        (got.status, got.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    assert!(
        !got.body.contains("disk"),
        "our own trouble is nobody else's business: {}",
        got.body
    );
    world.intake.set_down(false);
    assert_eq!(
        world
            .alertmanager(fixture("alertmanager/firing-single.json"))
            .await
            .status,
        StatusCode::OK
    );
    assert_eq!(world.intake.received().len(), 1);
}
