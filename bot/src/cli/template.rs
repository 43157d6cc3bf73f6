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
    /// Lists every kind of notice, how loud it is, which files word it, and which of them are overridden; then what templates share.
    List,
    /// Prints the template that is used.
    Show {
        /// The kind, such as `rolled-back`, and the form if it is not the text: `rolled-back/email`. Or what templates share:
        /// `email/frame`, `_partials/phase`.
        name: String,
    },
    /// Renders samples, hostile ones among them; fails on the first unknown variable.
    Test {
        /// The kind, such as `rolled-back`, or what templates share; everything without it.
        name: Option<String>,
        /// Every kind, as without a name.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Prints the samples of a kind as people would read them.
    Preview {
        /// The kind, such as `rolled-back`, and the form if it is not the text: `rolled-back/email`. `email/frame` is shown
        /// around a report, a shared piece as it reads in one.
        name: String,
        /// Mails as HTML, to be looked at in a browser.
        #[arg(long)]
        html: bool,
    },
}

impl TemplateArgs {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let overrides = self.templates.as_deref();
        let renderer = || Renderer::new(overrides).map_err(|faults| invalid(&faults));
        match self.command {
            TemplateCommand::List => list(&renderer()?, out),
            TemplateCommand::Show { name } => {
                let renderer = renderer()?;
                show(&renderer, &known(&renderer, &name)?, out)
            }
            TemplateCommand::Test { name, .. } => test(Renderer::new(overrides), name.as_deref(), out),
            TemplateCommand::Preview { name, html } => {
                let renderer = renderer()?;
                preview(&renderer, &known(&renderer, &name)?, html, out)
            }
        }
    }
}

/// What a name can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// A kind of notice in a form.
    Words(String, Form),
    /// A file that words no notice by itself.
    Shared(String),
}

/// What `rolled-back`, `rolled-back/email`, `rolled-back/email.hbs` or `email/frame` mean.
fn known(renderer: &Renderer, name: &str) -> Result<Named, Failure> {
    let plain = name.strip_suffix(".hbs").unwrap_or(name);
    let shared = renderer.shared();
    if let Some(file) = shared.iter().find(|file| file.strip_suffix(".hbs") == Some(plain)) {
        return Ok(Named::Shared(file.clone()));
    }
    let (kind, word) = plain.split_once('/').unwrap_or((plain, Form::Text.word()));
    if !render::kinds().contains(&kind) {
        let kinds = render::kinds().join(", ");
        let what = format!("there is no kind of notice called `{kind}`");
        let hint = format!("There are: {kinds}; and what they share: {}.", shared.join(", "));
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    }
    let form = Form::ALL.into_iter().find(|form| form.word() == word);
    let forms = Form::ALL.map(Form::word).join(", ");
    let unknown = || Failure::new(Exit::Usage, format!("notices have no form called `{word}`"));
    form.map(|form| Named::Words(kind.to_owned(), form))
        .ok_or_else(|| unknown().hint(format!("There are: {forms}.")))
}

fn invalid(faults: &[TemplateFault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Failure::new(Exit::Invalid, lines.join("\n"))
        .hint("`tidegate template show <kind>` prints a template that works; a server that runs keeps what it has, one that starts refuses these.")
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
        let own = |form: Form| renderer.own_source(kind, form).map(|(_, custom)| (form.word(), custom));
        let own: Vec<(&str, bool)> = Form::ALL.into_iter().filter_map(own).collect();
        let files: Vec<&str> = own.iter().map(|(form, _)| *form).collect();
        let custom: Vec<&str> = own
            .iter()
            .filter(|(_, custom)| *custom)
            .map(|(form, _)| *form)
            .collect();
        lines.push(format!(
            "{kind:<21} {:<10} {}{}",
            loudness.as_str().unwrap_or_default(),
            files.join(", "),
            overridden(&custom),
        ));
        rows.push(json!({
            "name": kind, "loudness": loudness, "files": files, "overridden": !custom.is_empty(), "forms": custom,
        }));
    }
    let mut shared = Vec::new();
    for file in renderer.shared() {
        let custom = renderer.source_of(&file).is_some_and(|(_, custom)| custom);
        let name = file.strip_suffix(".hbs").unwrap_or(&file);
        let over = if custom { "     overridden" } else { "" };
        lines.push(format!("{name:<21} shared{over}"));
        shared.push(json!({ "name": name, "overridden": custom }));
    }
    out.result(lines.join("\n"), &json!({ "templates": rows, "shared": shared }))?;
    Ok(Exit::Done)
}

fn overridden(forms: &[&str]) -> String {
    match forms {
        [] => String::new(),
        forms => format!("; overridden: {}", forms.join(", ")),
    }
}

fn show(renderer: &Renderer, named: &Named, out: &mut Out) -> Result<Exit, Failure> {
    let (source, value) = match named {
        Named::Words(kind, form) => {
            let (source, custom) = renderer.source(kind, *form).unwrap_or_default();
            let value = json!({ "name": kind, "form": form.word(), "overridden": custom, "source": source });
            (source, value)
        }
        Named::Shared(file) => {
            let (source, custom) = renderer.source_of(file).unwrap_or_default();
            let value = json!({ "name": file.strip_suffix(".hbs"), "overridden": custom, "source": source });
            (source, value)
        }
    };
    out.result(source.trim_end(), &value)?;
    Ok(Exit::Done)
}

/// The kind that shows what templates share: it has all that a mail can have.
const SHOWN: &str = "report";

fn preview(renderer: &Renderer, named: &Named, html: bool, out: &mut Out) -> Result<Exit, Failure> {
    let frame = matches!(named, Named::Shared(file) if file.starts_with("email/"));
    let mail = frame || matches!(named, Named::Words(_, Form::Email));
    if html && !mail {
        let failure = Failure::new(Exit::Usage, "only mails are HTML");
        return Err(failure.hint("Such as: `tidegate template preview rolled-back/email --html`."));
    }
    let kind = match named {
        Named::Words(kind, _) => kind,
        Named::Shared(_) => SHOWN,
    };
    let mut texts = Vec::new();
    for sample in samples_of(Some(kind)) {
        let text = match named {
            Named::Words(_, Form::Email) if html => renderer.letter(&sample, None).map(|letter| letter.html),
            Named::Words(_, form) => renderer.strictly(&sample, *form),
            Named::Shared(_) if frame => renderer.letter(&sample, None).map(|letter| letter.html),
            Named::Shared(file) => renderer.piece(file, &sample),
        };
        texts.push(text.map_err(|fault| invalid(&[fault]))?);
    }
    let value = match named {
        Named::Words(kind, form) => json!({ "name": kind, "form": form.word(), "texts": texts }),
        Named::Shared(file) => json!({ "name": file.strip_suffix(".hbs"), "texts": texts }),
    };
    out.result(texts.join("\n\n"), &value)?;
    Ok(Exit::Done)
}

/// Refuses a name that means nothing. Where templates are broken, the built-in ones know the names, and faults their own.
fn exists(name: &str, renderer: &Result<Renderer, Vec<TemplateFault>>) -> Result<(), Failure> {
    match renderer {
        Ok(renderer) => known(renderer, name).map(drop),
        Err(faults) if faults.iter().any(|fault| fault.template.starts_with(name)) => Ok(()),
        Err(_) => {
            let builtin = Renderer::new(None).map_err(|faults| invalid(&faults))?;
            known(&builtin, name).map(drop)
        }
    }
}

fn test(renderer: Result<Renderer, Vec<TemplateFault>>, name: Option<&str>, out: &mut Out) -> Result<Exit, Failure> {
    name.map_or(Ok(()), |name| exists(name, &renderer))?;
    // A kind, whichever of its forms was named; or a file that kinds share. What is shared concerns every kind.
    let kind = name.and_then(|name| name.split('/').next());
    let kind = kind.filter(|kind| render::kinds().contains(kind));
    let concern = |fault: &&TemplateFault| match (kind, name) {
        (Some(kind), _) => {
            let shared = ["_partials/", "email/"]
                .iter()
                .any(|folder| fault.template.starts_with(folder));
            shared || fault.template.starts_with(&format!("{kind}/"))
        }
        (None, Some(name)) => fault.template.starts_with(name),
        (None, None) => true,
    };
    let faults = renderer.err().unwrap_or_default();
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
        run_with(None, command)
    }

    fn run_with(templates: Option<PathBuf>, command: TemplateCommand) -> (Result<Exit, Failure>, String) {
        let paper = Paper::default();
        let mut out = Out::to(Box::new(paper.clone()), Box::new(Paper::default()), Format::Text, 0);
        let args = TemplateArgs { templates, command };
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
            html: false,
        });
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().contains("rolled-back"));
        let (ended, _) = run(TemplateCommand::Show {
            name: "rolled-back/fax".to_owned(),
        });
        assert!(ended.unwrap_err().hint.unwrap().contains("email"));
    }

    fn preview_of(name: &str, html: bool) -> (Result<Exit, Failure>, String) {
        let name = name.to_owned();
        run(TemplateCommand::Preview { name, html })
    }

    #[test]
    fn what_templates_share_is_listed_shown_tried_and_previewed() {
        let (_, listed) = run(TemplateCommand::List);
        for name in ["email/frame", "_partials/phase", "_partials/subject"] {
            assert!(listed.contains(name), "{listed}");
            let name = name.to_owned();
            let (ended, tried) = run(TemplateCommand::Test {
                name: Some(name),
                all: false,
            });
            assert_eq!(
                (ended.unwrap(), tried.ends_with("nothing wrong.\n")),
                (Exit::Done, true),
                "{tried}"
            );
        }
        let show = |name: &str| run(TemplateCommand::Show { name: name.to_owned() }).1;
        assert!(show("email/frame").starts_with("<!doctype html>"));
        assert!(show("_partials/phase.hbs").contains("{{about.number}}"));
        assert!(preview_of("_partials/phase", false).1.starts_with("phase 2 of 4"));
        let (_, html) = preview_of("email/frame", false);
        assert!(
            html.starts_with("<!doctype html>") && html.contains("Checkout 2.3 to production"),
            "{html}"
        );
        let (_, html) = preview_of("rolled-back/email", true);
        assert!(
            html.starts_with("<!doctype html>") && html.contains("&lt;!channel&gt;"),
            "{html}"
        );
        assert_eq!(preview_of("rolled-back", true).0.unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_frame_of_ones_own_is_listed_tried_and_shown() {
        let root = tempfile::tempdir().unwrap();
        let frame = root.path().join("email/frame.hbs");
        std::fs::create_dir(root.path().join("email")).unwrap();
        let with = |command| run_with(Some(root.path().to_owned()), command);
        std::fs::write(&frame, "<h1>{{headline}}</h1>").unwrap();
        let (_, listed) = with(TemplateCommand::List);
        let line = listed.lines().find(|line| line.starts_with("email/frame")).unwrap();
        assert!(line.ends_with("overridden"), "{listed}");
        let name = || "email/frame".to_owned();
        assert_eq!(
            with(TemplateCommand::Show { name: name() }).1,
            "<h1>{{headline}}</h1>\n"
        );
        std::fs::write(&frame, "<h1>\n{{hedline}}</h1>").unwrap();
        for name in [None, Some(name()), Some("rolled-back".to_owned())] {
            let (ended, tried) = with(TemplateCommand::Test { name, all: false });
            assert_eq!(ended.unwrap(), Exit::Invalid);
            assert!(tried.starts_with("email/frame.hbs:2:"), "{tried}");
            assert!(tried.contains("`hedline`") && tried.contains("headline"), "{tried}");
        }
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
