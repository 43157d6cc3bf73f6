//! What the command line promises to people and scripts: streams, envelope, exit codes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

mod server;
mod storage;

/// A stream that keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .map_err(|_| io::ErrorKind::Other)?
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().expect("no panic while writing").clone()).expect("UTF-8");
        anstream::adapter::strip_str(&text).to_string()
    }
}

/// What a command line said: exit code, standard output, standard error.
fn call(line: &[&str]) -> (u8, String, String) {
    // As `main` does, for the commands that make an HTTP client; only the first time counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (stdout, stderr) = (Kept::default(), Kept::default());
    let args = std::iter::once("tidegate")
        .chain(line.iter().copied())
        .map(OsString::from)
        .collect();
    let exit = run(args, |format, _, verbosity| {
        Out::to(Box::new(stdout.clone()), Box::new(stderr.clone()), format, verbosity)
    });
    (exit.number(), stdout.text(), stderr.text())
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/checkout/plan.yaml");

/// A plan file with `from` replaced by `to` in the example; it goes away with what is returned.
fn changed(from: &str, to: &str) -> (tempfile::NamedTempFile, String) {
    let text = std::fs::read_to_string(EXAMPLE).expect("the example");
    assert!(text.contains(from), "the example has no {from:?}");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.replacen(from, to, 1).as_bytes()).expect("written");
    let name = file.path().display().to_string();
    (file, name)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_grammar_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_wanted_form_is_found_on_a_line_that_is_no_command() {
    let line = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
    let format = |text: &str| given::<Format>(&line(text), "-o", "--output");
    assert_eq!(format("tidegate nonsense -o json"), Some(Format::Json));
    assert_eq!(format("tidegate nonsense -oyaml"), Some(Format::Yaml));
    assert_eq!(format("tidegate nonsense --output=ndjson"), Some(Format::Ndjson));
    assert_eq!(format("tidegate nonsense -- -o json"), None);
    assert_eq!(format("tidegate nonsense -o"), None);
}

#[test]
fn a_verb_at_the_top_is_shown_its_place() {
    for verb in ["rollback", "status", "watch", "unfreeze"] {
        let (exit, _, stderr) = call(&["-q", verb, "checkout-17"]);
        assert_eq!(exit, 2, "{stderr}");
        assert!(
            stderr.contains(&format!("did you mean `tidegate rollout {verb}`?")),
            "{stderr}"
        );
    }
    let (exit, stdout, _) = call(&["-o", "json", "rollback"]);
    assert_eq!(exit, 2);
    assert_eq!(json(&stdout)["hint"], "Did you mean `tidegate rollout rollback`?");
    // Anywhere else, and for words that are no verb, nobody is sent there.
    for line in [&["plan", "rollback"][..], &["nonsense"]] {
        let (_, _, stderr) = call(line);
        assert!(!stderr.contains("tidegate rollout"), "{stderr}");
    }
}

#[test]
fn a_manifest_needs_no_secret_and_no_address_that_slack_would_refuse() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = "web: { external_url: 'https://gate.example/x' }\nslack: { command: /gate, token_file: /no/such/token }\n\
                receivers: { alertmanager: { default: { bearer_file: /no/such/secret } } }\n";
    file.write_all(text.as_bytes()).expect("written");
    let name = format!("--config.file={}", file.path().display());
    let (exit, stdout, stderr) = call(&["slack", "manifest", &name, "-o", "json"]);
    assert_eq!(exit, 0, "{stdout}{stderr}");
    let command = &json(&stdout)["result"]["features"]["slash_commands"][0];
    assert_eq!(command["command"], "/gate");
    assert_eq!(command["url"], "https://gate.example/x/slack/commands");
    let (exit, stdout, stderr) = call(&["slack", "manifest", &name, "--url", "http://gate.example"]);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains("https://"), "{stderr}");
    // What it does read must be right.
    file.write_all(b"web: 7\n").expect("written");
    let (exit, _, _) = call(&["slack", "manifest", &name]);
    assert_eq!(exit, 3);
}

#[test]
fn every_exit_code_is_said_in_the_help_and_is_used_once() {
    let (exit, help, _) = call(&["--help"]);
    assert_eq!(exit, 0);
    for exit in Exit::ALL {
        let same = Exit::ALL.iter().filter(|other| other.number() == exit.number());
        assert_eq!(same.count(), 1, "{exit:?}");
        assert!(
            help.contains(&format!("{:>3}  {}", exit.number(), exit.meaning())),
            "{exit:?}"
        );
    }
}

#[test]
fn version_is_for_people_and_scripts() {
    let (exit, stdout, _) = call(&["version"]);
    assert_eq!(exit, 0);
    assert!(
        stdout.starts_with(&format!("tidegate {}\n", env!("CARGO_PKG_VERSION"))),
        "{stdout}"
    );
    let (_, stdout, _) = call(&["version", "-o", "json"]);
    let format = json(&stdout)["result"]["planFormat"].clone();
    let plan = std::fs::read_to_string(EXAMPLE).expect("the example");
    assert!(
        plan.contains(&format!("apiVersion: {}\n", format.as_str().expect("a text"))),
        "{format}"
    );
}

#[test]
fn wrong_usage_is_an_envelope_when_json_is_wanted_and_words_otherwise() {
    let (exit, stdout, stderr) = call(&["plan", "lnit", "x", "-o", "json"]);
    assert_eq!((exit, stderr.as_str()), (2, ""));
    let envelope = json(&stdout);
    assert_eq!(envelope["ok"], false);
    assert_eq!(envelope["code"], "C002");
    assert_eq!(envelope["exit"], 2);
    assert_eq!(envelope["message"], "unrecognized subcommand 'lnit'");

    let (exit, stdout, stderr) = call(&["plan", "lnit", "x"]);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("unrecognized subcommand") && stderr.contains("lint"),
        "{stderr}"
    );
}

/// As in chat, wherever it is said.
#[test]
fn a_misspelt_verb_is_refused_as_on_every_other_surface() {
    let (exit, stdout, _) = call(&["rollout", "advnce", "-o", "json"]);
    let envelope = json(&stdout);
    assert_eq!((exit, &envelope["code"]), (2, &"R101".into()));
    assert_eq!(envelope["message"], "I don't know `advnce`.");
    assert_eq!(envelope["hint"], "Did you mean `advance`? Nothing was done.");
    let (exit, stdout, stderr) = call(&["rollout", "advnce"]);
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("error[R101]: I don't know `advnce`."), "{stderr}");
    let (_, stdout, _) = call(&["rolout", "advance", "-o", "json"]);
    assert_eq!(json(&stdout)["code"], "C002", "that is no verb of a rollout");
}

#[test]
fn a_sound_plan_ends_well_in_every_form() {
    let (exit, stdout, stderr) = call(&["plan", "lint", EXAMPLE]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert!(stdout.ends_with("plan.yaml: nothing to say\n"), "{stdout}");

    let (exit, stdout, _) = call(&["plan", "lint", EXAMPLE, "-o", "json"]);
    let envelope = json(&stdout);
    assert_eq!(
        (exit, &envelope["ok"], &envelope["exit"]),
        (0, &Value::Bool(true), &Value::from(0))
    );
    assert_eq!(envelope["result"]["files"][0]["plan"], "checkout");

    let (_, yaml, _) = call(&["plan", "lint", EXAMPLE, "-o", "yaml"]);
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).expect("YAML"), envelope);
}

#[test]
fn a_broken_plan_ends_with_3_and_says_where() {
    let (_file, name) = changed("bake: 30m", "bkae: 30m");
    let (exit, stdout, _) = call(&["plan", "lint", &name]);
    assert_eq!(exit, 3);
    assert!(
        stdout.contains("P101") && stdout.contains("33 |") && stdout.contains("did you mean `bake`?"),
        "{stdout}"
    );

    let (exit, stdout, _) = call(&["plan", "lint", &name, "-o", "json"]);
    let envelope = json(&stdout);
    assert_eq!(
        (exit, &envelope["ok"], &envelope["exit"]),
        (3, &Value::Bool(false), &Value::from(3))
    );
    let finding = &envelope["result"]["files"][0]["findings"][0];
    assert_eq!(
        (&finding["code"], &finding["level"]),
        (&Value::from("P101"), &Value::from("error"))
    );
    assert_eq!(finding["path"], "spec.phases[0].bkae");
    assert_eq!(
        (&finding["place"]["line"], &finding["place"]["column"]),
        (&Value::from(33), &Value::from(7))
    );

    let (exit, stdout, _) = call(&["plan", "lint", EXAMPLE, &name, "-o", "ndjson"]);
    assert_eq!((exit, stdout.lines().count()), (3, 1));
    assert_eq!(json(&stdout)["file"], name);
}

#[test]
fn a_warning_stops_only_the_strict() {
    let (_file, name) = changed("watchdog: required", "watchdog: none");
    assert_eq!(call(&["plan", "lint", &name]).0, 0);
    assert_eq!(call(&["plan", "lint", &name, "--strict"]).0, 3);
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    assert_eq!(call(&["plan", "lint", "/no/such/file.yaml"]).0, 2);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"title: \xff").expect("written");
    let name = file.path().display().to_string();
    let (exit, stdout, stderr) = call(&["plan", "lint", &name]);
    assert_eq!((exit, stdout.as_str()), (3, ""));
    assert!(
        stderr.starts_with("error[C003]: ") && stderr.contains("not UTF-8 from byte 7 on"),
        "{stderr}"
    );
}

#[test]
fn show_gives_the_plan_with_its_defaults_and_refuses_a_broken_one() {
    let (_file, name) = changed("    watchdog: required ", "    #");
    let (exit, stdout, _) = call(&["plan", "show", &name, "-o", "json"]);
    assert_eq!(exit, 0);
    assert_eq!(json(&stdout)["result"]["spec"]["alerts"]["watchdog"], "required");

    let (_file, name) = changed("bake: 30m", "bake: 30");
    let (exit, stdout, stderr) = call(&["plan", "show", &name]);
    assert_eq!((exit, stdout.as_str()), (3, ""));
    assert!(
        stderr.contains("P108") && stderr.contains("tidegate plan lint"),
        "{stderr}"
    );
}

#[test]
fn explain_knows_every_code_and_suggests_one() {
    let (exit, stdout, _) = call(&["plan", "explain", "p101"]);
    assert_eq!(exit, 0);
    assert!(stdout.starts_with("P101 (error): unknown key\n"), "{stdout}");
    let (exit, stdout, _) = call(&["plan", "explain", "r102"]);
    assert_eq!(
        (exit, stdout.trim()),
        (0, "R102 (refusal): Several rollouts are meant.")
    );
    let (exit, _, stderr) = call(&["plan", "explain", "P1O1"]);
    assert_eq!(exit, 2);
    assert!(stderr.contains("Did you mean P101?"), "{stderr}");
    let (_, all, _) = call(&["plan", "explain"]);
    assert_eq!(all.lines().count(), tidegate_rollout::plan::codes::CODES.len());
}

#[test]
fn quiet_leaves_only_the_result() {
    let (_file, name) = changed("bake: 30m", "bake: 30");
    let (_, _, loud) = call(&["plan", "show", &name]);
    let (exit, stdout, quiet) = call(&["plan", "show", &name, "-q"]);
    assert!(loud.contains("-->") && !quiet.contains("-->"), "{quiet}");
    assert_eq!((exit, stdout.as_str()), (3, ""));
    assert!(quiet.starts_with("error[C003]: "), "{quiet}");
}

#[test]
fn dead_letters_are_asked_for_at_the_server_and_templates_are_tried_without_a_flag() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nobody = ["--server", "http://127.0.0.1:1", "-o", "json"];
    for line in [
        vec!["dead-letters", "list"],
        vec!["dead-letters", "retry", "checkout-1.1.0", "pager"],
    ] {
        let (exit, stdout, _) = call(&[&line[..], &nobody].concat());
        assert_eq!((exit, json(&stdout)["exit"].as_u64()), (8, Some(8)), "{stdout}");
    }
    assert_eq!(
        call(&["dead-letters", "retry", "checkout-1.1.0"]).0,
        2,
        "on which channel?"
    );
    let (exit, stdout, _) = call(&["template", "test"]);
    assert_eq!(exit, 0, "{stdout}");
}
