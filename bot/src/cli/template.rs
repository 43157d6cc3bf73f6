//! Owns `tidegate template`: shows the templates of notices, and tries them on samples of every kind.
//! Refuses to send anything: what is rendered here is only shown.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tidegate_rollout::Notice;

use super::{Exit, Failure, Out};
use crate::render::{self, Form, Renderer, TemplateFault};

/// Shows and tries the words of notices.
#[derive(Args, Debug)]
pub(super) struct TemplateArgs {
    /// The directory whose files replace built-in templates of the same path.
    #[arg(long, global = true, value_name = "DIR")]
    templates: Option<PathBuf>,
    #[command(subcommand)]
    command: TemplateCommand,
}

/// What to do with templates.
#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// Lists every kind of notice, how loud it is, and where its template comes from.
    List,
    /// Prints the template of a kind.
    Show {
        /// The kind, such as `rolled-back`, and the form if it is not the text: `rolled-back/email`.
        name: String,
    },
    /// Renders samples, hostile ones among them; fails on the first unknown variable.
    Test {
        /// The kind, such as `rolled-back`; every kind without it.
        name: Option<String>,
        /// Every kind, as without a name.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Prints the samples of a kind as people would read them.
    Preview {
        /// The kind, such as `rolled-back`, and the form if it is not the text: `rolled-back/email`.
        name: String,
    },
}

impl TemplateArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let overrides = self.templates.as_deref();
        let renderer = || Renderer::new(overrides).map_err(|faults| invalid(&faults));
        match self.command {
            TemplateCommand::List => list(&renderer()?, out),
            TemplateCommand::Show { name } => {
                let (kind, form) = known(&name)?;
                show(&renderer()?, &kind, form, out)
            }
            TemplateCommand::Test { name, .. } => {
                let name = name.map(|name| known(&name)).transpose()?.map(|(kind, _)| kind);
                test(Renderer::new(overrides), name.as_deref(), out)
            }
            TemplateCommand::Preview { name } => {
                let (kind, form) = known(&name)?;
                preview(&renderer()?, &kind, form, out)
            }
        }
    }
}

/// The kind and the form that `rolled-back`, `rolled-back/email` or `rolled-back/email.hbs` mean.
fn known(name: &str) -> Result<(String, Form), Failure> {
    let (kind, form) = name.split_once('/').unwrap_or((name, Form::Text.word()));
    if !render::kinds().contains(&kind) {
        let kinds = render::kinds().join(", ");
        let what = format!("there is no kind of notice called `{kind}`");
        return Err(Failure::new(Exit::Usage, what).hint(format!("There are: {kinds}.")));
    }
    let word = form.strip_suffix(".hbs").unwrap_or(form);
    let form = Form::ALL.into_iter().find(|form| form.word() == word);
    let forms = Form::ALL.map(Form::word).join(", ");
    let unknown = || Failure::new(Exit::Usage, format!("notices have no form called `{word}`"));
    form.map(|form| (kind.to_owned(), form))
        .ok_or_else(|| unknown().hint(format!("There are: {forms}.")))
}

fn invalid(faults: &[TemplateFault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::new(Exit::Invalid, lines.join("\n"))
        .hint("`tidegate template show <kind>` prints a template that works; the built-in ones stay in use until this is repaired.")
}

fn list(renderer: &Renderer, out: &mut Out) -> Result<Exit, Failure> {
    let samples = Notice::samples();
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for kind in render::kinds() {
        let loudness = samples
            .iter()
            .find(|sample| sample.kind.word() == kind)
            .map(|sample| sample.kind.loudness());
        let loudness = serde_json::to_value(loudness).map_err(anyhow::Error::from)?;
        let is_custom = |form: &Form| renderer.own_source(kind, *form).is_some_and(|(_, custom)| custom);
        let custom: Vec<&str> = Form::ALL.into_iter().filter(is_custom).map(Form::word).collect();
        let from = match custom.as_slice() {
            [] => "built in".to_owned(),
            forms => format!("overridden: {}", forms.join(", ")),
        };
        lines.push(format!(
            "{kind:<18} {:<11} {from}",
            loudness.as_str().unwrap_or_default()
        ));
        rows.push(json!({ "name": kind, "loudness": loudness, "overridden": !custom.is_empty(), "forms": custom }));
    }
    out.result(lines.join("\n"), &json!({ "templates": rows }))?;
    Ok(Exit::Done)
}

fn show(renderer: &Renderer, kind: &str, form: Form, out: &mut Out) -> Result<Exit, Failure> {
    let (source, custom) = renderer.source(kind, form).unwrap_or_default();
    let value = json!({ "name": kind, "form": form.word(), "overridden": custom, "source": source });
    out.result(source.trim_end(), &value)?;
    Ok(Exit::Done)
}

fn preview(renderer: &Renderer, kind: &str, form: Form, out: &mut Out) -> Result<Exit, Failure> {
    let mut texts = Vec::new();
    for sample in samples_of(Some(kind)) {
        texts.push(renderer.strictly(&sample, form).map_err(|fault| invalid(&[fault]))?);
    }
    out.result(
        texts.join("\n\n"),
        &json!({ "name": kind, "form": form.word(), "texts": texts }),
    )?;
    Ok(Exit::Done)
}

fn test(renderer: Result<Renderer, Vec<TemplateFault>>, kind: Option<&str>, out: &mut Out) -> Result<Exit, Failure> {
    let faults = renderer.err().unwrap_or_default();
    let concern = |fault: &&TemplateFault| match kind {
        Some(kind) => fault.template.starts_with(kind) || fault.template.starts_with('_'),
        None => true,
    };
    let faults: Vec<&TemplateFault> = faults.iter().filter(concern).collect();
    let tried = samples_of(kind).len();
    let exit = if faults.is_empty() { Exit::Done } else { Exit::Invalid };
    let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.push(match faults.len() {
        0 => format!("{tried} samples rendered, nothing wrong."),
        1 => format!("{tried} samples tried, 1 fault."),
        many => format!("{tried} samples tried, {many} faults."),
    });
    out.verdict(exit, lines.join("\n"), &json!({ "samples": tried, "faults": faults }))?;
    Ok(exit)
}

fn samples_of(kind: Option<&str>) -> Vec<Notice> {
    let all = Notice::samples().into_iter();
    all.filter(|sample| kind.is_none_or(|kind| sample.kind.word() == kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::super::Format;
    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn run(command: TemplateCommand) -> (Result<Exit, Failure>, String) {
        let paper = Paper::default();
        let mut out = Out::to(Box::new(paper.clone()), Box::new(Paper::default()), Format::Text, 0);
        let args = TemplateArgs {
            templates: None,
            command,
        };
        let ended = args.run(&mut out);
        let written = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (ended, written)
    }

    #[test]
    fn every_template_is_listed_shown_and_tried() {
        let (ended, listed) = run(TemplateCommand::List);
        assert_eq!(ended.unwrap(), Exit::Done);
        for kind in render::kinds() {
            assert!(listed.contains(kind), "{listed}");
        }
        let (_, shown) = run(TemplateCommand::Show {
            name: "rolled-back/text.hbs".to_owned(),
        });
        assert!(shown.starts_with("ROLLED BACK {{about.rollout}}"), "{shown}");
        for all in [false, true] {
            let (ended, tried) = run(TemplateCommand::Test { name: None, all });
            assert_eq!(ended.unwrap(), Exit::Done);
            assert!(tried.ends_with("nothing wrong.\n"), "{tried}");
            let every = Notice::samples().len();
            assert!(tried.starts_with(&format!("{every} samples")), "{tried}");
        }
    }

    #[test]
    fn a_kind_that_does_not_exist_is_wrong_usage_and_names_those_that_do() {
        let (ended, _) = run(TemplateCommand::Preview {
            name: "roled-back".to_owned(),
        });
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().contains("rolled-back"));
        let (ended, _) = run(TemplateCommand::Show {
            name: "rolled-back/fax".to_owned(),
        });
        assert!(ended.unwrap_err().hint.unwrap().contains("email"));
    }

    #[test]
    fn a_fault_is_a_verdict_with_its_place() {
        let paper = Paper::default();
        let mut out = Out::to(Box::new(paper.clone()), Box::new(Paper::default()), Format::Json, 0);
        let fault = TemplateFault {
            template: "held/text.hbs".to_owned(),
            line: Some(3),
            column: Some(7),
            what: "there is no `x`".to_owned(),
        };
        let ended = test(Err(vec![fault]), Some("held"), &mut out).unwrap();
        assert_eq!(ended, Exit::Invalid);
        let written = paper.0.lock().unwrap().clone();
        let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written["exit"], 3);
        assert_eq!(written["result"]["faults"][0]["line"], 3);
    }
}
