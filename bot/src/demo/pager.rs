//! Owns the pager of the demo: a signed webhook channel ends here, and what it says is passed on to the story.
//! Refuses a page whose signature is not the service's.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use tokio::sync::mpsc;

use super::serving::{Open, Serving};

/// Pages beyond this are taken and not shown.
const SHOWN: usize = 64;

/// The pager while it is on.
pub(super) struct Pager {
    serving: Serving,
    pages: mpsc::Receiver<String>,
}

struct Inbox {
    secret: SecretString,
    pages: mpsc::Sender<String>,
}

/// What a page carries beside its proof.
#[derive(Deserialize)]
struct Page {
    text: String,
}

impl Pager {
    /// Switches it on; pages are signed with `secret`.
    pub(super) fn start(open: Open, secret: SecretString) -> Self {
        let (sender, pages) = mpsc::channel(SHOWN);
        let inbox = Arc::new(Inbox { secret, pages: sender });
        let router = Router::new().route("/page", post(page)).with_state(inbox);
        Self {
            serving: open.serve(router),
            pages,
        }
    }

    /// The next page that came in, if there is one.
    pub(super) fn next(&mut self) -> Option<String> {
        self.pages.try_recv().ok()
    }

    /// Switches it off.
    pub(super) async fn stop(self) {
        self.serving.stop().await;
    }
}

/// `POST /page`
async fn page(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !proved(&inbox.secret, &headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(page) = serde_json::from_slice::<Page>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    // A pager whose screen is full has rung all the same.
    let _ = inbox.pages.try_send(page.text);
    StatusCode::NO_CONTENT
}

/// Whether the signature, in the way of Standard Webhooks, is over exactly this.
fn proved(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(timestamp), Some(signatures)) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    ) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return false;
    };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let given = signatures
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"));
    let mut given = given.filter_map(|signature| STANDARD.decode(signature).ok());
    given.any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(body: &[u8]) -> HeaderMap {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
        mac.update(b"shop-1.4.0.1800000000.");
        mac.update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "shop-1.4.0".parse().unwrap());
        headers.insert("webhook-timestamp", "1800000000".parse().unwrap());
        headers.insert("webhook-signature", format!("v1,AAAA v1,{signature}").parse().unwrap());
        headers
    }

    #[test]
    fn only_what_was_signed_is_a_page() {
        let (body, secret) = (b"{\"text\":\"rolled back\"}", SecretString::from("s3cret"));
        assert!(proved(&secret, &signed(body), body));
        assert!(!proved(&secret, &signed(body), b"{\"text\":\"all is well\"}"));
        assert!(!proved(&SecretString::from("other"), &signed(body), body));
        let mut other = signed(body);
        other.insert("webhook-id", "shop-1.5.0".parse().unwrap());
        assert!(!proved(&secret, &other, body));
        assert!(!proved(&secret, &HeaderMap::new(), body));
    }
}
