//! Owns what the holder of a key may do at this moment: what the key allows *and* what the configuration lets the person.
//! Refuses to remember an answer: a reload counts from the next request on.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tidegate_rollout::{Period, Role};

use super::keys::ADMIN;
use crate::config::People;
use crate::store::Token;

/// When a key made at `now` ends.
pub(super) fn end(ttl: Period, now: Timestamp) -> Timestamp {
    now.saturating_add(ttl.duration()).unwrap_or(Timestamp::MAX)
}

/// Whether `roles` are a program's, which needs no person behind it.
pub(super) fn of_a_program(roles: &BTreeSet<Role>) -> bool {
    !roles.is_empty() && roles.iter().all(|role| role.is_for_programs())
}

/// What the holder of `key` may do now: what the key allows *and* what the configuration lets the person do; a key
/// without roles allows whatever the person may. Somebody whom the configuration no longer names may do nothing.
pub(super) fn roles_now(key: &Token, people: &People) -> BTreeSet<Role> {
    if of_a_program(&key.roles) || key.person.as_str() == ADMIN {
        return key.roles.clone();
    }
    let Some(person) = people.get(&key.person) else {
        return BTreeSet::new();
    };
    if key.roles.is_empty() {
        return person.roles.clone();
    }
    key.roles.intersection(&person.roles).copied().collect()
}
