//! Owns the many label sets of one alert: one of them speaks, the others are counted.
//! Refuses to let a fleet of pods page for each pod, and to hide how many there are.

use crate::alert::Fingerprint;
use crate::rollout::{Standing, Tracked};

use super::Work;

/// How many other label sets of the same alert, by name and trigger, stand as `stands` asks.
pub(super) fn others(
    work: &Work<'_>,
    fingerprint: &Fingerprint,
    tracked: &Tracked,
    stands: impl Fn(&Standing) -> bool,
) -> u32 {
    let alike = |(other, known): &(&Fingerprint, &Tracked)| {
        *other != fingerprint
            && known.name == tracked.name
            && known.trigger == tracked.trigger
            && stands(&known.standing)
    };
    let count = work.next.alerts.iter().filter(alike).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Writes down that so many more fire: at one, two, four and so on, or the log would be nothing else.
pub(super) fn note(work: &mut Work<'_>, kind: &str, name: &str, more: u32) {
    if more.is_power_of_two() {
        let text = format!("Alert {name} fires again, {more} more by now; what was said about it stands for all.");
        work.note(kind, "tidegate".to_owned(), text);
    }
}
