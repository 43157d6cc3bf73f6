//! Owns the files below `templates/`, part of the binary in every build.
//! Refuses to read them from the disk: what was tested is what runs.

use std::borrow::Cow;
use std::sync::Arc;

use handlebars::{Handlebars, Template};
use rust_embed::RustEmbed;

use super::{Form, TemplateFault, helpers, kinds};

#[derive(RustEmbed)]
#[folder = "../templates"]
struct Files;

/// Shared pieces of templates: `{{> name}}`.
pub(super) const PARTIALS: &str = "_partials/";

/// The HTML around the lines of a mail.
pub(super) const FRAME: &str = "email/frame.hbs";

/// Templates of pages, which are no words: `pages.rs` owns them.
pub(super) const PAGES: &str = "pages/";

/// What a template is for, as its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A piece that other templates share.
    Piece,
    /// The words of a notice in a form.
    Words,
    /// The frame of a mail.
    Frame,
}

/// What the template in `file` is for; `None` where nothing uses a file of that name.
pub(super) fn used_as(file: &str) -> Option<Use> {
    if file.starts_with(PARTIALS) {
        Some(Use::Piece)
    } else if file == FRAME {
        Some(Use::Frame)
    } else {
        worded().iter().any(|known| known == file).then_some(Use::Words)
    }
}

/// The two engines that fill templates. Both know the shared pieces.
#[derive(Clone)]
pub(super) struct Engines {
    /// Makes plain text, and escapes nothing: each surface escapes what it is given.
    pub(super) words: Handlebars<'static>,
    /// Makes HTML, and escapes everything.
    pub(super) letters: Arc<Handlebars<'static>>,
}

impl Engines {
    /// With all built-in templates.
    pub(super) fn built_in() -> Result<Self, Vec<TemplateFault>> {
        let mut words = engine(handlebars::no_escape);
        helpers::register_for_text(&mut words);
        let mut engines = Self {
            words,
            letters: Arc::new(engine(handlebars::html_escape)),
        };
        let faults: Vec<_> = files()
            .iter()
            .filter_map(|file| engines.take_built_in(file).err())
            .collect();
        if faults.is_empty() { Ok(engines) } else { Err(faults) }
    }

    fn take_built_in(&mut self, file: &str) -> Result<(), TemplateFault> {
        let (template, used) = (compiled(file, &source(file)?)?, used_as(file));
        used.into_iter().for_each(|used| self.take(file, used, &template));
        Ok(())
    }

    /// Puts a template where it belongs, in the place of one that was there.
    pub(super) fn take(&mut self, file: &str, used: Use, template: &Template) {
        let name = name(file);
        let letters = Arc::make_mut(&mut self.letters);
        match used {
            Use::Piece => {
                self.words.register_template(name, template.clone());
                letters.register_template(name, template.clone());
            }
            Use::Words => self.words.register_template(name, template.clone()),
            Use::Frame => letters.register_template(name, template.clone()),
        }
    }
}

/// The template that `source` is.
pub(super) fn compiled(file: &str, source: &str) -> Result<Template, TemplateFault> {
    Template::compile_with_name(source, name(file).to_owned()).map_err(|error| TemplateFault::parsing(file, &error))
}

/// A file below `templates/`, as it is; `None` when there is no such file.
pub fn asset(file: &str) -> Option<Cow<'static, [u8]>> {
    Files::get(file).map(|file| file.data)
}

/// A template below `templates/` as text.
pub(super) fn text(file: &str) -> Option<String> {
    let bytes = asset(file)?;
    String::from_utf8(bytes.into_owned()).ok()
}

/// The files of the shared pieces.
pub(super) fn partials() -> Vec<String> {
    Files::iter()
        .filter(|file| file.starts_with(PARTIALS))
        .map(Cow::into_owned)
        .collect()
}

/// The name under which the template in `file` is registered: shared pieces go by their own name.
pub(super) fn name(file: &str) -> &str {
    let name = file.strip_suffix(".hbs").unwrap_or(file);
    name.strip_prefix(PARTIALS).unwrap_or(name)
}

/// The file of the template that is registered as `name`.
pub(super) fn file(name: &str) -> String {
    if name.contains('/') {
        format!("{name}.hbs")
    } else {
        format!("{PARTIALS}{name}.hbs")
    }
}

/// Every file that a notice can use: one for each kind and form, whether we have it or not.
pub(super) fn worded() -> Vec<String> {
    let forms = |kind| Form::ALL.map(|form| super::file_of(kind, form));
    kinds().into_iter().flat_map(forms).collect()
}

/// The files that there are: the plain text of each kind, forms of their own, the shared pieces, the frame.
fn files() -> Vec<String> {
    let text = kinds().into_iter().map(|kind| super::file_of(kind, Form::Text));
    let special = worded().into_iter().filter(|file| Files::get(file).is_some());
    let frame = std::iter::once(FRAME.to_owned());
    let mut files: Vec<String> = text.chain(special).chain(partials()).chain(frame).collect();
    files.sort();
    files.dedup();
    files
}

/// An engine without templates: strict, with helpers that only format. `escape` is applied to every value shown.
pub fn engine(escape: impl Fn(&str) -> String + Send + Sync + 'static) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape);
    helpers::register(&mut registry);
    registry
}

/// The text of a built-in template that must be there.
fn source(file: &str) -> Result<String, TemplateFault> {
    text(file).ok_or_else(|| TemplateFault::somewhere(file, "there is no such template"))
}

/// Registers the built-in template in `file` as `name`.
///
/// # Errors
/// When there is no such file, or it is no template.
pub fn register(registry: &mut Handlebars<'static>, name: &str, file: &str) -> Result<(), TemplateFault> {
    registry
        .register_template_string(name, source(file)?)
        .map_err(|error| TemplateFault::parsing(file, &error))
}
