//! What a request may cost, and that too much of anything is answered so that a good sender comes again.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use http::StatusCode;
use tidegate_webhooks::{Limits, MissedWhy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::world::{GRAFANA_SECRET, PAGERDUTY_SECRET, TOKEN, World, alertmanager, fixture, post, sign};

const LIMIT: usize = 8 << 20;
const SOON: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(10);

/// A body that is sent in pieces, so that its length is not announced.
fn in_pieces(body: Vec<u8>) -> Body {
    let pieces: Vec<_> = body
        .chunks(64 << 10)
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

/// A body that begins and never ends.
fn endless() -> Body {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
    Body::from_stream(futures_util::StreamExt::chain(start, stream::pending()))
}

/// A good body of `size` bytes.
fn padded(size: usize) -> Vec<u8> {
    let mut body = fixture("alertmanager/firing-single.json").into_bytes();
    body.resize(size, b' ');
    body
}

#[tokio::test]
async fn the_largest_body_is_taken_and_one_byte_more_is_not() {
    for pieces in [false, true] {
        let world = World::new();
        let send = async |body| {
            world
                .alertmanager(if pieces { in_pieces(body) } else { Body::from(body) })
                .await
        };
        assert_eq!(send(padded(LIMIT)).await.status, StatusCode::OK);
        let got = send(padded(LIMIT + 1)).await;
        assert_eq!(
            (got.status, &got.json()["code"]),
            (StatusCode::PAYLOAD_TOO_LARGE, &"too-large".into())
        );
        assert_eq!(world.intake.received().len(), 1);
        let missed = world.intake.missed();
        assert_eq!(
            (missed.len(), &missed[0].why),
            (1, &MissedWhy::TooLarge { limit: LIMIT })
        );
        assert_eq!(send(padded(2_000)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_strangers_large_body_wakes_nobody() {
    let world = World::new();
    let guess = [("authorization", "Bearer guess")];
    let got = world
        .send(post("/webhooks/alertmanager", &guess, padded(LIMIT + 1)))
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    let zeros = format!("v1={}", "0".repeat(64));
    let got = world
        .send(post(
            "/webhooks/pagerduty",
            &[("x-pagerduty-signature", &zeros)],
            padded(2 << 20),
        ))
        .await;
    assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((world.intake.received().len(), world.intake.missed().len()), (0, 0));
}

/// Until its end has passed nobody knows whose it is; then it is known, although nobody has kept it.
#[tokio::test]
async fn a_large_body_of_a_sender_that_only_signs_is_missed_and_not_lost() {
    let cases = [
        (
            "/webhooks/pagerduty",
            "x-pagerduty-signature",
            "v1=",
            PAGERDUTY_SECRET,
            1 << 20,
        ),
        (
            "/webhooks/grafana/signed",
            "x-grafana-alerting-signature",
            "",
            GRAFANA_SECRET,
            LIMIT,
        ),
    ];
    for (path, header, version, secret, limit) in cases {
        for pieces in [false, true] {
            let world = World::new();
            let body = padded(limit + 1);
            let good = format!("{version}{}", sign(secret, &body));
            let wrong = format!("{version}{}", sign("somebody-elses-secret", &body));
            let send = async |signature: &str, body: Vec<u8>| {
                let body = if pieces { in_pieces(body) } else { Body::from(body) };
                world.send(post(path, &[(header, signature)], body)).await.status
            };
            assert_eq!(send(&wrong, body.clone()).await, StatusCode::PAYLOAD_TOO_LARGE);
            let cut = body[..limit + 1 - 7].iter().copied().chain([b'x'; 9]).collect();
            assert_eq!(send(&good, cut).await, StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(world.intake.missed().len(), 0, "{path}: a stranger wakes nobody");
            assert_eq!(send(&good, body).await, StatusCode::PAYLOAD_TOO_LARGE);
            let missed = world.intake.missed();
            assert_eq!(missed.len(), 1, "{path}");
            assert_eq!(missed[0].why, MissedWhy::TooLarge { limit }, "{path}");
        }
    }
}

/// Grafana sends groups of alerts, and a receiver that has nothing but a secret is no smaller for that.
#[tokio::test]
async fn the_largest_body_of_a_grafana_that_only_signs_is_taken() {
    let world = World::new();
    let mut body = fixture("grafana/firing.json").into_bytes();
    body.resize(LIMIT, b' ');
    let signature = sign(GRAFANA_SECRET, &body);
    let headers = [("x-grafana-alerting-signature", signature.as_str())];
    let got = world.send(post("/webhooks/grafana/signed", &headers, body)).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
}

/// Over a real connection: the sender writes everything before it reads. There is no memory for its body either, but
/// "come again" would be a lie: it would be as large as ever.
#[tokio::test]
async fn a_sender_sees_the_413_although_it_writes_all_of_9_mib_first() {
    let world = World::with(Limits {
        bodies: 1 << 20,
        ..Limits::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, world.router.clone()).into_future());

    let body = padded(9 << 20);
    let head = format!(
        "POST /webhooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    timeout(DEADLINE, connection.write_all(&body)).await.unwrap().unwrap();
    let mut status = [0; 12];
    timeout(DEADLINE, connection.read_exact(&mut status))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    assert_eq!(world.intake.missed().len(), 1);
    server.abort();
}

#[tokio::test]
async fn a_slow_body_is_503() {
    let world = World::with(Limits {
        read_within: SOON,
        ..Limits::default()
    });
    let got = timeout(DEADLINE, world.alertmanager(endless())).await.unwrap();
    assert_eq!(
        (got.status, &got.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"too-slow".into())
    );
    assert_eq!(got.header("retry-after"), "1");
    assert_eq!(world.alertmanager(padded(2_000)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_broken_body_is_503() {
    let world = World::new();
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))];
    let got = world.alertmanager(Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(
        (got.status, &got.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"broken-off".into())
    );
    assert_eq!(world.intake.received().len(), 0);
}

#[tokio::test]
async fn a_store_that_hangs_is_503() {
    let world = World::with(Limits {
        answer_within: SOON,
        ..Limits::default()
    });
    let held = world.intake.hold().await;
    let got = timeout(DEADLINE, world.alertmanager(padded(2_000))).await.unwrap();
    assert_eq!(
        (got.status, &got.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"not-stored-in-time".into())
    );
    drop(held);
    assert_eq!(world.alertmanager(padded(2_000)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn beyond_the_requests_in_flight_is_503() {
    let world = World::with(Limits {
        requests: 8,
        ..Limits::default()
    });
    let held = world.intake.hold().await;
    let waiting = world.begin(7, || alertmanager(padded(2_000))).await;
    let got = world.alertmanager(padded(2_000)).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (&got.json()["code"], got.header("retry-after")),
        (&"too-many-requests-in-flight".into(), "1")
    );
    drop(held);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(world.alertmanager(padded(2_000)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn beyond_the_bytes_in_flight_is_503() {
    let world = World::with(Limits {
        bodies: 80_000,
        ..Limits::default()
    });
    let held = world.intake.hold().await;
    let waiting = world.begin(2, || alertmanager(padded(30_000))).await;
    let got = world.alertmanager(padded(30_000)).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (&got.json()["code"], got.header("retry-after")),
        (&"too-many-bytes-in-flight".into(), "1")
    );
    drop(held);
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(
        world.alertmanager(padded(30_000)).await.status,
        StatusCode::OK,
        "the memory was given back"
    );
}

/// Whoever proves itself only at the end of its body shares an eighth of everything with every stranger, and no more.
#[tokio::test]
async fn strangers_that_never_finish_do_not_keep_a_known_sender_out() {
    let world = World::with(Limits {
        requests: 32,
        ..Limits::default()
    });
    let zeros = format!("v1={}", "0".repeat(64));
    let strange = |body| post("/webhooks/pagerduty", &[("x-pagerduty-signature", &zeros)], body);
    let strangers: Vec<_> = (0..100)
        .map(|_| tokio::spawn(world.clone().send_owned(strange(endless()))))
        .collect();

    let body = fixture("pagerduty/incident.triggered.json");
    let signature = format!("v1={}", sign(PAGERDUTY_SECRET, body.as_bytes()));
    let crowded_out = async {
        while world
            .send(post(
                "/webhooks/pagerduty",
                &[("x-pagerduty-signature", &signature)],
                body.clone(),
            ))
            .await
            .status
            != StatusCode::SERVICE_UNAVAILABLE
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, crowded_out).await.unwrap();
    for _ in 0..100 {
        assert_eq!(world.alertmanager(padded(2_000)).await.status, StatusCode::OK);
    }
    strangers.iter().for_each(tokio::task::JoinHandle::abort);
}
