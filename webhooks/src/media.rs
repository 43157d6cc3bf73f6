//! Owns the content types there are: `application/json` from programs, a form from Slack; never compressed.
//! Refuses everything else, so that no body is ever read as something it is not, and no bomb is ever unpacked.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Json,
    Form,
}

impl Wanted {
    /// As it stands in the header.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// Why a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrongMedia {
    /// The content type is missing or another one.
    Type(Wanted),
    /// The body is compressed.
    Encoding,
}

/// Checks both headers.
pub(crate) fn check(headers: &HeaderMap, wanted: Wanted) -> Result<(), WrongMedia> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(WrongMedia::Encoding);
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next().and_then(|value| value.to_str().ok()), types.next()) {
        (Some(value), None) if is(wanted, value) => Ok(()),
        _ => Err(WrongMedia::Type(wanted)),
    }
}

/// The wanted type, with no charset or with UTF-8, the only one there is.
fn is(wanted: Wanted, value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset_fits = |parameter: &str| match parameter.split_once('=') {
        Some((name, charset)) if name.eq_ignore_ascii_case("charset") => {
            charset.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    };
    essence.eq_ignore_ascii_case(wanted.word()) && parts.all(charset_fits)
}
