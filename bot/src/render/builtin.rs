//! Owns the files below `templates/`, part of the binary in every build.
//! Refuses to read them from the disk: what was tested is what runs.

use std::borrow::Cow;

use handlebars::Handlebars;
use rust_embed::RustEmbed;

use super::{Form, TemplateFault, helpers, kinds};

#[derive(RustEmbed)]
#[folder = "../templates"]
struct Files;

/// Shared pieces of templates: `{{> name}}`.
pub(super) const PARTIALS: &str = "_partials/";

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

/// The files that there are: the plain text of each kind, forms of their own, and the shared pieces.
fn files() -> Vec<String> {
    let text = kinds().into_iter().map(|kind| super::file_of(kind, Form::Text));
    let special = worded().into_iter().filter(|file| Files::get(file).is_some());
    let mut files: Vec<String> = text.chain(special).chain(partials()).collect();
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

/// Registers the built-in template in `file` as `name`.
///
/// # Errors
/// When there is no such file, or it is no template.
pub fn register(registry: &mut Handlebars<'static>, name: &str, file: &str) -> Result<(), TemplateFault> {
    let source = text(file).ok_or_else(|| TemplateFault::somewhere(file, "there is no such template"))?;
    registry
        .register_template_string(name, source)
        .map_err(|error| TemplateFault::parsing(file, &error))
}

/// The engine with all built-in templates.
pub(super) fn registry() -> Result<Handlebars<'static>, Vec<TemplateFault>> {
    let mut registry = engine(handlebars::no_escape);
    let mut faults = Vec::new();
    for file in files() {
        faults.extend(register(&mut registry, name(&file), &file).err());
    }
    if faults.is_empty() { Ok(registry) } else { Err(faults) }
}
