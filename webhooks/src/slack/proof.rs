//! Owns the proof that a request comes from our app: its signature over time and body, and its time within the window.
//! Refuses a second header, which is a trick, and both the past and the future: a request kept for later is worth nothing.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::App;
use crate::platform::{header, is_within_the_window};
use crate::signature::{SignatureScheme, Signatures};
use crate::verify::Unproven;

/// A request whose headers are in order; its signature waits for the body.
pub(super) struct Claim<'a> {
    app: &'a App,
    presented: Signatures,
}

/// A body that our app has signed.
pub(super) struct Signed {
    /// What stands for this very request.
    pub(super) proof: [u8; 32],
    pub(super) body: Bytes,
}

impl App {
    /// Checks what the headers alone can prove.
    pub(super) fn admit(&self, headers: &HeaderMap, now: Timestamp) -> Result<Claim<'_>, Unproven> {
        let one = header(headers, SignatureScheme::Slack.header()).filter(|value| !value.contains(','));
        let presented = one.and_then(|_| SignatureScheme::Slack.read(headers));
        let presented = presented.ok_or(Unproven::NoSignature)?;
        let sent: i64 = header(headers, "x-slack-request-timestamp")
            .and_then(|text| text.parse().ok())
            .ok_or(Unproven::NoSignature)?;
        if !is_within_the_window(sent, now) {
            return Err(Unproven::OutsideWindow);
        }
        Ok(Claim { app: self, presented })
    }

    /// Whether a request of this workspace and app is for us.
    pub(super) fn knows(&self, team: &str, app: &str) -> bool {
        self.workspaces.iter().any(|known| known == team) && self.id.as_deref().is_none_or(|id| id == app)
    }
}

impl Claim<'_> {
    /// Believes the body, if it is what our app signed.
    pub(super) fn prove(&self, body: Bytes) -> Result<Signed, Unproven> {
        if !self.app.secrets.made(&self.presented, &body) {
            return Err(Unproven::WrongSignature);
        }
        let proof = self.presented.only().ok_or(Unproven::NoSignature)?;
        Ok(Signed { proof, body })
    }
}
