//! Owns the proof of origin: raw bytes become [`Signed`] here and nowhere else, and only [`Signed`] can be decoded.
//! Refuses to look into the body.

use bytes::Bytes;
use tidegate_rollout::Source;

use crate::signature::{Passing, Signatures, SigningSecrets};

/// Why a sender is not believed. It is told no more than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is no usable `Authorization` header.
    #[error("the request carries no credentials that this receiver understands")]
    NoCredentials,
    /// The credentials are not the configured ones.
    #[error("the credentials are not those of this receiver")]
    WrongCredentials,
    /// There is no usable signature header.
    #[error("the request carries no signature that this receiver understands")]
    NoSignature,
    /// No signature was made over this body with one of the configured secrets.
    #[error("the signature does not belong to this body and this receiver")]
    WrongSignature,
    /// It was signed too long ago, or for a time to come.
    #[error("the request is older than five minutes, or from the future; check both clocks")]
    OutsideWindow,
    /// It comes from a workspace, a guild or an app that is not configured.
    #[error("the request is of a workspace, a guild or an app that is not listened to here")]
    Elsewhere,
    /// The very same request came before.
    #[error("the very same request came before")]
    Twice,
}

/// A request whose headers are in order; its signature, if one is needed, waits for the body.
pub struct Claim<'r> {
    source: Source,
    sender_known: bool,
    signature: Option<(Signatures, &'r SigningSecrets)>,
}

impl<'r> Claim<'r> {
    pub(crate) fn new(source: Source, sender_known: bool, signature: Option<(Signatures, &'r SigningSecrets)>) -> Self {
        Self {
            source,
            sender_known,
            signature,
        }
    }

    /// Whether credentials already told who is sending. Without, anybody may have sent what we are about to read.
    pub fn sender_known(&self) -> bool {
        self.sender_known
    }

    /// What a body that is too large to be kept is proved by as it passes.
    pub(crate) fn passing(&self) -> Passing {
        let signed = self.signature.as_ref();
        signed.map_or_else(Passing::default, |(presented, secrets)| secrets.passing(presented))
    }

    /// Whether it is known whose body was too large, once it has passed; `whole` where all of it has.
    pub(crate) fn knows_sender_of(&self, passed: &Passing, whole: bool) -> bool {
        let signed = |(presented, _): &(Signatures, _)| whole && passed.made(presented);
        self.sender_known || self.signature.as_ref().is_some_and(signed)
    }

    /// Turns the body into something that may be decoded, if it is what the sender signed.
    pub fn prove(self, body: Bytes) -> Result<Signed, Unproven> {
        match self.signature {
            Some((presented, secrets)) if !secrets.made(&presented, &body) => Err(Unproven::WrongSignature),
            Some(_) | None => Ok(Signed {
                source: self.source,
                body,
            }),
        }
    }
}

/// A body that comes from the sender it names. Made by [`Claim::prove`] only.
#[derive(Clone)]
pub struct Signed {
    source: Source,
    body: Bytes,
}

impl Signed {
    /// The program that sent it.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The bytes as they came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Gives the bytes away.
    pub(crate) fn into_body(self) -> Bytes {
        self.body
    }
}
