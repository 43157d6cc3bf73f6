//! Owns when the next call of a route may be made, as Discord says it in the headers of every answer.
//! Refuses to wait: who comes too early is told how long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde_json::Value;
use tidegate_rollout::Period;

/// How long to leave Discord alone when it says "too many" and not for how long.
const USUAL_REST: Duration = Duration::from_secs(5);
/// Nobody is left alone for longer without asking again.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// The key of what concerns every route.
const GLOBAL: &str = "";

/// The routes that must be left alone, and until when.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<HashMap<String, Instant>>);

impl Buckets {
    /// For how long a route must be left alone; `None`: not at all.
    pub(super) fn rest(&self, route: &str, now: Instant) -> Option<Period> {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.retain(|_, until| *until > now);
        let left = [GLOBAL, route].iter().filter_map(|key| until.get(*key)).max();
        left.map(|until| period(until.duration_since(now)))
    }

    /// Notes what an answer says about calls to come.
    pub(super) fn note(&self, route: &str, headers: &HeaderMap, now: Instant) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<f64>().ok();
        if number("x-ratelimit-remaining") == Some(0.0)
            && let Some(after) = number("x-ratelimit-reset-after").and_then(seconds)
        {
            self.leave_alone(route, now + after);
        }
    }

    /// Notes that there were too many calls; answers for how long to wait.
    pub(super) fn too_many(&self, route: &str, headers: &HeaderMap, body: &Value, now: Instant) -> Period {
        let said = body.get("retry_after").and_then(Value::as_f64);
        let header = || headers.get(RETRY_AFTER)?.to_str().ok()?.parse::<f64>().ok();
        let after = said.or_else(header).and_then(seconds).unwrap_or(USUAL_REST);
        let is_global = body.get("global") == Some(&Value::Bool(true)) || headers.contains_key("x-ratelimit-global");
        self.leave_alone(if is_global { GLOBAL } else { route }, now + after);
        period(after)
    }

    fn leave_alone(&self, route: &str, until: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(route.to_owned()).or_insert(until);
        *known = until.max(*known);
    }
}

fn seconds(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    Some(duration.min(LONGEST_REST))
}

/// At least a little: nobody comes again at once.
fn period(duration: Duration) -> Period {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Period::millis(milliseconds.saturating_add(1).max(50))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_route_rests_when_nothing_remains_and_no_other_does() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        buckets.note(
            "POST 1",
            &headers(&[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset-after", "2")]),
            now,
        );
        assert_eq!(buckets.rest("POST 1", now), None);
        buckets.note(
            "POST 1",
            &headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "2.5")]),
            now,
        );
        assert_eq!(buckets.rest("POST 1", now), Some(Period::millis(2_501)));
        assert_eq!(buckets.rest("POST 2", now), None);
        assert_eq!(buckets.rest("POST 1", now + Duration::from_secs(3)), None);
    }

    #[test]
    fn too_many_calls_of_everything_stop_everything() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let body =
            serde_json::json!({ "message": "You are being rate limited.", "retry_after": 64.57, "global": true });
        let after = buckets.too_many("POST 1", &HeaderMap::new(), &body, now);
        assert_eq!(after, Period::millis(64_571));
        assert_eq!(buckets.rest("GET 2", now), Some(Period::millis(64_571)));
        let odd = serde_json::json!({ "retry_after": -1.0 });
        assert_eq!(
            Buckets::default().too_many("x", &HeaderMap::new(), &odd, now),
            Period::millis(5_001)
        );
    }
}
