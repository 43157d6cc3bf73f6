//! Owns the pages people read in a browser: all rollouts, one rollout, the chat, the sign-in. They are complete without JavaScript.
//! Refuses to fetch, decide and authenticate: it gets what it shows, and gives back HTML.

mod assets;
mod press;
pub mod view;

use axum::response::Html;
use handlebars::Handlebars;
use serde::Serialize;

use crate::render::{self, TemplateFault};

pub use assets::{Asset, asset};
pub use press::Press;
pub use view::board::Board;
pub use view::chat::{Chat, Login, Sorry};
pub use view::confirm::Confirm;
pub use view::rollout::RolloutPage;

/// What every page is sent with. Nothing runs or loads that is not ours; nobody frames us; forms go nowhere else.
/// The referrer stays within the site, because without one a browser sends forms with `Origin: null`.
pub const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// The most bytes of a page. The lists on it are bounded so that it stays far below.
const LONGEST: usize = 256 * 1024;
const FILES: [&str; 7] = ["layout", "board", "rollout", "confirm", "chat", "login", "sorry"];

/// The pages, ready to be filled.
pub struct Pages {
    registry: Handlebars<'static>,
    urls: assets::Urls,
}

/// What a template sees: the page's own fields, and where its style and script are.
#[derive(Serialize)]
struct Sheet<'a, Page> {
    assets: &'a assets::Urls,
    #[serde(flatten)]
    page: &'a Page,
}

impl Pages {
    /// Reads the built-in templates of the pages.
    ///
    /// # Errors
    /// A template that cannot be read: a fault of the build, not of its use.
    pub fn new() -> Result<Self, TemplateFault> {
        let mut registry = render::engine(|text| handlebars::html_escape(&render::visible(text)));
        for name in FILES {
            let file = format!("pages/{name}.hbs");
            render::register(&mut registry, name, &file)?;
        }
        Ok(Self {
            registry,
            urls: assets::Urls::hashed(),
        })
    }

    /// Every rollout, what they wait for, and whether alerts can reach us: `/`.
    pub fn board(&self, board: &Board) -> Result<Html<String>, TemplateFault> {
        self.fill("board", board)
    }

    /// One rollout: `/r/{id}`, and the answer to a pressed button.
    pub fn rollout(&self, page: &RolloutPage) -> Result<Html<String>, TemplateFault> {
        self.fill("rollout", page)
    }

    /// What a button will do, before it does it: `/r/{id}/confirm/{verb}`.
    pub fn confirm(&self, page: &Confirm) -> Result<Html<String>, TemplateFault> {
        self.fill("confirm", page)
    }

    /// The chat: `/chat`.
    pub fn chat(&self, chat: &Chat) -> Result<Html<String>, TemplateFault> {
        self.fill("chat", chat)
    }

    /// The sign-in: `/login`.
    pub fn login(&self, login: &Login) -> Result<Html<String>, TemplateFault> {
        self.fill("login", login)
    }

    /// A page that says why there is no page: not found, not allowed, not now.
    pub fn sorry(&self, sorry: &Sorry) -> Result<Html<String>, TemplateFault> {
        self.fill("sorry", sorry)
    }

    fn fill(&self, name: &str, page: &impl Serialize) -> Result<Html<String>, TemplateFault> {
        let sheet = Sheet {
            assets: &self.urls,
            page,
        };
        render::fill(&self.registry, name, LONGEST, &sheet).map(Html)
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
