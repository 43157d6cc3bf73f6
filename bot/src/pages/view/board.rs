//! Owns what the page of all rollouts shows: the table, the alert path, the freezes, what could not be said, the server's log.
//! Refuses to hide trouble below the fold: what needs a person comes first.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::health::unknown_path;
use tidegate_rollout::plan::Watchdog;
use tidegate_rollout::surroundings::{Freeze, Poll};
use tidegate_rollout::{Entry, Period, Rollout, Stage, Surface, Surroundings};

use super::{Chrome, EVENTS, Here, Mark, Moment, Reader, Seen, brief, grouped, next, words};
use crate::doors::TurnedAway;
use crate::store::DeadLetter;

/// The most rows of each table.
const MOST: usize = 60;
/// The most dead letters, and lines of the server's log, that are shown in full.
pub const MOST_LINES: usize = 5;

/// The page of all rollouts.
#[derive(Clone, Debug, Serialize)]
pub struct Board {
    chrome: Chrome,
    path: Mark,
    path_why: String,
    freezes: Vec<Frozen>,
    unsaid: Option<Unsaid>,
    turned_away: Vec<String>,
    server_log: Vec<Line>,
    active: Vec<Row>,
    finished: Vec<Row>,
    tally: String,
}

#[derive(Clone, Debug, Serialize)]
struct Frozen {
    environment: String,
    by: String,
    reason: String,
    at: Moment,
}

/// What could not be said.
#[derive(Clone, Debug, Serialize)]
struct Unsaid {
    count: String,
    letters: Vec<Letter>,
}

#[derive(Clone, Debug, Serialize)]
struct Letter {
    notice: String,
    channel: String,
    why: String,
    at: Moment,
}

/// One line of the server's log.
#[derive(Clone, Debug, Serialize)]
struct Line {
    text: String,
    /// Where a person said so.
    place: Option<&'static str>,
    at: Moment,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    id: String,
    title: String,
    subject: String,
    state: Mark,
    health: Option<Mark>,
    share: String,
    left: String,
    waits: String,
    owner: String,
    /// When it ended; for those that did.
    ended: Option<Moment>,
}

impl Board {
    /// The page at `now`. `server` is what is known of the alert path as a whole; `frozen` names environments.
    pub fn of(
        seen: &[Seen<'_>],
        server: &Surroundings,
        frozen: &[(String, Freeze)],
        reader: Option<&Reader>,
        now: Timestamp,
    ) -> Self {
        let (mut finished, mut active): (Vec<&Seen<'_>>, Vec<&Seen<'_>>) =
            seen.iter().partition(|seen| seen.rollout.is_final());
        active.sort_by_key(|seen| (rank(seen, now), std::cmp::Reverse(seen.rollout.started_at)));
        finished.sort_by_key(|seen| std::cmp::Reverse(ended(seen.rollout)));
        let (path, path_why) = alert_path(server, now);
        let alarms = active.iter().filter(|seen| rank(seen, now) == 0).count();
        let icon = match active.first().map(|seen| words::state(seen.rollout).tone) {
            _ if alarms > 0 => "bad",
            _ if path.tone == "nodata" => "nodata",
            Some(tone) => tone,
            None => "ok",
        };
        let title = match (alarms, active.len()) {
            (0, 0) => "no rollout · tidegate".to_owned(),
            (0, 1) => "1 rollout · tidegate".to_owned(),
            (0, many) => format!("{many} rollouts · tidegate"),
            (alarms, _) => format!("! {alarms} ROLLBACK · tidegate"),
        };
        let headline = |seen: &&&Seen<'_>| format!("{} {}", seen.rollout.id, words::state(seen.rollout).word);
        let said: Vec<String> = active.iter().take(5).map(|seen| headline(&seen)).collect();
        Self {
            chrome: Chrome {
                icon,
                refresh: if active.is_empty() { 15 } else { 5 },
                events: EVENTS,
                say: said.join("; "),
                alarm: alarms > 0,
                here: Here::Rollouts,
                ..Chrome::new(title, "/", reader, now)
            },
            path,
            path_why,
            freezes: frozen
                .iter()
                .take(MOST)
                .map(|(name, freeze)| Frozen::of(name, freeze, now))
                .collect(),
            unsaid: None,
            turned_away: Vec::new(),
            server_log: Vec::new(),
            active: active.iter().take(MOST).map(|seen| Row::of(seen, now)).collect(),
            finished: finished.iter().take(MOST / 3).map(|seen| Row::of(seen, now)).collect(),
            tally: tally(&finished),
        }
    }

    /// The same with what was turned away at the doors of receivers. A warning beside the table: the title, the icon and the
    /// alarm stay as they are, for anybody may knock.
    #[must_use]
    pub fn turned_away(self, all: &[TurnedAway]) -> Self {
        let told = all.iter().take(MOST_LINES);
        Self {
            turned_away: told.map(|one| format!("{} {}", one.says(), one.fix())).collect(),
            ..self
        }
    }

    /// The same with the newest of `count` dead letters: a page that nobody got is a page that somebody must read here.
    #[must_use]
    pub fn unsaid(self, letters: &[DeadLetter], count: u64, now: Timestamp) -> Self {
        let shown = letters.iter().take(MOST_LINES).map(|letter| Letter {
            notice: letter.message.notice.id.to_string(),
            channel: letter.message.channel.clone(),
            why: brief(&letter.why, 200),
            at: Moment::of(letter.created_at, now),
        });
        let unsaid = Unsaid {
            count: match count {
                1 => "1 MESSAGE".to_owned(),
                many => format!("{} MESSAGES", grouped(many)),
            },
            letters: shown.collect(),
        };
        Self {
            unsaid: (count > 0).then_some(unsaid),
            ..self
        }
    }

    /// The same with the latest lines of the server's log, the newest first.
    #[must_use]
    pub fn server_log(self, lines: &[(u64, Entry)], now: Timestamp) -> Self {
        let latest = lines.iter().rev().take(MOST_LINES).map(|(_, entry)| Line {
            text: brief(&entry.text, 300),
            place: entry.surface.map(Surface::place),
            at: Moment::of(entry.at, now),
        });
        Self {
            server_log: latest.collect(),
            ..self
        }
    }
}

impl Frozen {
    fn of(environment: &str, freeze: &Freeze, now: Timestamp) -> Self {
        Self {
            environment: environment.to_owned(),
            by: freeze.by.clone(),
            reason: brief(&freeze.reason, 300),
            at: Moment::of(freeze.at, now),
        }
    }
}

impl Row {
    fn of(seen: &Seen<'_>, now: Timestamp) -> Self {
        let rollout = seen.rollout;
        let spec = &rollout.plan.spec;
        let version = rollout
            .version()
            .map(|version| format!(" {version}"))
            .unwrap_or_default();
        Self {
            id: rollout.id.to_string(),
            title: spec.title.clone(),
            subject: format!("{}{version}, {}", spec.service, spec.environment),
            state: words::state(rollout),
            health: (!rollout.is_final()).then(|| words::health(&rollout.health(seen.around, now))),
            share: match &rollout.stage {
                Stage::RollingBack { from, .. } | Stage::RolledBack { from, .. } => format!("{from} → 0%"),
                _ => rollout.wanted.to_string(),
            },
            left: match next::left(rollout, now) {
                Some(left) => left.to_string(),
                None => String::new(),
            },
            waits: next::shortly(seen, now),
            owner: rollout.started_by.to_string(),
            ended: ended(rollout).map(|at| Moment::of(at, now)),
        }
    }
}

fn ended(rollout: &Rollout) -> Option<Timestamp> {
    match &rollout.stage {
        Stage::RolledBack { read_back, .. } => Some(read_back.at),
        Stage::Completed { at } | Stage::Aborted { at, .. } => Some(*at),
        Stage::Advancing { .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::RollingBack { .. } => None,
    }
}

/// What needs eyes comes first: rollbacks, then what waits for people or is not healthy, then the rest.
fn rank(seen: &Seen<'_>, now: Timestamp) -> u8 {
    let rollout = seen.rollout;
    if rollout.is_latched() {
        return 0;
    }
    if !rollout.decisions.is_empty() {
        return 1;
    }
    let state = words::state(rollout).tone;
    let health = words::health(&rollout.health(seen.around, now)).tone;
    match (state, health) {
        ("bad", _) | (_, "bad" | "nodata") => 2,
        ("warn", _) | (_, "warn") => 3,
        _ => 4,
    }
}

fn alert_path(server: &Surroundings, now: Timestamp) -> (Mark, String) {
    if let Some(why) = unknown_path(Watchdog::Required, server, now) {
        let text = format!("{}. Plans that need it do not advance.", words::capital(&why));
        return (Mark::new("NO DATA", "nodata", "nodata"), text);
    }
    let watchdog = match server.watchdog_seen {
        Some(seen) => format!("Watchdog seen {} ago", Period::between(seen, now)),
        None => "Watchdog never seen".to_owned(),
    };
    let poll = match server.poll {
        Poll::Good => "the alert source answers",
        Poll::NotConfigured => "no alert source is polled",
        Poll::NotYet | Poll::Unreadable { .. } => "the alert source does not answer",
    };
    (Mark::new("OK", "ok", "ok"), format!("{watchdog}; {poll}."))
}

fn tally(finished: &[&Seen<'_>]) -> String {
    let back = finished
        .iter()
        .filter(|seen| matches!(seen.rollout.stage, Stage::RolledBack { .. }))
        .count();
    let completed = finished
        .iter()
        .filter(|seen| matches!(seen.rollout.stage, Stage::Completed { .. }))
        .count();
    format!("{completed} completed, {back} rolled back")
}

#[cfg(test)]
mod tests {
    use tidegate_rollout::Notice;

    use super::*;
    use crate::pages::samples;
    use crate::store;

    #[test]
    fn what_was_not_said_is_counted_and_the_newest_lines_are_shown_cut_to_size() {
        let now = samples::at(60);
        let letter = DeadLetter {
            message: store::Message {
                notice: Notice::samples().remove(0),
                channel: "pager".to_owned(),
                attempts: 3,
            },
            created_at: samples::at(0),
            why: "it answered 404 ".repeat(100),
        };
        let line = |number: i64| Entry {
            at: samples::at(number),
            kind: "thaw".to_owned(),
            by: "mara".to_owned(),
            surface: Some(Surface::Cli),
            text: format!("line {number}"),
        };
        let log: Vec<_> = (1..=9_i64)
            .map(|number| (number.unsigned_abs(), line(number)))
            .collect();
        let board = Board::of(&[], &Surroundings::calm(now), &[], None, now);
        let board = board.unsaid(&vec![letter; 9], 1_234, now).server_log(&log, now);
        let unsaid = board.unsaid.as_ref().unwrap();
        assert_eq!(
            (unsaid.count.as_str(), unsaid.letters.len()),
            ("1,234 MESSAGES", MOST_LINES)
        );
        assert_eq!(unsaid.letters[0].why.chars().count(), 201);
        assert!(board.server_log.iter().all(|line| line.place == Some("by CLI")));
        let lines: Vec<&str> = board.server_log.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, ["line 9", "line 8", "line 7", "line 6", "line 5"]);
        assert!(board.unsaid(&[], 0, now).unsaid.is_none());
    }
}
