//! Owns the two credentials a sender puts into the `Authorization` header: a bearer token, or user and password.
//! Refuses to keep them: only their SHA-256 is held, so there is nothing to print and nothing to compare by bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::receiver::{ReceiverError, usable_secret};

/// The schemes of the `Authorization` header that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    Bearer,
    Basic,
}

impl Scheme {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Basic => "Basic",
        }
    }
}

/// What a sender must present.
#[derive(Clone)]
pub struct Credential {
    scheme: Scheme,
    /// Of the token, or of `user:password`. Comparing digests takes the same time whatever was presented.
    digest: [u8; 32],
}

impl Credential {
    /// `Authorization: Bearer <token>`.
    pub fn bearer(token: &SecretString) -> Result<Self, ReceiverError> {
        usable_secret(token)?;
        Ok(Self {
            scheme: Scheme::Bearer,
            digest: digest(token.expose_secret().as_bytes()),
        })
    }

    /// `Authorization: Basic <base64 of user:password>`, in UTF-8.
    pub fn basic(user: &str, password: &SecretString) -> Result<Self, ReceiverError> {
        usable_secret(password)?;
        if user.contains(':') {
            return Err(ReceiverError::ColonInUser);
        }
        let mut hasher = Sha256::new();
        hasher.update(user);
        hasher.update(b":");
        hasher.update(password.expose_secret());
        Ok(Self {
            scheme: Scheme::Basic,
            digest: hasher.finalize().into(),
        })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether `presented` is this credential, in constant time.
    pub(crate) fn is(&self, presented: &Presented) -> Choice {
        Choice::from(u8::from(self.scheme == presented.scheme)) & self.digest.ct_eq(&presented.digest)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} …)", self.scheme.word())
    }
}

/// What a request presents, reduced to its digest.
pub(crate) struct Presented {
    scheme: Scheme,
    digest: [u8; 32],
}

impl Presented {
    /// Reads the one `Authorization` header. None, several, or one that cannot be understood is nothing.
    pub(crate) fn in_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        let value = value.as_bytes();
        let space = value.iter().position(|&byte| byte == b' ')?;
        let (scheme, secret) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"bearer") {
            Some(Self {
                scheme: Scheme::Bearer,
                digest: digest(secret),
            })
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            Some(Self {
                scheme: Scheme::Basic,
                digest: digest(&STANDARD.decode(secret).ok()?),
            })
        } else {
            None
        }
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
