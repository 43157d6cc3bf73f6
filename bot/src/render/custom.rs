//! Owns the override directory: single files that replace built-in templates of the same path.
//! Refuses files that replace nothing, and templates that could exhaust the service.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use tidegate_rollout::Notice;

use super::builtin::{self, Engines, Use};
use super::{Form, TemplateFault, render_with, shape};

/// The built-in templates with the files of a directory over them.
pub(super) struct Overlay {
    engines: Engines,
    sources: BTreeMap<String, String>,
}

impl Overlay {
    /// Reads the directory.
    pub(super) fn read(directory: &Path, builtin: &Engines) -> Result<Self, Vec<TemplateFault>> {
        let mut faults = Vec::new();
        let mut overlay = Self {
            engines: builtin.clone(),
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
        let used = builtin::used_as(file).ok_or_else(|| TemplateFault::somewhere(file, why_not(file)))?;
        let source = read_bounded(&directory.join(file))
            .map_err(|error| TemplateFault::somewhere(file, format!("could not be read: {error}")))?;
        let at = |line: Option<usize>, what: &str| match line {
            None => Ok(()),
            line => Err(TemplateFault {
                line,
                ..TemplateFault::somewhere(file, what)
            }),
        };
        at(shape::too_deep(&source), "blocks go too deep here")?;
        let template = builtin::compiled(file, &source)?;
        // What stands in the HTML of a mail is escaped, without exception; pieces can stand there, too.
        if matches!(used, Use::Frame | Use::Piece) {
            at(
                shape::unescaped(&template),
                "`{{{…}}}` and `{{&…}}` would let text from outside be markup: write `{{…}}`",
            )?;
        }
        self.engines.take(file, used, &template);
        Ok(source)
    }

    /// A template that includes itself over other files would never end.
    fn circle(&self) -> Option<TemplateFault> {
        let mut uses = BTreeMap::new();
        let words = self.engines.words.get_templates().iter();
        for (name, template) in words.chain(self.engines.letters.get_templates()) {
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
        render_with(&self.engines.words, notice, form)
    }

    pub(super) fn engines(&self) -> &Engines {
        &self.engines
    }

    pub(super) fn source(&self, file: &str) -> Option<&str> {
        self.sources.get(file).map(String::as_str)
    }

    /// The shared pieces of the directory.
    pub(super) fn pieces(&self) -> impl Iterator<Item = String> {
        let pieces = self.sources.keys().filter(|file| file.starts_with(builtin::PARTIALS));
        pieces.cloned()
    }
}

/// Why a file replaces nothing.
fn why_not(file: &str) -> &'static str {
    if file.starts_with(builtin::PAGES) {
        "pages cannot be replaced: their forms carry what proves that a press was meant, and their style and script are \
         pinned by the security policy that goes with them"
    } else {
        "no notice uses a file of that name; `tidegate template list` shows the kinds and their forms"
    }
}

/// Every `folder/file.hbs` below the directory, and whatever else somebody could take for a replacement: a template that lies
/// outside of any folder, and all of `pages/`. Anything else than a template is left alone.
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
            found.extend(folder.ends_with(".hbs").then_some(folder));
            continue;
        }
        let all = format!("{folder}/") == builtin::PAGES;
        let files = list(&path, faults).into_iter();
        let files = files.filter(|file| all || file.ends_with(".hbs"));
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
