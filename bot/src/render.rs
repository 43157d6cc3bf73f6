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

use handlebars::{Context, Handlebars, RenderError};
use tidegate_rollout::Notice;
use tidegate_rollout::notice::NoticeKind;

pub use builtin::{asset, engine, register};
pub use button::{Button, Confirm};
pub use fault::TemplateFault;
pub use helpers::HELPERS;
pub use mention::Words;
pub use plain::{one_line, visible};

/// The most bytes a rendered notice may have.
pub const LONGEST: usize = 64 * 1024;

/// In which form a notice is written: one file of the notice's folder each. A form without a file of its own says what the
/// plain text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain text: web chat, log, signed webhook, and whatever has no file of its own.
    Text,
    /// A line in a thread of Slack.
    Slack,
    /// A line in a thread of Discord.
    Discord,
    /// The text of a mail; its HTML is made of the same lines.
    Email,
    /// What somebody reads who is paged.
    Pager,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Text, Self::Slack, Self::Discord, Self::Email, Self::Pager];

    /// The name of the file, without `.hbs`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Email => "email",
            Self::Pager => "pager",
        }
    }
}

/// Puts notices into words.
pub struct Renderer {
    builtin: Handlebars<'static>,
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
            .flat_map(|sample| Form::ALL.map(|form| renderer.strictly(sample, form)))
            .filter_map(Result::err)
            .collect();
        if faults.is_empty() {
            Ok(renderer)
        } else {
            Err(fault::distinct(faults))
        }
    }

    fn untried(overrides: Option<&Path>) -> Result<Self, Vec<TemplateFault>> {
        let builtin = builtin::registry()?;
        let custom = match overrides {
            Some(directory) => Some(custom::Overlay::read(directory, &builtin)?),
            None => None,
        };
        Ok(Self { builtin, custom })
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
        render_with(&self.builtin, notice, form)
    }

    /// The text of the template that is used for `kind`, and whether it comes from the override directory; `None` for a
    /// kind that does not exist.
    pub fn source(&self, kind: &str, form: Form) -> Option<(String, bool)> {
        [form, Form::Text].iter().find_map(|form| self.own_source(kind, *form))
    }

    /// As [`Self::source`], of the file of this very form; `None` where the form has none.
    pub fn own_source(&self, kind: &str, form: Form) -> Option<(String, bool)> {
        let file = file_of(kind, form);
        let custom = self.custom.as_ref().and_then(|custom| custom.source(&file));
        match custom {
            Some(text) => Some((text.to_owned(), true)),
            None => builtin::text(&file).map(|text| (text, false)),
        }
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

/// The name under which a template is registered, and the one that words what has no file of its own.
fn names_of(kind: &NoticeKind, form: Form) -> [String; 2] {
    [form, Form::Text].map(|form| format!("{}/{}", kind.word(), form.word()))
}

fn render_with(registry: &Handlebars<'static>, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
    let [own, text] = names_of(&notice.kind, form);
    let name = if registry.has_template(&own) { own } else { text };
    let file = builtin::file(&name);
    let mut facts = serde_json::to_value(notice).map_err(|error| TemplateFault::somewhere(&file, error.to_string()))?;
    plain::tame(&mut facts);
    let text = fill(registry, &name, LONGEST, &facts)?;
    Ok(text.trim_end().to_owned())
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
