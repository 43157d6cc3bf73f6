//! Owns the answer to something said: done or refused, in plain words, with the facts beside them.
//! Refuses to differ between surfaces: each renders this one shape.

use serde::{Deserialize, Serialize};
use tidegate_rollout::refusal::Code;
use tidegate_rollout::{Refusal, Rollout, RolloutId, Step};

use super::card::Card;

/// What a person gets back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Answer {
    /// Whether it was done.
    pub ok: bool,
    /// The stable code of a refusal.
    #[schema(value_type = Option<String>)]
    pub code: Option<Code>,
    /// What happened, or what is refused and why.
    pub text: String,
    /// What to do next.
    pub hint: Option<String>,
    /// After so many seconds the same request would be answered differently, if that is known.
    pub retry_after_s: Option<i64>,
    /// The rollout it concerns.
    pub rollout: Option<String>,
    /// The generation of that rollout now.
    pub generation: Option<u64>,
    /// Where that rollout stands, when asked.
    pub card: Option<Card>,
    /// What may have been meant, where that is not clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// One of several rollouts that may have been meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Choice {
    /// Its id.
    pub rollout: String,
    /// Its generation.
    pub generation: u64,
    /// Its state in a word.
    pub state: String,
    /// The share that it is to have.
    pub weight: String,
    /// The whole command that means this one.
    pub say: String,
}

impl Answer {
    /// A plain answer.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            ok: true,
            code: None,
            text: text.into(),
            hint: None,
            retry_after_s: None,
            rollout: None,
            generation: None,
            card: None,
            choices: Vec::new(),
        }
    }

    /// What a step did, in the words of its log.
    pub fn done(step: &Step) -> Self {
        let lines: Vec<&str> = step.log.iter().map(|entry| entry.text.as_str()).collect();
        let text = if lines.is_empty() {
            "Done.".to_owned()
        } else {
            lines.join("\n")
        };
        Self::text(text).about(&step.next)
    }

    /// The same words on every platform: the code, what happened, what to do next.
    pub fn in_words(&self) -> String {
        let code = self.code.map(|code| format!("{code} ")).unwrap_or_default();
        let hint = self.hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        format!("{code}{}{hint}", self.text)
    }

    /// Names the rollout it concerns.
    #[must_use]
    pub fn about(self, rollout: &Rollout) -> Self {
        Self {
            rollout: Some(rollout.id.to_string()),
            generation: Some(rollout.generation),
            ..self
        }
    }

    /// The same to somebody who named no rollout: it begins with the one that was found, if it does not say it anyway.
    #[must_use]
    pub fn naming(self, rollout: &RolloutId) -> Self {
        if self.text.contains(rollout.as_str()) {
            return self;
        }
        Self {
            text: format!("{rollout}: {}", self.text),
            ..self
        }
    }

    /// Adds where the rollout stands.
    #[must_use]
    pub fn with_card(self, card: Card) -> Self {
        Self {
            card: Some(card),
            ..self
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self {
            ok: false,
            code: Some(refusal.code),
            hint: Some(refusal.hint),
            retry_after_s: refusal.retry_after.map(|period| period.as_millis() / 1_000),
            ..Self::text(refusal.message)
        }
    }
}
