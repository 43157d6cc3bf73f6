//! The table: one row per figure, with the median and the spread over the rounds.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Result;

/// What a ratio should come to: the floor, what a release shows, and what would be splendid. Rising when more is better.
#[derive(Clone, Copy)]
pub(crate) struct Goal(pub(crate) f64, pub(crate) f64, pub(crate) f64);

impl Goal {
    /// Where `value` stands.
    fn verdict(self, value: f64) -> &'static str {
        let Self(floor, target, stretch) = self;
        let meets = |goal: f64| if stretch > floor { value >= goal } else { value <= goal };
        match () {
            () if meets(stretch) => "splendid",
            () if meets(target) => "meets the target",
            () if meets(floor) => "meets the floor",
            () => "misses the floor",
        }
    }
}

/// Where the rounds of a yardstick or of ours differ by more than this factor, a ratio says nothing.
const NOISE: f64 = 2.0;

/// Rows in the order they were measured.
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// An empty table, with a line about the machine.
    pub(crate) fn begin() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let before = load.split_whitespace().next().unwrap_or("?").to_owned();
        let rows = vec![[
            "machine".to_owned(),
            format!("{cores} cores"),
            format!("load {before} before"),
            "server and generator share the cores".to_owned(),
        ]];
        Self { rows }
    }

    /// A figure with its rounds; `note` says what stands beside it.
    pub(crate) fn figure(&mut self, what: &str, unit: &str, rounds: &[f64], note: impl Into<String>) {
        let spread = format!("{} – {}", short(low(rounds)), short(high(rounds)));
        self.row(what, format!("{} {unit}", short(median(rounds))), spread, note);
    }

    /// A ratio of two figures that were measured in turn, beside its goal: no verdict where either was too noisy.
    pub(crate) fn ratio(&mut self, what: &str, ours: &[f64], yardstick: &[f64], goal: Goal) {
        let ratio = median(ours) / median(yardstick);
        let noisy = |rounds: &[f64]| high(rounds) > NOISE * low(rounds);
        let verdict = match noisy(ours) || noisy(yardstick) {
            true => "too noisy for a verdict",
            false => goal.verdict(ratio),
        };
        let Goal(floor, target, stretch) = goal;
        self.row(
            what,
            format!("{}x", short(ratio)),
            "",
            format!("floor {floor}, target {target}, stretch {stretch}: {verdict}"),
        );
    }

    /// A row of words.
    pub(crate) fn row(
        &mut self,
        what: &str,
        value: impl Into<String>,
        spread: impl Into<String>,
        note: impl Into<String>,
    ) {
        let row = [what.to_owned(), value.into(), spread.into(), note.into()];
        let line = row.join("  ");
        // Progress for whoever watches; the table comes at the end.
        let _ = writeln!(std::io::stderr(), "{line}");
        self.rows.push(row);
    }

    /// Prints the table as Markdown.
    pub(crate) fn end(self) -> Result<()> {
        let mut text = String::from("| what | median | spread | note |\n|---|---|---|---|\n");
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | "))?;
        }
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// The middle one, or the mean of the middle two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// The value below which `share` of all lie; the nearest rank.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank"
    )]
    let rank = ((sorted.len() as f64 * share).ceil() as usize)
        .saturating_sub(1)
        .min(last);
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

fn low(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn high(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
