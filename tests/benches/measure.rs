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
    // Cargo adds options of its own; a word names a part to be measured alone.
    let asked: Vec<&str> = arguments[1..]
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    runtime.block_on(measure(&asked))
}

async fn measure(asked: &[&str]) -> Result<()> {
    let wanted = |part: &str| asked.is_empty() || asked.contains(&part);
    let mut table = Table::begin();
    if wanted("idle") {
        usage::idle(&mut table).await?;
    }
    if wanted("flags") {
        ingest::flags(&mut table).await?;
    }
    if wanted("growth") {
        growth::ticking(&mut table).await?;
        growth::stored_alerts(&mut table).await?;
    }
    if wanted("ingest") {
        ingest::durable(&mut table).await?;
    }
    if wanted("reaction") {
        reaction::webhook_to_flag(&mut table).await?;
    }
    table.end()
}
