//! Owns the style, the script and the icons of the pages, and the addresses under which browsers may keep them.
//! Refuses any other file: the list is closed.

use serde::Serialize;
use sha2::Digest;

use crate::render;

/// A file the pages need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its media type.
    pub media: &'static str,
    /// Its content.
    pub bytes: std::borrow::Cow<'static, [u8]>,
    /// How long a browser may keep it: for ever, because its address changes with its content.
    pub cache: &'static str,
}

const FILES: [(&str, &str); 8] = [
    ("app.css", "text/css; charset=utf-8"),
    ("app.js", "text/javascript; charset=utf-8"),
    ("ok.svg", "image/svg+xml"),
    ("info.svg", "image/svg+xml"),
    ("warn.svg", "image/svg+xml"),
    ("bad.svg", "image/svg+xml"),
    ("nodata.svg", "image/svg+xml"),
    ("quiet.svg", "image/svg+xml"),
];

/// The file behind `/assets/{name}`; `None` when there is no such file.
pub fn asset(name: &str) -> Option<Asset> {
    let (file, media) = FILES.iter().find(|(file, _)| *file == name)?;
    Some(Asset {
        media,
        bytes: render::asset(&format!("pages/assets/{file}"))?,
        cache: "public, max-age=31536000, immutable",
    })
}

/// Where the pages find style and script. The address carries a hash, so that an upgrade is seen at once.
#[derive(Serialize)]
pub(super) struct Urls {
    style: String,
    script: String,
}

impl Urls {
    pub(super) fn hashed(prefix: &str) -> Self {
        let url = |name: &str| {
            let bytes = asset(name).map(|asset| asset.bytes).unwrap_or_default();
            let hash = hex::encode(&sha2::Sha256::digest(&bytes)[..6]);
            format!("{prefix}/assets/{name}?v={hash}")
        };
        Self {
            style: url("app.css"),
            script: url("app.js"),
        }
    }
}
