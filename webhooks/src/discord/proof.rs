//! Owns the proof that a request comes from Discord and is for our application: an Ed25519 signature over its time and its
//! body, and its time within the window.
//! Refuses a second header, which is a trick, and both the past and the future: a request kept for later is worth nothing.

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::App;
use crate::platform::{header, is_within_the_window};
use crate::verify::Unproven;

/// The header with the signature, in hexadecimal digits.
pub(super) const SIGNATURE: &str = "x-signature-ed25519";
/// The header with the time that is signed along.
const TIMESTAMP: &str = "x-signature-timestamp";

/// A request whose headers are in order; its signature waits for the body.
pub(super) struct Claim<'a> {
    app: &'a App,
    signature: &'a str,
    timestamp: &'a str,
}

/// A body that Discord has signed.
pub(super) struct Signed {
    /// What stands for this very request. Not the signature: whoever can vary that would have a new request.
    pub(super) proof: [u8; 32],
    pub(super) body: Bytes,
}

impl App {
    /// Checks what the headers alone can prove.
    pub(super) fn admit<'a>(&'a self, headers: &'a HeaderMap, now: Timestamp) -> Result<Claim<'a>, Unproven> {
        let signature = header(headers, SIGNATURE).ok_or(Unproven::NoSignature)?;
        let timestamp = header(headers, TIMESTAMP).ok_or(Unproven::NoSignature)?;
        let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let sent = timestamp.parse().ok().filter(|_| is_number);
        if !is_within_the_window(sent.ok_or(Unproven::NoSignature)?, now) {
            return Err(Unproven::OutsideWindow);
        }
        Ok(Claim {
            app: self,
            signature,
            timestamp,
        })
    }
}

impl Claim<'_> {
    /// Believes the body, if it is what Discord signed for our application.
    pub(super) fn prove(&self, body: Bytes) -> Result<Signed, Unproven> {
        let verified = self.app.verifier.verify(self.signature, self.timestamp, &body);
        verified.map_err(|()| Unproven::WrongSignature)?;
        let digest = Sha256::new()
            .chain_update(b"discord\0")
            .chain_update(self.timestamp)
            .chain_update(b"\0")
            .chain_update(&body);
        Ok(Signed {
            proof: digest.finalize().into(),
            body,
        })
    }
}
