//! What the commands promise that speak to a server: to whoever asks for help, mistypes, or only rehearses.

use tidegate_rollout::command::USAGES;

use super::{call, json};

/// An address of this machine where nobody listens: whoever asks there ends with 8.
const NOBODY: [&str; 2] = ["--server", "http://127.0.0.1:9"];

#[test]
fn the_help_of_every_verb_is_said_here_and_asks_nobody() {
    let (exit, all, _) = call(&["rollout", "--help"]);
    assert_eq!(exit, 0);
    // The help of the chat is said by the server; here it is the parser's own.
    for usage in USAGES.iter().filter(|usage| usage.verb != "help") {
        assert!(all.contains(&format!("\n  {}", usage.verb)), "{}: {all}", usage.verb);
        let (exit, help, stderr) = call(&[&["rollout", usage.verb, "--help"][..], &NOBODY].concat());
        assert_eq!((exit, stderr.as_str()), (0, ""), "{}", usage.verb);
        let wanted = format!("tidegate rollout {}", usage.verb);
        assert!(help.contains(&wanted), "{help}");
        for alias in usage.aliases {
            let (exit, other, _) = call(&["rollout", alias, "--help"]);
            assert_eq!((exit, &other), (0, &help), "{alias}");
        }
    }
}

#[test]
fn nothing_that_looks_like_a_flag_becomes_a_reason() {
    for line in [
        &["rollback", "--hlep"][..],
        &["rollback", "checkout-1", "--force"],
        &["note", "written", "-x"],
        &["hold", "why", "--until=4h"],
        &["advance", "--dry-run=yes"],
        &["rollbakc"],
        &["stop"],
    ] {
        let (exit, stdout, _) = call(&[&["rollout"][..], line, &NOBODY].concat());
        assert_eq!((exit, stdout.as_str()), (2, ""), "{line:?}");
    }
    // Behind `--` it is meant so; whoever is to hear it is not there.
    let (exit, _, stderr) = call(&[&["rollout", "note"][..], &NOBODY, &["--", "--a title--"]].concat());
    assert_eq!(exit, 8, "{stderr}");
}

#[test]
fn the_global_flags_stand_anywhere() {
    let form = |line: &[&str]| {
        let (exit, stdout, _) = call(&[line, &NOBODY].concat());
        assert_eq!(exit, 8, "{line:?}: {stdout}");
        json(&stdout)["code"].clone()
    };
    assert_eq!(form(&["rollout", "status", "-o", "json"]), "C008");
    assert_eq!(form(&["-o", "json", "rollout", "status", "checkout-1"]), "C008");
    assert_eq!(
        form(&["rollout", "-o", "json", "rollback", "checkout-1", "errors"]),
        "C008"
    );

    let missing = ["--token-file", "/no/such/token"];
    for line in [
        [&["rollout"][..], &missing, &["note", "x"]].concat(),
        [&["rollout", "note", "x"][..], &missing].concat(),
        [&["token", "list"][..], &missing].concat(),
    ] {
        let (exit, _, stderr) = call(&line);
        assert_eq!(exit, 2, "{line:?}: {stderr}");
        assert!(stderr.contains("/no/such/token"), "{stderr}");
    }
}

#[test]
fn a_rehearsal_of_a_start_or_a_token_says_what_it_would_ask_for() {
    let start = [
        "rollout",
        "start",
        "checkout",
        "version:2.3.0",
        "--dry-run",
        "-o",
        "json",
    ];
    let (exit, stdout, _) = call(&[&start[..], &NOBODY].concat());
    assert_eq!(exit, 0, "{stdout}");
    let order = serde_json::json!({
        "verb": "start", "plan": "checkout", "inputs": { "version": "2.3.0" }, "surface": "cli",
    });
    assert_eq!(
        json(&stdout)["result"],
        serde_json::json!({ "dry_run": true, "order": order, "card": null })
    );
    let (exit, stdout, _) = call(&[&["token", "revoke", "3", "--dry-run"][..], &NOBODY].concat());
    assert_eq!(exit, 0);
    assert_eq!(
        stdout,
        "A rehearsal: nothing was done. It would have been asked to revoke token 3.\n"
    );
    let (_, stdout, _) = call(&[&["token", "revoke", "3", "--dry-run", "-o", "json"][..], &NOBODY].concat());
    assert_eq!(json(&stdout)["result"]["order"], serde_json::json!({ "revoke": 3 }));
    let (exit, stdout, _) = call(&[&start[..5], &NOBODY].concat());
    assert_eq!(exit, 0);
    assert_eq!(
        stdout,
        "A rehearsal: nothing was done. It would have been asked to start checkout version:2.3.0.\n"
    );
}
