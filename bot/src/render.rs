//! Owns the words of every notice: a template for each kind and form, built in, and overridden file by file from a directory.
//! Refuses to guess and to trust: an unknown variable is an error, and what came from outside is data that is never read as a template.

mod bounded;
mod builtin;
mod button;
mod custom;
pub mod discord;
pub mod email;
mod fault;
mod helpers;
pub mod mention;
mod plain;
#[cfg(test)]
mod reference;
mod shape;
pub mod slack;

use std::path::Path;
use std::sync::Arc;

use handlebars::{Context, Handlebars, RenderError};
use tidegate_rollout::Notice;
use url::Url;

use builtin::Engines;
use email::{Frame, Letter};

pub use builtin::{asset, engine, register};
pub use button::{Button, Confirm};
pub use fault::TemplateFault;
pub use helpers::HELPERS;
pub use mention::Words;
pub use plain::{one_line, visible};

/// The most bytes a rendered notice may have.
pub const LONGEST: usize = 64 * 1024;

/// In which form a notice is written: at most one file of the notice's folder each. A form without a file of its own takes
/// that of the form it [falls back](Form::falls_back) to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain text: web chat, log, signed webhook, and whatever has no file of its own.
    Text,
    /// A line below the card of its rollout, which says already which one it is: what Slack and Discord say alike.
    Thread,
    /// A line in a thread of Slack.
    Slack,
    /// A line in a thread of Discord.
    Discord,
    /// The text of a mail; its HTML is made of the same lines.
    Email,
    /// What somebody reads who is paged. The first line is what rings, on a lock screen or in an SMS; the rest are details.
    Pager,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::Text,
        Self::Thread,
        Self::Slack,
        Self::Discord,
        Self::Email,
        Self::Pager,
    ];

    /// The name of the file, without `.hbs`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thread => "thread",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Email => "email",
            Self::Pager => "pager",
        }
    }

    /// The form whose file is taken where this one has none.
    pub fn falls_back(self) -> Option<Self> {
        match self {
            Self::Slack | Self::Discord => Some(Self::Thread),
            Self::Thread | Self::Email | Self::Pager => Some(Self::Text),
            Self::Text => None,
        }
    }

    /// The forms whose files are looked for, in order.
    fn line(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |form| form.falls_back())
    }
}

/// Puts notices into words.
pub struct Renderer {
    builtin: Arc<Engines>,
    custom: Option<custom::Overlay>,
}

impl Renderer {
    /// The built-in templates, with those of `overrides` over them. Every template is tried on every sample, so that a
    /// mistake fails now and not in the incident.
    ///
    /// # Errors
    /// Everything that is wrong with the templates, not only the first thing.
    pub fn new(overrides: Option<&Path>) -> Result<Self, Vec<TemplateFault>> {
        let renderer = Self::untried(overrides)?;
        let faults: Vec<_> = Notice::samples()
            .iter()
            .flat_map(|sample| renderer.tried(sample))
            .collect();
        if faults.is_empty() {
            Ok(renderer)
        } else {
            Err(fault::distinct(faults))
        }
    }

    fn untried(overrides: Option<&Path>) -> Result<Self, Vec<TemplateFault>> {
        let builtin = Arc::new(Engines::built_in()?);
        let custom = match overrides {
            Some(directory) => Some(custom::Overlay::read(directory, &builtin)?),
            None => None,
        };
        Ok(Self { builtin, custom })
    }

    /// What is wrong with the words of a sample in any form, or with the mail that is made of them.
    fn tried(&self, sample: &Notice) -> Vec<TemplateFault> {
        let words = Form::ALL.map(|form| self.strictly(sample, form).map(drop));
        let letter = self.letter(sample, None).map(drop);
        words.into_iter().chain([letter]).filter_map(Result::err).collect()
    }

    /// The frame that mails get.
    pub fn frame(&self) -> Frame {
        let custom = self.custom.as_ref().map(|custom| custom.engines());
        Frame::of(&self.builtin, custom)
    }

    /// The mail that says `notice`, without falling back: for those who look at templates.
    ///
    /// # Errors
    /// When the template of its words fails, or that of the frame.
    pub fn letter(&self, notice: &Notice, page: Option<&Url>) -> Result<Letter, TemplateFault> {
        let text = self.strictly(notice, Form::Email)?;
        self.frame().strictly(notice, &text, page)
    }

    /// The words for `notice` as plain text: as [`Self::words`], with everybody by their name.
    ///
    /// # Errors
    /// When even the built-in template fails.
    pub fn render(&self, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
        Ok(self.words(notice, form)?.named())
    }

    /// The words for `notice`. A template of the override directory that fails now is replaced by the built-in one, and
    /// a footnote says so: a mistake in wording must not silence a page.
    ///
    /// # Errors
    /// When even the built-in template fails.
    pub fn words(&self, notice: &Notice, form: Form) -> Result<Words, TemplateFault> {
        let Some(custom) = &self.custom else {
            return self.built_in(notice, form).map(|text| Words::read(&text));
        };
        let text = custom.render(notice, form).or_else(|fault| {
            tracing::warn!(
                template = fault.template,
                "A custom template failed, the built-in one is used: {fault}"
            );
            let text = self.built_in(notice, form)?;
            Ok(format!(
                "{text}\n(The custom template failed, this is the built-in one. {fault})"
            ))
        })?;
        Ok(Words::read(&text))
    }

    /// As [`Renderer::render`], without falling back: for tests of templates.
    ///
    /// # Errors
    /// When the template that would be used fails.
    pub fn strictly(&self, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
        let text = match &self.custom {
            Some(custom) => custom.render(notice, form),
            None => self.built_in(notice, form),
        };
        text.map(|text| Words::read(&text).named())
    }

    fn built_in(&self, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
        render_with(&self.builtin.words, notice, form)
    }

    /// The text of the template that is used for `kind`, and whether it comes from the override directory; `None` for a
    /// kind that does not exist.
    pub fn source(&self, kind: &str, form: Form) -> Option<(String, bool)> {
        form.line().find_map(|form| self.own_source(kind, form))
    }

    /// As [`Self::source`], of the file of this very form; `None` where the form has none.
    pub fn own_source(&self, kind: &str, form: Form) -> Option<(String, bool)> {
        self.source_of(&file_of(kind, form))
    }

    /// The text of the template in `file`, and whether it comes from the override directory.
    pub fn source_of(&self, file: &str) -> Option<(String, bool)> {
        let custom = self.custom.as_ref().and_then(|custom| custom.source(file));
        match custom {
            Some(text) => Some((text.to_owned(), true)),
            None => builtin::text(file).map(|text| (text, false)),
        }
    }

    /// The files that word no notice by themselves: the frame of mails, and the pieces that templates share.
    pub fn shared(&self) -> Vec<String> {
        let own = self.custom.iter().flat_map(custom::Overlay::pieces);
        let mut files: Vec<String> = builtin::partials().into_iter().chain(own).collect();
        files.push(builtin::FRAME.to_owned());
        files.sort();
        files.dedup();
        files
    }

    /// A shared piece as it reads in the words of `notice`.
    ///
    /// # Errors
    /// When there is no such piece, or it fails.
    pub fn piece(&self, file: &str, notice: &Notice) -> Result<String, TemplateFault> {
        let engines = match &self.custom {
            Some(custom) => custom.engines(),
            None => &self.builtin,
        };
        fill(&engines.words, builtin::name(file), LONGEST, &facts(notice, file)?)
    }
}

/// The kinds of notices, in the order of the samples.
pub fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = Vec::new();
    for word in Notice::samples().iter().map(|sample: &Notice| sample.kind.word()) {
        if !kinds.contains(&word) {
            kinds.push(word);
        }
    }
    kinds
}

/// The file of a template below `templates/` or below the override directory.
fn file_of(kind: &str, form: Form) -> String {
    format!("{kind}/{}.hbs", form.word())
}

fn render_with(registry: &Handlebars<'static>, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
    let kind = notice.kind.word();
    let named = |form: Form| format!("{kind}/{}", form.word());
    let own = form.line().map(named).find(|name| registry.has_template(name));
    // Every kind has its plain text; were it missing, the engine would say so by its name.
    let name = own.unwrap_or_else(|| named(Form::Text));
    let text = fill(registry, &name, LONGEST, &facts(notice, &builtin::file(&name))?)?;
    Ok(text.trim_end().to_owned())
}

/// What the template in `file` can show of a notice.
fn facts(notice: &Notice, file: &str) -> Result<serde_json::Value, TemplateFault> {
    let facts = serde_json::to_value(notice);
    let mut facts = facts.map_err(|error| TemplateFault::somewhere(file, error.to_string()))?;
    plain::tame(&mut facts);
    Ok(facts)
}

/// Fills the template registered as `name` with `values`; the result has at most so many bytes.
///
/// # Errors
/// When the template names what does not exist, or the result gets too long.
pub fn fill(
    registry: &Handlebars<'static>,
    name: &str,
    most: usize,
    values: &impl serde::Serialize,
) -> Result<String, TemplateFault> {
    let fail = |error: &RenderError, known: &str| TemplateFault::rendering(name, error, known);
    let context = Context::wraps(values).map_err(|error| fail(&error, ""))?;
    let mut writer = bounded::Bounded::new(most);
    registry
        .render_with_context_to_write(name, &context, &mut writer)
        .map_err(|error| fail(&error, &fault::known(context.data())))?;
    Ok(writer.into_text())
}

#[cfg(test)]
mod tests;
