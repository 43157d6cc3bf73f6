//! Owns the identifiers of the domain, one type each, so that one can never be passed for another.
//! Refuses to invent any: they are made from a plan's name and counters, or given by the caller.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes over an identifier that was made elsewhere (read from the store, from configuration, from a request).
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

ids! {
    /// One run of a plan: `<plan>-<counter>`, short enough to say aloud.
    RolloutId,
    /// One thing received from outside: a uuid v7, so that ids sort by arrival.
    DeliveryId,
    /// One thing to do: `<rollout>.<generation>.<n>`; it is also the idempotency key of the effect.
    ActionId,
    /// One thing to say: `<rollout>.<generation>.<n>`; it is also the idempotency key of the message.
    NoticeId,
    /// A person of the server's configuration.
    PersonId,
}

impl RolloutId {
    /// The id of the `counter`-th rollout of the plan called `plan`.
    pub fn numbered(plan: &str, counter: u64) -> Self {
        Self(format!("{plan}-{counter}"))
    }
}

impl ActionId {
    /// The `n`-th action decided by the step that made `generation` of `rollout`.
    pub fn of(rollout: &RolloutId, generation: u64, n: usize) -> Self {
        Self(format!("{rollout}.{generation}.{n}"))
    }
}

impl NoticeId {
    /// The `n`-th notice of the step that made `generation` of `rollout`.
    pub fn of(rollout: &RolloutId, generation: u64, n: usize) -> Self {
        Self(format!("{rollout}.{generation}.{n}"))
    }

    /// The generation of the rollout whose step decided to say it; `None` for what concerns no rollout.
    pub fn generation(&self) -> Option<u64> {
        self.0.rsplit('.').nth(1)?.parse().ok()
    }
}
