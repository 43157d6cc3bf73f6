//! A webhook receiver that writes down whatever arrives and answers as it is told.
//!
//! Stands where Tidegate will stand, to prove the world around it, and where a channel of ours ends. Judges nothing by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::serve::Served;
use crate::wait;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// All headers.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub body: Bytes,
    /// When it had arrived whole.
    pub at: Instant,
    /// What it was answered.
    pub answered: StatusCode,
}

impl Delivery {
    /// Checks the signature as a receiver does that knows Standard Webhooks and nothing of us: HMAC-SHA256 with `secret` over
    /// `id.timestamp.body`, made within the last minute.
    ///
    /// # Errors
    /// Says what is missing or does not fit.
    pub fn is_signed_with(&self, secret: &str) -> Result<()> {
        let header = |name: &str| {
            let value = self.headers.get(name).with_context(|| format!("no {name}"))?;
            value.to_str().with_context(|| format!("{name} is no text"))
        };
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        let age =
            tidegate::clock::now().as_second() - timestamp.parse::<i64>().context("the timestamp is no number")?;
        ensure!((-1..60).contains(&age), "it was signed {age} s ago");
        let signature = header("webhook-signature")?;
        let signature = signature.strip_prefix("v1,").context("no signature of version 1")?;
        let signature = BASE64.decode(signature).context("the signature is not base64")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).context("the secret is no key")?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", &self.body] {
            mac.update(part);
        }
        mac.verify_slice(&signature)
            .context("the signature is over something else")
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the body is not JSON")
    }
}

#[derive(Debug)]
struct Book {
    deliveries: Vec<Delivery>,
    answer: StatusCode,
}

/// The receiver.
#[derive(Debug)]
pub struct Sink {
    served: Served,
    book: Arc<Mutex<Book>>,
}

impl Sink {
    /// Starts to listen; every path and method is taken and answered 200.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let book = Arc::new(Mutex::new(Book {
            deliveries: Vec::new(),
            answer: StatusCode::OK,
        }));
        let router = Router::new()
            .fallback(take)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&book));
        Ok(Self {
            served: Served::start(router).await?,
            book,
        })
    }

    /// The address of `path` here.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.served.url(path)
    }

    /// Answers every further request with `status`.
    pub fn answer_with(&self, status: StatusCode) {
        open(&self.book).answer = status;
    }

    /// Everything that arrived so far, in order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        open(&self.book).deliveries.clone()
    }

    /// Waits for a delivery whose JSON body `fits`; looks at all that arrived so far, too.
    ///
    /// # Errors
    /// When none fits before the deadline; says how many arrived and what the last one was.
    pub async fn delivery(&self, what: &str, deadline: Duration, fits: impl Fn(&Value) -> bool) -> Result<Delivery> {
        wait::until(what, deadline, async || {
            let deliveries = self.deliveries();
            let found = deliveries
                .iter()
                .find(|delivery| delivery.json().is_ok_and(|body| fits(&body)));
            found.cloned().with_context(|| {
                let last = deliveries
                    .last()
                    .map(|delivery| String::from_utf8_lossy(&delivery.body).into_owned());
                format!("{} deliveries arrived, the last was {last:?}", deliveries.len())
            })
        })
        .await
    }
}

async fn take(
    State(book): State<Arc<Mutex<Book>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut book = open(&book);
    let answered = book.answer;
    book.deliveries.push(Delivery {
        method,
        uri,
        headers,
        body,
        at: Instant::now(),
        answered,
    });
    answered
}

/// A panicking reader leaves the book whole.
fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}
