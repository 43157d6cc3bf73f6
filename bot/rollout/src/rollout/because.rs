//! Owns why traffic went back, and on whose word.
//! Refuses to decide it: the step does.

use serde::{Deserialize, Serialize};

use crate::alert::AlertKey;
use crate::ids::PersonId;

/// Why traffic went back, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// An alert pulled a trigger of the plan.
    Alert {
        /// Which alert.
        key: AlertKey,
        /// Its name.
        name: String,
        /// The trigger of the plan.
        trigger: String,
        /// How bad the plan says that is.
        severity: String,
    },
    /// Nobody answered a question in time, and the plan said: roll back.
    Unanswered {
        /// The question.
        question: String,
    },
    /// Health stayed unknown for as long as the plan allows.
    NoData {
        /// What is not known.
        why: String,
    },
    /// A person said so.
    Person {
        /// Who.
        by: PersonId,
        /// Why, if they said.
        reason: String,
    },
}

impl Because {
    /// Whether no person decided: only these spend the budget.
    pub fn is_automatic(&self) -> bool {
        match self {
            Self::Alert { .. } | Self::Unanswered { .. } | Self::NoData { .. } => true,
            Self::Person { .. } => false,
        }
    }

    /// How bad the plan says that is, where an alert pulled a trigger.
    pub fn severity(&self) -> Option<&str> {
        match self {
            Self::Alert { severity, .. } => Some(severity),
            Self::Unanswered { .. } | Self::NoData { .. } | Self::Person { .. } => None,
        }
    }

    /// What a guard that stands in the way holds it for.
    pub fn subject(&self) -> String {
        match self {
            Self::Alert { name, .. } => name.clone(),
            Self::Unanswered { question } => question.clone(),
            Self::NoData { .. } => "no data".to_owned(),
            Self::Person { by, .. } => by.to_string(),
        }
    }
}

impl std::fmt::Display for Because {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alert {
                key,
                name,
                trigger,
                severity,
            } => write!(
                f,
                "alert {name} fires since {} (trigger {trigger}, {severity})",
                crate::notice::clock(key.starts_at)
            ),
            Self::Unanswered { question } => write!(f, "nobody answered in time: {question}"),
            Self::NoData { why } => write!(f, "health stayed unknown: {why}"),
            Self::Person { by, reason } if reason.is_empty() => write!(f, "{by} said so"),
            Self::Person { by, reason } => write!(f, "{by}: {reason}"),
        }
    }
}
