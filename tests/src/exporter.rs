//! A service with two versions, as Prometheus sees it: `requests_total{service,version,code}` and a fault switch.
//!
//! Nothing ticks here: the counters rise by the time that has passed since they were last looked at.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::serve::Served;

/// Requests per second of a version nobody has changed.
const RATE: f64 = 100.0;

/// One of the two versions.
#[derive(Clone, Copy, Debug)]
pub enum Version {
    /// The one that was there before, `version="v1"`.
    Old,
    /// The one that is being rolled out, `version="v2"`.
    New,
}

#[derive(Debug)]
struct Load {
    version: &'static str,
    rate: f64,
    errors: f64,
    good: f64,
    bad: f64,
}

impl Load {
    fn of(version: &'static str) -> Self {
        Self {
            version,
            rate: RATE,
            errors: 0.0,
            good: 0.0,
            bad: 0.0,
        }
    }
}

#[derive(Debug)]
struct Counters {
    service: String,
    old: Load,
    new: Load,
    counted: Instant,
    dark: bool,
}

impl Counters {
    /// Counts up to now, with the rates that held until now.
    fn catch_up(&mut self) {
        let now = Instant::now();
        let seconds = now.duration_since(self.counted).as_secs_f64();
        self.counted = now;
        for load in [&mut self.old, &mut self.new] {
            load.good += seconds * load.rate * (1.0 - load.errors);
            load.bad += seconds * load.rate * load.errors;
        }
    }

    fn render(&self) -> String {
        let mut text = String::from("# TYPE requests_total counter\n");
        let service = &self.service;
        for Load { version, good, bad, .. } in [&self.old, &self.new] {
            for (code, count) in [("200", good), ("500", bad)] {
                let labels = format!("service={service:?},version={version:?},code={code:?}");
                // Writing into a string cannot fail.
                let _ = writeln!(text, "requests_total{{{labels}}} {count}");
            }
        }
        text
    }
}

/// The exporter.
#[derive(Debug)]
pub struct Exporter {
    served: Served,
    counters: Arc<Mutex<Counters>>,
}

impl Exporter {
    /// Both versions of `service` take a hundred requests a second, and none fails.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(service: &str) -> Result<Self> {
        let (old, new) = (Load::of("v1"), Load::of("v2"));
        let counters = Counters {
            service: service.to_owned(),
            old,
            new,
            counted: Instant::now(),
            dark: false,
        };
        let counters = Arc::new(Mutex::new(counters));
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&counters));
        Ok(Self {
            served: Served::start(router).await?,
            counters,
        })
    }

    /// `host:port`, as Prometheus names it.
    #[must_use]
    pub fn address(&self) -> String {
        self.served.address().to_string()
    }

    /// From now on this share (0 to 1) of a version's requests fails.
    pub fn fail(&self, version: Version, share: f64) {
        self.change(version, |load| load.errors = share);
    }

    /// From now on a version takes this many requests per second.
    pub fn load(&self, version: Version, per_second: f64) {
        self.change(version, |load| load.rate = per_second);
    }

    /// From now on `/metrics` answers 503, or answers again.
    pub fn go_dark(&self, dark: bool) {
        open(&self.counters).dark = dark;
    }

    fn change(&self, version: Version, change: impl FnOnce(&mut Load)) {
        let mut counters = open(&self.counters);
        counters.catch_up();
        change(match version {
            Version::Old => &mut counters.old,
            Version::New => &mut counters.new,
        });
    }
}

async fn metrics(State(counters): State<Arc<Mutex<Counters>>>) -> Result<String, StatusCode> {
    let mut counters = open(&counters);
    counters.catch_up();
    if counters.dark {
        Err(StatusCode::SERVICE_UNAVAILABLE)
    } else {
        Ok(counters.render())
    }
}

/// A panicking reader leaves the counters whole.
fn open(counters: &Mutex<Counters>) -> MutexGuard<'_, Counters> {
    counters.lock().unwrap_or_else(PoisonError::into_inner)
}
