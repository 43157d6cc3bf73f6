//! Owns what a template of somebody else may not be, however well it parses: too large, too deep, or in a circle.
//! Refuses it before the engine sees it: the engine goes as deep as the template says, and the stack has an end.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{Parameter, TemplateElement};
use handlebars::{Path, Template};

/// The most bytes of a template.
pub(super) const LARGEST: u64 = 64 * 1024;
/// The most blocks, or parentheses, inside one another.
const DEEPEST: usize = 16;

/// The line, from 1, where blocks or parentheses go deeper than [`DEEPEST`]; `None` when they do not.
pub(super) fn too_deep(source: &str) -> Option<usize> {
    let (mut blocks, mut parentheses) = (0usize, 0usize);
    for (number, line) in source.lines().enumerate() {
        let rest = line.as_bytes();
        for (at, byte) in rest.iter().enumerate() {
            let opened = rest[..at].ends_with(b"{{") || rest[..at].ends_with(b"{{~");
            match byte {
                b'#' if opened => blocks += 1,
                b'/' if opened => blocks = blocks.saturating_sub(1),
                b'(' => parentheses += 1,
                b')' => parentheses = parentheses.saturating_sub(1),
                _ => {}
            }
            // Raw blocks `{{{{…}}}}` have no use in a message and would hide the count.
            if blocks > DEEPEST || parentheses > DEEPEST || rest[..=at].ends_with(b"{{{{") {
                return Some(number + 1);
            }
        }
    }
    None
}

/// The line, from 1, of the first value that is shown as it is, without being escaped.
pub(super) fn unescaped(template: &Template) -> Option<usize> {
    let places = template.elements.iter().zip(&template.mapping);
    places
        .filter_map(|(element, place)| match element {
            TemplateElement::HtmlExpression(_) => Some(place.0),
            TemplateElement::HelperBlock(helper) => {
                let branches = [&helper.template, &helper.inverse].into_iter().flatten();
                branches.filter_map(unescaped).min()
            }
            TemplateElement::PartialBlock(piece) => piece.template.as_ref().and_then(unescaped),
            _ => None,
        })
        .min()
}

/// The shared pieces that `template` uses.
///
/// # Errors
/// What it may not use: a computed name or a piece defined in place could lead back to itself unseen.
pub(super) fn pieces(template: &Template) -> Result<BTreeSet<String>, &'static str> {
    let mut found = BTreeSet::new();
    for element in &template.elements {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::HtmlExpression(helper)
            | TemplateElement::Expression(helper)
            | TemplateElement::HelperBlock(helper) => {
                for branch in [&helper.template, &helper.inverse].into_iter().flatten() {
                    found.extend(pieces(branch)?);
                }
            }
            TemplateElement::PartialExpression(piece) | TemplateElement::PartialBlock(piece) => {
                found.insert(fixed(&piece.name).ok_or("a shared piece must be named literally: `{{> name}}`")?);
                if let Some(below) = &piece.template {
                    found.extend(pieces(below)?);
                }
            }
            // Decorators, and whatever a later engine brings.
            _ => return Err("`{{*…}}` is not supported: write a file below `_partials/` instead"),
        }
    }
    Ok(found)
}

fn fixed(name: &Parameter) -> Option<String> {
    match name {
        Parameter::Name(name) | Parameter::Path(Path::Relative((_, name)) | Path::Local((_, _, name))) => {
            Some(name.clone())
        }
        _ => None,
    }
}

/// A template that leads back to itself over its shared pieces, if there is one.
pub(super) fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<&str> {
    uses.keys().map(String::as_str).find(|start| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = vec![start];
        while let Some(name) = open.pop() {
            let next = uses.get(name).into_iter().flatten().map(String::as_str);
            for piece in next.filter(|piece| uses.contains_key(*piece)) {
                if piece == *start {
                    return true;
                }
                if seen.insert(piece) {
                    open.push(piece);
                }
            }
        }
        false
    })
}
