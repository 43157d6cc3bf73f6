//! Owns looking on: until a rollout is over, or at every change until then.
//! Refuses to give up because one answer did not come: a rollout outlives a restart of its server, and so does a look at it.

use std::time::Duration;

use tokio::time::Instant;

use super::super::client::Server;
use super::super::{Exit, Failure, Format, Out};
use super::status;
use crate::chat::Card;

/// How often a waiting client looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a server may be silent where no time-out was given.
const SILENCE: Duration = Duration::from_secs(300);

/// A look that goes on.
struct Look {
    started: Instant,
    timeout: Option<Duration>,
    /// Since when nothing was answered.
    silent_since: Option<Instant>,
    /// The generation that was told last.
    told: Option<u64>,
}

pub(super) async fn run(
    server: &Server,
    rollout: Option<String>,
    timeout: Option<Duration>,
    every_change: bool,
    out: &mut Out,
) -> Result<Exit, Failure> {
    // The first answer must come: a server that was never there is most likely a wrong address.
    let mut answer = status(server, rollout.as_deref()).await;
    let path = match &answer {
        Ok(card) => format!("/api/v1/rollouts/{}", card.rollout),
        Err(failure) => return Err(failure.clone()),
    };
    let mut look = Look {
        started: Instant::now(),
        timeout,
        silent_since: None,
        told: None,
    };
    loop {
        match answer {
            Ok(card) => {
                if let Some(exit) = look.at(&card, every_change, Instant::now(), out)? {
                    return Ok(exit);
                }
            }
            Err(failure) => look.past(failure, Instant::now(), out)?,
        }
        tokio::time::sleep(LOOK_EVERY).await;
        answer = server.get(&path).await;
    }
}

impl Look {
    /// Tells where the rollout stands, and how the command ends if it is over.
    fn at(&mut self, card: &Card, every_change: bool, now: Instant, out: &mut Out) -> Result<Option<Exit>, Failure> {
        if self.silent_since.take().is_some() {
            out.note("The server answers again.");
        }
        let ended = ended(card);
        let is_text = out.format == Format::Text;
        if self.told != Some(card.generation) && (every_change || (ended.is_some() && is_text)) {
            self.told = Some(card.generation);
            match out.format {
                Format::Text => out.line(headline(card))?,
                // The last one is in the envelope.
                Format::Ndjson if ended.is_none() => out.item(card)?,
                Format::Ndjson | Format::Json | Format::Yaml => {}
            }
        }
        if let Some(exit) = ended {
            if !is_text {
                out.verdict(exit, "", card)?;
            }
            return Ok(Some(exit));
        }
        match self.is_over(now) {
            true => Err(Failure::new(
                Exit::TimedOut,
                format!("{} is not over: {}", card.rollout, headline(card)),
            )
            .hint("The rollout itself goes on.")),
            false => Ok(None),
        }
    }

    /// Goes past an answer that did not come, as long as there is time.
    fn past(&mut self, failure: Failure, now: Instant, out: &mut Out) -> Result<(), Failure> {
        if failure.exit != Exit::Unreachable {
            return Err(failure);
        }
        let since = match self.silent_since {
            Some(since) => since,
            None => {
                out.note(format_args!("{}; asking again", failure.message));
                *self.silent_since.insert(now)
            }
        };
        let given_up = match self.timeout {
            Some(_) => self.is_over(now),
            None => now.duration_since(since) >= SILENCE,
        };
        match given_up {
            true => Err(failure),
            false => Ok(()),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let passed = now.duration_since(self.started);
        self.timeout.is_some_and(|timeout| passed >= timeout)
    }
}

fn ended(card: &Card) -> Option<Exit> {
    match card.state.as_str() {
        "COMPLETED" => Some(Exit::Done),
        "ROLLED BACK" => Some(Exit::RolledBack),
        "ABORTED" => Some(Exit::Refused),
        _ => card.stuck.as_ref().map(|_| Exit::RollbackFailed),
    }
}

fn headline(card: &Card) -> String {
    let health = card
        .health
        .as_deref()
        .map(|health| format!(" × {health}"))
        .unwrap_or_default();
    let phase = card.phase.as_deref().unwrap_or("-");
    format!(
        "{}  {}{health}  {}  {phase}  {}",
        card.rollout, card.state, card.weight, card.next
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;

    use super::*;

    fn card(state: &str, stuck: Option<&str>) -> Card {
        let card = json!({
            "rollout": "checkout-1", "title": "New checkout", "service": "checkout", "environment": "production",
            "state": state, "weight": "25%", "number": 1, "phases": 2, "waits_for": [], "started_by": "ana",
            "started_at": "2026-11-20T12:00:00Z", "generation": 3, "armed": true, "stuck": stuck,
            // A sentence for people decides nothing.
            "next": "Bakes 5m more of 30m; nobody is stuck.",
        });
        serde_json::from_value(card).expect("a card")
    }

    fn look(timeout: Option<Duration>) -> Look {
        Look {
            started: Instant::now(),
            timeout,
            silent_since: None,
            told: None,
        }
    }

    fn nowhere() -> Out {
        Out::to(Box::new(io::sink()), Box::new(io::sink()), Format::Text, 0)
    }

    #[test]
    fn the_state_says_how_it_ended_and_a_field_whether_it_is_stuck() {
        assert_eq!(ended(&card("ROLLING BACK", None)), None);
        assert_eq!(ended(&card("BAKING", None)), None);
        let stuck = card("ROLLING BACK", Some("the target does not answer"));
        assert_eq!(ended(&stuck), Some(Exit::RollbackFailed));
        assert_eq!(ended(&card("ROLLED BACK", None)), Some(Exit::RolledBack));
        assert_eq!(ended(&card("COMPLETED", None)), Some(Exit::Done));
        assert_eq!(ended(&card("ABORTED", None)), Some(Exit::Refused));
    }

    #[test]
    fn silence_is_borne_until_the_timeout_or_for_five_minutes() {
        let silence = || Failure::new(Exit::Unreachable, "cannot reach it");
        let second = Duration::from_secs(1);
        for (timeout, patience) in [(None, SILENCE), (Some(900 * second), 900 * second)] {
            let mut look = look(timeout);
            let start = look.started;
            let mut past = |after| look.past(silence(), start + after, &mut nowhere());
            assert_eq!(past(Duration::ZERO), Ok(()));
            assert_eq!(past(patience - second), Ok(()));
            assert_eq!(past(patience + second), Err(silence()));
        }
    }

    #[test]
    fn an_answer_ends_the_silence_and_a_refusal_the_look() {
        let mut look = look(None);
        let start = look.started;
        assert_eq!(
            look.past(Failure::new(Exit::Unreachable, "gone"), start, &mut nowhere()),
            Ok(())
        );
        let card = card("BAKING", None);
        assert_eq!(look.at(&card, false, start + SILENCE / 2, &mut nowhere()), Ok(None));
        let later = start + 2 * SILENCE;
        assert_eq!(
            look.past(Failure::new(Exit::Unreachable, "gone"), later, &mut nowhere()),
            Ok(())
        );
        let refused = Failure::new(Exit::Refused, "no token");
        assert_eq!(look.past(refused.clone(), later, &mut nowhere()), Err(refused));
    }

    #[test]
    fn a_rollout_that_is_not_over_in_time_ends_with_7() {
        let timeout = Duration::from_secs(60);
        let mut look = look(Some(timeout));
        let (card, start) = (card("BAKING", None), look.started);
        assert_eq!(look.at(&card, false, start, &mut nowhere()), Ok(None));
        let ended = look.at(&card, false, start + timeout, &mut nowhere());
        assert_eq!(ended.map_err(|failure| failure.exit), Err(Exit::TimedOut));
    }
}
