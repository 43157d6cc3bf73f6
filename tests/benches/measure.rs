//! The measurements: speed and memory of the real server, side by side with yardsticks in the same run.
//!
//! Owns what is measured and how it is printed. Refuses verdicts: machines differ, so the table shows medians with their
//! spread, and ratios between things measured in turn. The yardsticks are this program itself, started as a server.

mod growth;
mod ingest;
mod load;
mod reaction;
mod table;
mod usage;
mod yardstick;

use anyhow::Result;
use table::Table;

fn main() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(place) = arguments.iter().position(|argument| argument == "--yardstick") {
        return runtime.block_on(yardstick::serve(&arguments[place + 1..]));
    }
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let mut table = Table::begin();
    usage::idle(&mut table).await?;
    ingest::flags(&mut table).await?;
    growth::ticking(&mut table).await?;
    growth::stored_alerts(&mut table).await?;
    ingest::durable(&mut table).await?;
    reaction::webhook_to_flag(&mut table).await?;
    table.end()
}
