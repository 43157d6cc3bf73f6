//! Owns the way of a person without a session to the sign-in page, and back to where they were.
//! Refuses to lead a program anywhere: it gets its 401.

use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{ACCEPT, HeaderName, REFERER};
use http::request::Parts;
use http::{Method, StatusCode};
use url::Url;

use super::same_site;
use crate::config::Config;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a person looks at a page or sends a form of one, rather than a program at an answer.
pub(super) fn wants_page(head: &Parts) -> bool {
    let accepts = head.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    matches!(head.method, Method::GET | Method::POST) && accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// Leads a person to the sign-in page and back. Who follows a link from another site may be signed in all the same: a
/// strict cookie is not sent along with such a visit, so the page first asks for itself once more.
pub(super) fn lead(head: &Parts, config: &Config) -> Response {
    let from_elsewhere = head
        .headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site == "cross-site");
    if from_elsewhere && head.method == Method::GET {
        let again = "<!doctype html><meta charset=\"utf-8\"><title>Tidegate</title>\
                     <meta http-equiv=\"refresh\" content=\"0\"><p>One moment …</p>";
        return (StatusCode::UNAUTHORIZED, Html(again)).into_response();
    }
    let prefix = &config.web.route_prefix;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if head.method == Method::GET {
        let here = head.uri.path_and_query().map_or("/", |it| it.as_str());
        query.append_pair("next", here);
    } else {
        // What was pressed is not done after the sign-in: the page is shown again, and the person presses again.
        query.append_pair("next", &page_of_the_form(head, config));
        query.append_pair("pressed", "1");
    }
    Redirect::to(&format!("{prefix}/login?{}", query.finish())).into_response()
}

/// The path of the page that a form was on, below our prefix; the first page where the browser does not say.
fn page_of_the_form(head: &Parts, config: &Config) -> String {
    let referer = head.headers.get(REFERER).and_then(|referer| referer.to_str().ok());
    let ours = referer.filter(|said| same_site::is_ours(said, &head.headers, config.web.external_url.as_ref()));
    let path = ours.and_then(|ours| Some(Url::parse(ours).ok()?.path().to_owned()));
    let below = path.and_then(|path| Some(path.strip_prefix(&config.web.route_prefix)?.to_owned()));
    // The answer to a pressed button has the address of the form; the page itself is above it.
    below.map_or_else(|| "/".to_owned(), |path| path.trim_end_matches("/do").to_owned())
}
