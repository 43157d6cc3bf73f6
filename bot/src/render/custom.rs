//! Owns the override directory: single files that replace built-in templates of the same path.
//! Refuses files that replace nothing, and templates that could exhaust the service.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use handlebars::{Handlebars, Template};
use tidegate_rollout::Notice;

use super::{Form, TemplateFault, builtin, render_with, shape};

/// The built-in templates with the files of a directory over them.
pub(super) struct Overlay {
    registry: Handlebars<'static>,
    sources: BTreeMap<String, String>,
}

impl Overlay {
    /// Reads the directory.
    pub(super) fn read(directory: &Path, builtin: &Handlebars<'static>) -> Result<Self, Vec<TemplateFault>> {
        let mut faults = Vec::new();
        let mut overlay = Self {
            registry: builtin.clone(),
            sources: BTreeMap::new(),
        };
        for file in found_below(directory, &mut faults) {
            match overlay.take(directory, &file) {
                Ok(source) => {
                    overlay.sources.insert(file, source);
                }
                Err(fault) => faults.push(fault),
            }
        }
        faults.extend(overlay.circle());
        if faults.is_empty() { Ok(overlay) } else { Err(faults) }
    }

    fn take(&mut self, directory: &Path, file: &str) -> Result<String, TemplateFault> {
        let replaces = file.starts_with(builtin::PARTIALS) || builtin::worded().iter().any(|known| known == file);
        if !replaces {
            let what = "no notice uses a file of that name; `tidegate template list` shows the kinds and their forms";
            return Err(TemplateFault::somewhere(file, what));
        }
        let source = read_bounded(&directory.join(file))
            .map_err(|error| TemplateFault::somewhere(file, format!("could not be read: {error}")))?;
        if let Some(line) = shape::too_deep(&source) {
            let fault = TemplateFault::somewhere(file, "blocks go too deep here");
            return Err(TemplateFault {
                line: Some(line),
                ..fault
            });
        }
        let name = builtin::name(file);
        let template = Template::compile_with_name(&source, name.to_owned())
            .map_err(|error| TemplateFault::parsing(file, &error))?;
        self.registry.register_template(name, template);
        Ok(source)
    }

    /// A template that includes itself over other files would never end.
    fn circle(&self) -> Option<TemplateFault> {
        let mut uses = BTreeMap::new();
        for (name, template) in self.registry.get_templates() {
            match shape::pieces(template) {
                Ok(pieces) => uses.insert(name.clone(), pieces),
                Err(what) => return Some(TemplateFault::somewhere(&builtin::file(name), what)),
            };
        }
        let name = shape::circle(&uses)?;
        let what = "it includes itself, directly or over other shared pieces";
        Some(TemplateFault::somewhere(&builtin::file(name), what))
    }

    pub(super) fn render(&self, notice: &Notice, form: Form) -> Result<String, TemplateFault> {
        render_with(&self.registry, notice, form)
    }

    pub(super) fn source(&self, file: &str) -> Option<&str> {
        self.sources.get(file).map(String::as_str)
    }
}

/// Every `folder/file.hbs` below the directory; anything else than a template is left alone.
fn found_below(directory: &Path, faults: &mut Vec<TemplateFault>) -> Vec<String> {
    let mut found = Vec::new();
    let list = |path: &Path, faults: &mut Vec<TemplateFault>| match entries(path) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the directory could not be read: {error}");
            faults.push(TemplateFault::somewhere(&path.display().to_string(), what));
            Vec::new()
        }
    };
    for folder in list(directory, faults) {
        let path = directory.join(&folder);
        if folder.starts_with('.') || !path.is_dir() {
            continue;
        }
        let files = list(&path, faults).into_iter().filter(|file| file.ends_with(".hbs"));
        found.extend(files.map(|file| format!("{folder}/{file}")));
    }
    found
}

fn entries(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut source = String::new();
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    file.take(shape::LARGEST + 1).read_to_string(&mut source)?;
    if source.len() as u64 > shape::LARGEST {
        return Err(io::Error::other(format!("it is larger than {} bytes", shape::LARGEST)));
    }
    Ok(source)
}
