//! The deterministic simulation: thousands of histories of the core with everything around it failing.
//! Refuses to pass in silence: it prints how often each fault really fired, and demands that each did.

#[cfg(test)]
mod histories;
#[cfg(all(test, feature = "planted"))]
mod planted;
