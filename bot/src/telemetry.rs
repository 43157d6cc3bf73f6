//! Owns what Tidegate says about itself: its log on standard error, and its metrics.
//! Refuses to be set up twice: recorder and subscriber belong to the process, so tests that share one share them too.

mod escape;
mod logfmt;
pub mod metrics;

use std::io;
use std::sync::OnceLock;

use ::metrics::SetRecorderError;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock;
use crate::config::{Level, Log, LogFormat};
use escape::OneLine;
use logfmt::Logfmt;

/// Durations are counted into these buckets, in seconds: from a commit on a fast disk to the longest wait of a sender.
const SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0,
];

/// The target of the lines that a channel says in the log: said whatever the level is, unless the level itself names it.
pub const NOTICES: &str = "tidegate::notices";

fn filter(level: &Level) -> EnvFilter {
    // What stands later wins, and the longer target wins.
    EnvFilter::new(format!("{NOTICES}=info,{}", level.as_str()))
}

/// Changes the level of the running log.
pub struct LogHandle(reload::Handle<EnvFilter, tracing_subscriber::Registry>);

impl LogHandle {
    /// From now on `level` is said.
    pub fn set_level(&self, level: &Level) {
        // Fails only when the subscriber is gone, and with it everybody who could listen.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log of this process, the first time; later calls, as in tests, change nothing and give nothing back.
pub fn start_log(log: &Log) -> Option<LogHandle> {
    let (filter, handle) = reload::Layer::new(filter(&log.level));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(OneLine::to(io::stderr));
    let started = match log.format {
        LogFormat::Logfmt => registry.with(lines.event_format(Logfmt)).try_init(),
        LogFormat::Json => {
            let json = lines.json().flatten_event(true).with_current_span(false);
            registry.with(json.with_span_list(false).with_timer(Wall)).try_init()
        }
    };
    started.is_ok().then_some(LogHandle(handle))
}

/// Tells the log the time.
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:.3}", clock::now())
    }
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The recorder could not be built.
    #[error("could not set up the metrics")]
    Build(#[from] BuildError),
    /// Somebody else records already.
    #[error("another recorder of metrics is in place")]
    Set(#[from] Box<SetRecorderError<PrometheusRecorder>>),
}

/// Starts the metrics of this process, the first time; later calls give the same handle.
pub fn start_metrics() -> Result<PrometheusHandle, MetricsError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = STARTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    ::metrics::set_global_recorder(recorder).map_err(Box::new)?;
    metrics::describe();
    Ok(HANDLE.get_or_init(|| handle).clone())
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;

    use super::*;

    /// Which of three lines are said at a level: a notice, a warning, a remark.
    fn said(level: &str) -> [bool; 3] {
        let level: Level = level.parse().unwrap();
        with_default(tracing_subscriber::registry().with(filter(&level)), || {
            [
                tracing::enabled!(target: NOTICES, tracing::Level::INFO),
                tracing::enabled!(tracing::Level::WARN),
                tracing::enabled!(tracing::Level::INFO),
            ]
        })
    }

    #[test]
    fn notices_are_said_at_every_level_unless_they_are_named() {
        assert_eq!(said("info"), [true, true, true]);
        assert_eq!(said("warn"), [true, true, false]);
        assert_eq!(said("off"), [true, false, false]);
        assert_eq!(said("warn,tidegate::http=debug"), [true, true, false]);
        assert_eq!(said("info,tidegate::notices=off"), [false, true, true]);
    }
}
