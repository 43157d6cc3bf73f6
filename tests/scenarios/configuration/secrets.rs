//! A secret never shows: planted everywhere, looked for everywhere.

use super::written::Written;

const CANARY: &str = "c4n4ry-c4n4ry";

fn assert_silent(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} shows a secret: {text}");
}

#[test]
fn a_configuration_full_of_secrets_shows_none() {
    let written = Written::new(
        "receivers:\n  alertmanager: { default: { peers: [http://am:9093], bearer_file: f, \
         peers_login: { bearer_file: f }, basic: { user: u, password_file: f } } }\n  \
         pagerduty: { default: { secret_file: f } }\n  grafana: { default: { secret_file: f } }\n\
         channels: { a: { webhook: { url_file: u, secret_file: f } } }\n",
    )
    .env("TIDEGATE_WEB__METRICS_TOKEN", CANARY)
    .env("TIDEGATE_STORAGE__POSTGRES_URL", &format!("postgres://u:{CANARY}@db/x"));
    written.scratch.write("f", CANARY).unwrap();
    written
        .scratch
        .write("u", format!("https://hooks.example/{CANARY}"))
        .unwrap();
    let sources = format!("{:?} {:#?}", written.sources, written.sources);
    assert!(sources.contains("TIDEGATE_STORAGE__POSTGRES_URL"), "{sources}");
    assert_silent("where it comes from", &sources);
    let config = written.load().unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("hooks.example"), "{shown}");
    assert_silent("Debug", &shown);
}

#[test]
fn nothing_is_no_secret() {
    for blank in ["", " ", "\n"] {
        let written = Written::new(
            "receivers: { pagerduty: { default: {} } }\nchannels: { a: { webhook: { url: 'http://x' } } }\n",
        )
        .env("TIDEGATE_WEB__METRICS_TOKEN", blank)
        .env("TIDEGATE_RECEIVERS__PAGERDUTY__DEFAULT__SECRET", blank)
        .env("TIDEGATE_CHANNELS__A__WEBHOOK__SECRET", blank);
        let faults = written.faults();
        for variable in [
            "TIDEGATE_WEB__METRICS_TOKEN",
            "TIDEGATE_RECEIVERS__PAGERDUTY__DEFAULT__SECRET",
            "TIDEGATE_CHANNELS__A__WEBHOOK__SECRET",
        ] {
            assert!(
                faults.contains(&format!(
                    "is empty: a secret that everybody knows is none; unset the variable, or fill it [{variable}]"
                )),
                "{blank:?}: {faults}"
            );
        }
    }
}

#[test]
fn a_fault_beside_a_secret_does_not_show_it() {
    let written = Written::new(&format!(
        "web: {{ metrics_token: {CANARY}, external_url: 'http://u:{CANARY}@x' }}\n\
         receivers: {{ alertmanager: {{ default: {{ bearer: {CANARY}, bearr: {CANARY}, peers: ['http://u:{CANARY}@am'] }}, \
         b: {CANARY} }} }}\nchannels: {{ a: {{ webhook: {{ secret: {CANARY}, url: 'x://{CANARY}' }} }}, b: {CANARY} }}\n\
         hooks: {{ directory: x }}\n"
    ))
    .env("TIDEGATE_WEB__METRICS_TOKN", CANARY)
    .env("TIDEGATE_RECEIVERS__PAGERDUTY", CANARY)
    .env("TIDEGATE_RECEIVERS__GRAFANA__DEFAULT__SECRET", &format!(" {CANARY} "));
    let faults = written.load().unwrap_err();
    let shown = format!("{faults} {faults:?} {}", faults.warnings.join(" "));
    assert!(faults.all.len() > 6, "{shown}");
    assert_silent("a fault", &shown);
}

#[test]
fn a_syntax_error_does_not_show_the_line() {
    for text in [
        format!("web: {{ metrics_token: {CANARY}"),
        format!("a: b: {CANARY}"),
        format!("metrics_token: \"{CANARY}\\q\""),
        format!("metrics_token: *{CANARY}"),
        format!("{CANARY}: 1\n{CANARY}: 2"),
        format!("metrics_token: !!int {CANARY}"),
    ] {
        let faults = Written::new(&text).faults();
        // An alias, a key or a tag is no place for a secret; a value is.
        if !text.contains(&format!("*{CANARY}")) && !text.starts_with(CANARY) {
            assert_silent("a syntax error", &faults);
        }
    }
}
