//! Owns the visitors: a thousand of them, about a hundred visits a second.
//! Refuses to pile up: when the shop is slow, visits are left out rather than queued.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::net::Net;

/// Between two visits.
const EVERY: Duration = Duration::from_millis(10);
/// Different visitors.
const VISITORS: u64 = 1_000;
/// Visits at the same time, at most.
const AT_ONCE: usize = 16;
/// A visitor gives up after so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The visitors while they come.
pub(super) struct Load {
    stop: CancellationToken,
    visits: TaskTracker,
}

impl Load {
    /// Sends visitors to the shop at `shop`.
    pub(super) fn start(shop: &Url, net: Net) -> Self {
        let load = Self {
            stop: CancellationToken::new(),
            visits: TaskTracker::new(),
        };
        let (stop, visits, shop) = (load.stop.clone(), load.visits.clone(), shop.clone());
        load.visits.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = come(&shop, &net, &visits) => {}
            }
        });
        load
    }

    /// Sends no more, and waits for those on their way.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.visits.close();
        self.visits.wait().await;
    }
}

async fn come(shop: &Url, net: &Net, visits: &TaskTracker) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0_u64.. {
        clock.tick().await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let Some(url) = visit(shop, number) else {
            return;
        };
        let Ok(request) = net.request(Method::GET, &url, PATIENCE) else {
            return;
        };
        visits.spawn(async move {
            // The shop counts; a visitor who was not answered is not the shop's.
            let _ = request.send().await;
            drop(place);
        });
    }
}

/// The visitors come in an order in which neighbours are never neighbours in number, each once in a thousand visits.
fn visit(shop: &Url, number: u64) -> Option<Url> {
    let visitor = number.wrapping_mul(617) % VISITORS;
    shop.join(&format!("visit?visitor=visitor-{visitor}")).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_comes_once_in_a_thousand_visits() {
        let shop = Url::parse("http://127.0.0.1:1/").unwrap();
        let urls: BTreeSet<String> = (0..VISITORS).map(|n| visit(&shop, n).unwrap().to_string()).collect();
        assert_eq!(urls.len(), 1_000);
        assert!(urls.contains("http://127.0.0.1:1/visit?visitor=visitor-0"));
    }
}
