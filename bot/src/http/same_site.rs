//! Owns the question whether a request was made by a page of ours or by a page of somebody else in the same browser.
//! Refuses to answer by guessing: without a sign of the browser there is no proof.

use http::header::{HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method};
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request shows about the page it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A page of ours, or the person themselves.
    Ours,
    /// A page of somebody else.
    Foreign,
    /// Nothing: no browser made it, or a very old one.
    Unknown,
}

/// Whether `method` may change something.
pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Where a request comes from, as its browser says. `external` is the address that people know us by, where that is not
/// the one in `Host`.
pub(super) fn origin(headers: &HeaderMap, external: Option<&Url>) -> Origin {
    // Written by the browser itself; no page can set it. Not sent to plain-text addresses other than loopback.
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    match (sites.next(), sites.next()) {
        (Some(site), None) if site == "same-origin" || site == "none" => return Origin::Ours,
        (Some(_), _) => return Origin::Foreign,
        (None, _) => {}
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let (said, one) = match (origins.next(), origins.next()) {
        (None, _) => return Origin::Unknown,
        (Some(said), second) => (said, second.is_none()),
    };
    let ours = said.to_str().is_ok_and(|said| is_ours(said, headers, external));
    if one && ours { Origin::Ours } else { Origin::Foreign }
}

/// Whether the address `said` is one of ours.
pub(super) fn is_ours(said: &str, headers: &HeaderMap, external: Option<&Url>) -> bool {
    // `null` is no address, and so is never ours.
    let Ok(said) = Url::parse(said) else {
        return false;
    };
    if external.is_some_and(|external| external.origin() == said.origin()) {
        return true;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let here = host.and_then(|host| Url::parse(&format!("{}://{host}/", said.scheme())).ok());
    matches!(said.scheme(), "http" | "https") && here.is_some_and(|here| here.origin() == said.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(headers: &[(&'static str, &'static str)], external: Option<&str>) -> Origin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        let external = external.map(|url| Url::parse(url).unwrap());
        origin(&map, external.as_ref())
    }

    #[test]
    fn the_browsers_own_word_counts_first() {
        let foreign_origin = ("origin", "https://evil.example");
        assert_eq!(
            seen(&[("sec-fetch-site", "same-origin"), foreign_origin], None),
            Origin::Ours
        );
        assert_eq!(seen(&[("sec-fetch-site", "none")], None), Origin::Ours);
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, none"] {
            assert_eq!(seen(&[("sec-fetch-site", site)], None), Origin::Foreign, "{site}");
        }
        let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        assert_eq!(seen(&twice, None), Origin::Foreign);
    }

    #[test]
    fn an_origin_must_be_the_host_that_was_asked() {
        let host = ("host", "gate.example:9797");
        let with = |origin: &'static str| seen(&[host, ("origin", origin)], None);
        assert_eq!(with("http://gate.example:9797"), Origin::Ours);
        for foreign in [
            "null",
            "",
            "http://gate.example",
            "http://gate.example:9798",
            "http://evil.gate.example:9797",
            "http://gate.example.evil:9797",
            "file://",
            "about:blank",
            "gate.example:9797",
        ] {
            assert_eq!(with(foreign), Origin::Foreign, "{foreign}");
        }
        assert_eq!(seen(&[host], None), Origin::Unknown);
        let two = [
            host,
            ("origin", "http://gate.example:9797"),
            ("origin", "http://gate.example:9797"),
        ];
        assert_eq!(seen(&two, None), Origin::Foreign);
    }

    #[test]
    fn behind_a_proxy_the_external_address_counts() {
        let headers = [("host", "10.0.0.7:9797"), ("origin", "https://gate.example")];
        assert_eq!(seen(&headers, Some("https://gate.example/tidegate")), Origin::Ours);
        assert_eq!(seen(&headers, Some("https://other.example/")), Origin::Foreign);
        assert_eq!(seen(&headers, None), Origin::Foreign);
    }
}
