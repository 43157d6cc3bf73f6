//! Owns what a word may name: the rollouts and plans that the server knows, and their misspellings.
//! Refuses to ask: it judges what it is given.

use tidegate_rollout::plan::suggest::closest;

/// What the server knows by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The newest rollouts, by their ids.
    pub(super) rollouts: Vec<String>,
    /// The plans.
    pub(super) plans: Vec<String>,
}

impl Names {
    /// Whether `word` names a rollout or its plan, or is a number of a known plan that is not there.
    ///
    /// # Errors
    /// The name it may be a misspelling of.
    pub(super) fn mean(&self, word: &str) -> Result<bool, &str> {
        let of_rollouts = self.rollouts.iter().filter_map(|id| plan_of(id));
        let plans: Vec<&str> = self.plans.iter().map(String::as_str).chain(of_rollouts).collect();
        let ids = self.rollouts.iter().map(String::as_str);
        let known = |name: &str| plans.contains(&name) || self.rollouts.iter().any(|id| id == name);
        if known(word) || plan_of(word).is_some_and(known) {
            return Ok(true);
        }
        closest(word, plans.iter().copied().chain(ids)).map_or(Ok(false), Err)
    }
}

/// `checkout` of `checkout-17`.
fn plan_of(id: &str) -> Option<&str> {
    let (plan, number) = id.rsplit_once('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(plan)
}
