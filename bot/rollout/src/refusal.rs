//! Owns the refusals: normal answers that say what, why, and what to do next, each with a stable code.
//! Refuses to be an error: nothing broke, and nothing half-happened.

use serde::{Deserialize, Serialize};

use crate::period::Period;

/// A "no" with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code} {message}")]
pub struct Refusal {
    /// Stable, for search and for tests.
    pub code: Code,
    /// What is refused, and why.
    pub message: String,
    /// What to do next.
    pub hint: String,
    /// When the same request would be answered differently, if that is known.
    pub retry_after: Option<Period>,
}

impl Refusal {
    /// A refusal with its reason and the next step.
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            retry_after: None,
        }
    }

    /// The same refusal, with the time after which asking again makes sense.
    pub fn retry_after(self, period: Period) -> Self {
        Self {
            retry_after: Some(period),
            ..self
        }
    }
}

macro_rules! codes {
    ($(#[doc = $doc:literal] $code:ident),+ $(,)?) => {
        /// The stable codes. The first digit says what kind: 1 not understood, 2 not yet, 3 not you, 4 not in this state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $doc] $code),+
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The code as people write it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($code)),+
                }
            }

            /// What it means, in a sentence.
            pub fn says(self) -> &'static str {
                let says = match self {
                    $(Self::$code => $doc),+
                };
                says.trim_start()
            }
        }
    };
}

// R204 and R208 are kept free, for a window of the plan and for an observed share that strays: nothing refuses for them yet.
codes! {
    /// The verb is not known.
    R101,
    /// Several rollouts are meant.
    R102,
    /// No rollout is meant, or none by that name exists.
    R103,
    /// The arguments of the verb are off.
    R104,
    /// No plan by that name, or its file is invalid.
    R105,
    /// An input of the plan is missing or not known.
    R106,
    /// The phase has not baked.
    R201,
    /// People have not answered, approved or ticked what is open.
    R202,
    /// Somebody holds it.
    R203,
    /// The environment is frozen.
    R205,
    /// An alert fires.
    R206,
    /// Health is not known.
    R207,
    /// It is paused.
    R209,
    /// The target, or a hook, has not answered yet.
    R210,
    /// The person lacks the role.
    R301,
    /// Whoever started it cannot approve it.
    R302,
    /// The account belongs to no known person.
    R303,
    /// The button is older than the rollout.
    R401,
    /// It is already happening.
    R402,
    /// It is over.
    R403,
    /// Traffic is on, or hooks have begun; ending it would leave things half done.
    R404,
    /// The state has no use for it.
    R405,
    /// The target carries another rollout.
    R406,
    /// No such hold, question, approval or item.
    R407,
    /// It was taken up too late.
    R408,
    /// The target cannot carry a rollout as it is.
    R409,
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
