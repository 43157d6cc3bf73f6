//! Owns the demo: a shop, its visitors, an alert source and the service of `tidegate serve`, set up in a moment and taken
//! down without a trace, with a story told about them.
//! Refuses shortcuts: it starts the service from a configuration file and talks to it over HTTP, like any user.

mod alerts;
mod api;
mod files;
mod load;
mod marks;
mod pager;
mod plan;
mod play;
mod prometheus;
mod scenario;
mod service;
mod serving;
mod shop;
mod source;
mod stage;
mod story;

use tokio_util::sync::CancellationToken;

pub use plan::Speed;
pub use scenario::{Ending, Scenario};
pub use service::run_doomed;
pub use source::AlertsFrom;
pub use story::{Manner, Paper, Story};

use play::Play;
use stage::Stage;

/// What the demo is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which story.
    pub scenario: Scenario,
    /// Where alerts come from.
    pub alerts: AlertsFrom,
    /// How much faster than production.
    pub speed: Speed,
    /// Where the service should listen, if that port is free.
    pub port: u16,
    /// Whether everything stays up after the story, until somebody stops it.
    pub stay: bool,
    /// Whether the service writes its own log to standard error.
    pub log: bool,
}

/// Why the demo could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Something did not work.
    #[error("could not {tried}: {source:#}")]
    Failed {
        /// What we tried.
        tried: &'static str,
        /// What stood in the way.
        source: anyhow::Error,
    },
    /// The real programs were asked for and are not here.
    #[error("there is no `prometheus` with an `alertmanager` or `prometheus-alertmanager` on the PATH")]
    NoPrograms,
    /// The story about the crash ended without one.
    #[error("the service was not killed in the middle of the rollback, so nothing was shown")]
    NotKilled,
    /// The story about the storm ended without one.
    #[error("the other alerts were never all posted, so nothing was shown")]
    NoStorm,
    /// The story ended without the page that its plan asks for.
    #[error("nobody was paged, although the plan pages for this")]
    NotPaged,
    /// Nobody can read the story.
    #[error("could not write the story: {0}")]
    Untold(#[from] std::io::Error),
}

impl DemoError {
    fn failed(tried: &'static str, source: impl Into<anyhow::Error>) -> Self {
        Self::Failed {
            tried,
            source: source.into(),
        }
    }
}

/// Tells the story that `settings` ask for, until it ends or `stop` is cancelled.
///
/// # Errors
/// A [`DemoError`] when the story could not be told to its end; everything is taken down then, too.
pub async fn run(settings: Settings, story: &mut Story<'_>, stop: &CancellationToken) -> Result<Ending, DemoError> {
    let set_up = tokio::select! {
        // What was set up so far goes away with the future.
        () = stop.cancelled() => return Ok(Ending::Interrupted),
        set_up = Stage::set_up(&settings, story) => set_up,
    };
    let mut stage = set_up?;
    let told = tokio::select! {
        () = stop.cancelled() => Ok(Ending::Interrupted),
        told = tell(settings, &mut stage, story, stop) => told,
    };
    stage.take_down().await;
    told
}

async fn tell(
    settings: Settings,
    stage: &mut Stage,
    story: &mut Story<'_>,
    stop: &CancellationToken,
) -> Result<Ending, DemoError> {
    let base = stage.base().clone();
    let mut play = Play::new(settings.scenario, stage, story);
    let ending = play.run(plan::lasting(settings.speed)).await?;
    play.hint(settings.stay, &base)?;
    if settings.stay {
        play.stay(stop).await?;
        return Ok(Ending::Interrupted);
    }
    Ok(ending)
}
