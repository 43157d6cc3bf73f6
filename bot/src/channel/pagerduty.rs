//! Owns telling PagerDuty over Events v2: what needs a person opens an incident, what settles it closes that one again.
//! Refuses to wake anybody for what a person did on purpose, and to close what nobody settled.

mod event;

use std::time::Duration;

use anyhow::Context as _;
use http::{Method, StatusCode};
use secrecy::SecretString;
use tidegate_rollout::{Notice, NoticeKind, Period};
use url::Url;

use super::{ChannelError, Message, page_of};
use crate::net::{self, Net};
use event::Event;

/// Whether somebody is paged for a notice.
pub fn tells(notice: &Notice) -> bool {
    event::opens(notice).is_some()
}

/// Whether a notice acknowledges or closes incidents that others have opened, or adds to them. Whoever was paged needs it,
/// however little their audience hears.
pub fn follows_up(notice: &Notice) -> bool {
    adds(notice) || !event::closes(notice).is_empty() || !event::looks_at(&notice.kind).is_empty()
}

/// Whether it says more about the incident of a rollback that an alert caused. Whoever was not woken for that one is not woken
/// by what follows it.
pub fn adds(notice: &Notice) -> bool {
    match notice.kind {
        NoticeKind::RolledBack { since_alert, .. } => since_alert.is_some(),
        NoticeKind::PodLogs { alerted, .. } => alerted,
        _ => false,
    }
}

/// No single call lasts longer.
const DEADLINE: Duration = Duration::from_secs(4);
/// About 120 events a minute are taken for each key; after a 429 a short rest is enough.
const REST: Period = Period::seconds(30);
/// As much of an answer as is read.
const ANSWER: usize = 4 * 1024;

/// A service of PagerDuty.
pub struct PagerDuty {
    /// Its name in the configuration.
    pub name: String,
    /// The integration key.
    pub routing_key: SecretString,
    /// Where events are taken.
    pub events_url: Url,
    /// The one HTTP client.
    pub net: Net,
    /// Where the pages are, if people outside can reach them.
    pub pages: Option<Url>,
}

impl PagerDuty {
    /// Sends what a notice means to PagerDuty, which is nothing for most of them. Sending it again changes nothing: the
    /// key of an incident follows from the rollout and from what is open there.
    pub(super) async fn say(&self, message: &Message) -> Result<(), ChannelError> {
        let page = self.pages.as_ref().and_then(|pages| page_of(pages, &message.notice));
        for event in Event::all_of(&message.notice, &message.text, page.as_ref()) {
            // Late word of what is settled by now would open an incident that nothing closes any more.
            let opens_late = event.is_settled_by(&message.since);
            let opens_unasked = message.unasked && event.opens();
            if !opens_late && !opens_unasked {
                self.send(&event).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, event: &Event) -> Result<(), ChannelError> {
        let later = |source: anyhow::Error| ChannelError::Later {
            channel: self.name.clone(),
            source,
        };
        let never = |why: String| ChannelError::Never {
            channel: self.name.clone(),
            why,
        };
        let url = self
            .events_url
            .join("v2/enqueue")
            .context("make the address")
            .map_err(later)?;
        let request = self
            .net
            .request(Method::POST, &url, DEADLINE)
            .map_err(|refused| never(refused.to_string()))?
            .json(&event.document(&self.routing_key));
        let answer = request.send().await.context("send it").map_err(later)?;
        let status = answer.status();
        match status {
            StatusCode::ACCEPTED => Ok(()),
            StatusCode::TOO_MANY_REQUESTS => Err(ChannelError::Busy {
                channel: self.name.clone(),
                after: REST,
            }),
            // Somebody may mend the key or the address.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT => {
                Err(later(anyhow::anyhow!("it answered {status}")))
            }
            _ if status.is_client_error() => {
                let says = net::read(answer, ANSWER).await.unwrap_or_default();
                Err(never(format!(
                    "it answered {status}: {}",
                    String::from_utf8_lossy(&says)
                )))
            }
            _ => Err(later(anyhow::anyhow!("it answered {status}"))),
        }
    }
}
