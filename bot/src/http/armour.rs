//! Owns what every answer has in common: headers that keep browsers careful, a caught panic, a count of what was asked.
//! Refuses CORS: no header of it is ever sent, so no other site can read an answer.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use metrics::{counter, histogram};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use super::problem::Problem;
use crate::telemetry::metrics::{HTTP_DURATION, HTTP_REQUESTS, PANICS};

/// Nothing is loaded, framed or posted anywhere but here. There is no inline script or style in any page.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                       connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A stricter origin in the referrer would hide from us that a form is ours.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, CONTENT),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// `router` with everything that all routes have in common.
pub(super) fn around(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn(careful))
        .layer(from_fn(counted))
}

/// Sets the headers where the handler has not said otherwise.
async fn careful(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Counts by the route's pattern, never by the path: whoever asks must not be able to make new series.
async fn counted(request: Request, next: Next) -> Response {
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "none".to_owned(),
    };
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    let (asked_route, asked_method) = (route.clone(), method.clone());
    histogram!(HTTP_DURATION, "route" => route, "method" => method).record(begun.elapsed().as_secs_f64());
    counter!(HTTP_REQUESTS, "route" => asked_route, "method" => asked_method, "status" => status).increment(1);
    response
}

/// One broken handler is one broken answer.
fn caught(panic: Box<dyn Any + Send>) -> Response<Body> {
    let what = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    counter!(PANICS).increment(1);
    error!(panic = what, "A handler broke");
    let detail = "Something broke here. It was logged; the rest goes on.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", detail).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn breaks() -> &'static str {
        panic!("the handler of the test breaks")
    }

    #[tokio::test]
    async fn one_broken_handler_is_one_broken_answer() {
        let router = around(
            Router::new()
                .route("/breaks", get(breaks))
                .route("/works", get(async || "fine")),
        );
        let ask = |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        let broken = ask("/breaks").await.unwrap();
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(broken.headers()[X_FRAME_OPTIONS], "DENY");
        let body = to_bytes(broken.into_body(), 10_000).await.unwrap();
        assert!(
            !String::from_utf8_lossy(&body).contains("of the test"),
            "what broke is for the log"
        );
        assert_eq!(ask("/works").await.unwrap().status(), StatusCode::OK);
    }
}
