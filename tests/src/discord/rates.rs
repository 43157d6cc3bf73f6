//! How often the routes of the API may be called: each with a bucket of its own for each channel, told in every answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a bucket takes, and until it is full again.
const MOST: usize = 5;
const WINDOW: Duration = Duration::from_secs(5);

/// All buckets.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: BTreeMap<String, (Instant, usize)>,
    unpaced: bool,
}

/// What an answer says about calls to come.
pub(super) struct Left {
    /// How many more are taken.
    pub(super) remaining: usize,
    /// After so many seconds all of them are again.
    pub(super) reset_after: f64,
}

impl Rates {
    /// Takes as many calls as come.
    pub(super) fn unpace(&mut self) {
        self.unpaced = true;
    }

    /// Counts a call; or says that there were too many, and for how long.
    pub(super) fn count(&mut self, bucket: &str) -> Result<Left, Left> {
        let now = Instant::now();
        let (begun, calls) = self.buckets.entry(bucket.to_owned()).or_insert((now, 0));
        if now.duration_since(*begun) >= WINDOW {
            (*begun, *calls) = (now, 0);
        }
        let reset_after = WINDOW.saturating_sub(now.duration_since(*begun)).as_secs_f64();
        if self.unpaced {
            return Ok(Left {
                remaining: MOST,
                reset_after,
            });
        }
        if *calls >= MOST {
            return Err(Left {
                remaining: 0,
                reset_after,
            });
        }
        *calls += 1;
        Ok(Left {
            remaining: MOST - *calls,
            reset_after,
        })
    }
}

impl super::Discord {
    /// Takes as many calls at a time as come.
    pub fn unpaced(&self) {
        self.book().rates.unpace();
    }
}
