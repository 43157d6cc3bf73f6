//! Whatever is wrong is said, with its path, all of it at once.

use proptest::prelude::*;
use tidegate::config::EXAMPLE;

use super::written::Written;

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let written = Written::new(WRONG)
        .env("TIDEGATE_ALERTS__POLL_TIMEOUT", "soon")
        .flag("web.session", "never");
    written.scratch.write("empty", "").unwrap();
    insta::assert_snapshot!(written.faults());
}

const WRONG: &str = r#"
web:
  listen_adress: :9797
  listen_address: 9797
  route_prefix: gate
  external_url: gate.example
  enable_lifecycle: perhaps
  metrics_token: in-the-file
storage: { pool: 1, keep: 5m }
log: { level: loud, format: xml }
people:
  - { id: Ana, roles: [boss] }
  - { name: nobody }
  - { id: admin }
  - { id: li, email: li@example.com, discord: li#1234, roles: [flags] }
  - { id: lo, email: LI@example.com }
  - { id: lo, slack: lo }
plans: { all: true }
receivers:
  alertmanager:
    default: {}
    "a b": { bearer_file: empty }
    two: { basic: { user: "a:b" } }
    three: { bearer_file: missing, peers: [am:9093, "http://u:p@am"], peers_login: {} }
  slack: {}
alerts: { poll_every: 10m }
environments: { budget: { automatic_rollbacks: -1 } }
channels:
  log: { webhook: { url: "http://x", secret_file: missing } }
  none: {}
  both: { webhook: { url: "ftp://x", url_file: missing } }
  two: { webhook: { url: "http://x", secret_file: empty }, slack: { channel: releases } }
  nowhere: { slack: {} }
  talk: { discord: { channel: releases } }
  mail: { email: { to: [nobody] }, fallback: mail }
  page: { pagerduty: {}, fallback: nowhere-else }
email: { user: tidegate, tls: ssl }
slack: { workspaces: [acme], app: tidegate, token: in-the-file, command: rollout, api_url: "slack.com" }
discord: { public_key: abc, application: tidegate, guilds: [acme], token: in-the-file, command: /rollout, api_url: "discord.com" }
egress: { allow: ["*.example", "http://x"] }
hooks: { directory: missing }
limits: { body: 1, bodies_in_flight: 1MiB, requests_in_flight: 1, header_timeout: 1ms }
plan: []
"#;

#[test]
fn a_file_that_is_no_table_says_where() {
    for (text, expected) in [
        (
            "a: b: c",
            "tidegate.yml: mapping values are not allowed in this context at line 1, column 5",
        ),
        (
            "- a\n- b",
            "tidegate.yml: the file must be a table of `key: value` lines",
        ),
        ("web: {", "line 1"),
        ("web:\n\tlog: x", "line 2"),
        ("log: { level: info }\nlog: { level: warn }", "line 2"),
        ("\0", "tidegate.yml"),
    ] {
        let faults = Written::new(text).faults();
        assert!(faults.contains(expected), "{text:?}: {faults}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut written = Written::new("");
    written.sources.file = Some("/nowhere/tidegate.yml".into());
    assert_eq!(
        written.faults().split(": ").next(),
        Some("cannot read /nowhere/tidegate.yml")
    );
}

#[test]
fn a_huge_file_is_refused_quickly() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    assert!(Written::new(bomb).load().is_err());
    assert!(Written::new(&"[".repeat(100_000)).load().is_err());
}

#[test]
fn values_that_switch_a_guard_off_are_refused() {
    for (text, path) in [
        ("environments: { budget: { window: 0s } }", "environments.budget.window"),
        (
            "environments: { budget: { window: 30d } }",
            "environments.budget.window",
        ),
        (
            "environments: { budget: { automatic_rollbacks: 0 } }",
            "environments.budget.automatic_rollbacks",
        ),
        (
            "environments: { budgets: { staging: { window: 1s } } }",
            "environments.budgets.staging.window",
        ),
        (
            "environments: { budgets: { staging: { automatic_rollbacks: 0 } } }",
            "environments.budgets.staging.automatic_rollbacks",
        ),
        ("alerts: { watchdog_fresh: 365d }", "alerts.watchdog_fresh"),
        ("alerts: { watchdog_fresh: 1ms }", "alerts.watchdog_fresh"),
        ("web: { session: 0s }", "web.session"),
        ("web: { session: 365d }", "web.session"),
        ("limits: { header_timeout: 1d }", "limits.header_timeout"),
        ("limits: { body_timeout: 1d }", "limits.body_timeout"),
        ("limits: { shutdown_timeout: 1d }", "limits.shutdown_timeout"),
        ("limits: { connections: 1 }", "limits.connections"),
    ] {
        let faults = Written::new(text).faults();
        assert!(
            faults.starts_with(&format!("{path}: must be ")) && faults.lines().count() == 1,
            "{text}: {faults}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// A broken file is refused in words, or it can be used as a whole; it never takes the server down.
    #[test]
    fn a_broken_file_breaks_nothing(cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut text = EXAMPLE.as_bytes().to_vec();
        for (at, byte) in cuts {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let written = Written::new("");
        written.scratch.write("tidegate.yml", &text).unwrap();
        if let Err(faults) = written.load() {
            prop_assert!(!faults.to_string().is_empty());
        }
    }
}
