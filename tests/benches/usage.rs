//! What a process uses, read from the kernel; and the idle server.

use std::time::Instant;

use anyhow::{Context, Result};
use tidegate_tests::tidegate::{Setup, Tidegate};

use crate::table::Table;

/// Clock ticks of the kernel's accounting per second: fixed on Linux for user space.
const TICKS: f64 = 100.0;

/// CPU seconds of a process so far, its own and its children's.
pub(crate) fn cpu(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("could not read the CPU time")?;
    // The name in parentheses may hold spaces; fields are counted after it.
    let (_, fields) = stat.rsplit_once(')').context("an odd stat line")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    Ok((11..=14).map(ticks).sum::<f64>() / TICKS)
}

/// Resident memory in MiB.
pub(crate) fn resident(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("could not read the memory")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .context("an odd VmRSS")?;
    Ok(kib / 1_024.0)
}

/// The process of a server.
pub(crate) fn process(server: &mut Tidegate) -> Result<u32> {
    Ok(server.program()?.id())
}

/// Start-up time, and memory at rest.
pub(crate) async fn idle(table: &mut Table) -> Result<()> {
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    let mut server = Setup::new()?.start().await?;
    for _ in 0..5 {
        server.kill()?;
        let started = Instant::now();
        server.start_again().await?;
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        memory.push(resident(process(&mut server)?)?);
    }
    table.figure(
        "start: from exec to ready",
        "ms",
        &starts,
        "goal 100; looked at every few milliseconds",
    );
    table.figure("memory of the idle server", "MiB", &memory, "goal 30");
    Ok(())
}
