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

/// The most bytes of a page. The lists on it are bounded so that it stays far below.
const LONGEST: usize = 256 * 1024;
const FILES: [&str; 7] = ["layout", "board", "rollout", "confirm", "chat", "login", "sorry"];

/// The pages, ready to be filled.
pub struct Pages {
    registry: Handlebars<'static>,
    base: String,
    urls: assets::Urls,
}

/// What a template sees: the page's own fields, and where its style and script are.
#[derive(Serialize)]
struct Sheet<'a, Page> {
    /// What every address begins with: empty, or the prefix of the server.
    base: &'a str,
    assets: &'a assets::Urls,
    #[serde(flatten)]
    page: &'a Page,
}

/// `text` as it stands in a page: everything visible, nothing markup.
fn escaped(text: &str) -> String {
    handlebars::html_escape(&render::visible(text))
}

impl Pages {
    /// Reads the built-in templates of the pages. `prefix` is what every address of ours begins with; it may be empty.
    ///
    /// # Errors
    /// A template that cannot be read: a fault of the build, not of its use.
    pub fn new(prefix: &str) -> Result<Self, TemplateFault> {
        let mut registry = render::engine(escaped);
        for name in FILES {
            let file = format!("pages/{name}.hbs");
            render::register(&mut registry, name, &file)?;
        }
        Ok(Self {
            registry,
            base: prefix.to_owned(),
            urls: assets::Urls::hashed(prefix),
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
            base: &self.base,
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
