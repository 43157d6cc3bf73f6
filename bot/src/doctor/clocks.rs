//! Owns the comparison of our clock with those of everybody who answered.
//! Refuses to ask anybody for it: the date stands in every answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::clock;

/// Whether an alert began under a rollout's traffic is judged to within five seconds.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// How far others are ahead of us, by who they are.
#[derive(Clone, Default)]
pub(super) struct Clocks(Arc<Mutex<Vec<(String, SignedDuration)>>>);

impl Clocks {
    /// `peer` said `date` just now, in answer to a question that took so long.
    pub(super) fn note(&self, peer: &str, date: Option<Timestamp>, took: Duration) {
        let Some(date) = date else {
            return;
        };
        let took = SignedDuration::try_from(took).unwrap_or_default();
        // The date has whole seconds: half a second is the best guess for the rest, half the way for when it was written.
        let written = clock::now().saturating_sub(took / 2).unwrap_or(Timestamp::MIN);
        let ahead = date.duration_since(written) + SignedDuration::from_millis(500);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((peer.to_owned(), ahead));
    }

    pub(super) fn judge(&self) -> Vec<Finding> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        vec![judge(&noted)]
    }
}

/// The one who is furthest away speaks for all.
fn judge(noted: &[(String, SignedDuration)]) -> Finding {
    let furthest = noted.iter().max_by_key(|(_, ahead)| ahead.abs());
    let Some((peer, ahead)) = furthest else {
        return Finding::warn(
            "clock.alone",
            "nobody answered with a date, so the clock was compared with nobody",
            "List the Alertmanagers in `receivers.alertmanager.<name>.peers`, and let them answer; then look again.",
        );
    };
    if ahead.abs() <= TOLERANCE {
        let says = format!("within {} s of everybody who answered", TOLERANCE.as_secs());
        return Finding::ok("clock", says);
    }
    let (seconds, way) = match ahead.is_negative() {
        true => (ahead.abs().as_secs(), "behind"),
        false => (ahead.as_secs(), "ahead of"),
    };
    Finding::fail(
        "clock.apart",
        format!(
            "{peer} is {seconds} s {way} this machine; {} s are tolerated, because alerts are told apart by when they began",
            TOLERANCE.as_secs()
        ),
        "Let NTP set the clocks of both machines: `timedatectl set-ntp true`, then `timedatectl timesync-status`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn the_furthest_clock_counts_and_five_seconds_are_tolerated() {
        let noted = |all: &[i64]| -> Vec<(String, SignedDuration)> {
            let one = |seconds: &i64| (format!("http://{seconds}"), SignedDuration::from_secs(*seconds));
            all.iter().map(one).collect()
        };
        assert_eq!(judge(&noted(&[1, -5, 5])).level, Level::Ok);
        assert_eq!(judge(&[]).code, "clock.alone");
        let behind = judge(&noted(&[1, -312, 7]));
        assert_eq!(behind.level, Level::Fail);
        assert!(
            behind.says.starts_with("http://-312 is 312 s behind this machine"),
            "{}",
            behind.says
        );
        assert!(judge(&noted(&[6])).says.contains("is 6 s ahead of this machine"));
    }
}
