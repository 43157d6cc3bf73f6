//! A flag wins over the environment, that over the file, that over the defaults.

use tidegate::config::{Budget, Config, LogFormat, MailTls};
use tidegate_rollout::Period;

use super::written::Written;

#[test]
fn the_defaults_are_those_of_the_example_file() {
    let config = Config::defaults().unwrap();
    assert_eq!(config.web.listen_address.to_string(), "127.0.0.1:9797");
    assert_eq!(config.alerts.watchdog_fresh, Period::seconds(90));
    assert_eq!(config.environments.budget.automatic_rollbacks, 3);
    assert_eq!(config.limits.body, 8 << 20);
    assert!(config.receivers.doors.is_empty());
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn the_nearer_one_wins() {
    let file = Written::new("log: { level: warn, format: json }\nweb: { listen_address: ':1' }");
    assert_eq!(file.load().unwrap().log.level.as_str(), "warn");
    let env = file
        .env("TIDEGATE_LOG__LEVEL", "debug")
        .env("TIDEGATE_WEB__LISTEN_ADDRESS", ":2");
    assert_eq!(env.load().unwrap().log.level.as_str(), "debug");
    let flag = env.flag("log.level", "error");
    let config = flag.load().unwrap();
    assert_eq!(config.log.level.as_str(), "error");
    assert_eq!(config.web.listen_address.to_string(), ":2");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.limits.requests_in_flight, 1024);
}

#[test]
fn a_list_and_a_named_table_come_from_the_environment_too() {
    let written = Written::new("receivers: { alertmanager: { default: { labels: { team: web } } } }")
        .env("TIDEGATE_PLANS", "plans/a.yaml, plans/b.yaml")
        .env("TIDEGATE_RECEIVERS__ALERTMANAGER__DEFAULT__BEARER", "a-token")
        .env("TIDEGATE_LIMITS__REQUESTS_IN_FLIGHT", "64");
    let config = written.load().unwrap();
    assert_eq!(config.plans.patterns, ["plans/a.yaml", "plans/b.yaml"]);
    assert_eq!(config.limits.requests_in_flight, 64);
    let receivers: Vec<_> = config
        .receivers
        .doors
        .iter()
        .map(|(name, it)| (name, it.authenticator()))
        .collect();
    assert_eq!(receivers, [("default", "Bearer".to_owned())]);
}

#[test]
fn a_section_with_nothing_in_it_takes_no_default_away() {
    let config = Written::new("web:\n  # listen_address: :80\nlimits:\nlog:\n")
        .load()
        .unwrap();
    assert_eq!(config.web.listen_address.port, 9797);
    assert_eq!(config.limits.requests_in_flight, 1024);
}

#[test]
fn a_variable_that_names_no_setting_is_told_and_does_no_harm() {
    let written = Written::new("")
        .env("TIDEGATE_PORT", "tcp://10.0.0.1:9797")
        .env("TIDEGATE_LOG_LEVEL", "debug")
        .env("TIDEGATE_WEB__LISTEN_ADRESS", ":1")
        .env("TIDEGATE_SERVER", "http://gate.example")
        .env("TIDEGATE_TOKEN", "tg_x");
    let mut warnings = written.load().unwrap().warnings;
    warnings.sort();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    TIDEGATE_LOG_LEVEL names no setting; did you mean TIDEGATE_LOG__LEVEL?
    TIDEGATE_PORT names no setting
    TIDEGATE_WEB__LISTEN_ADRESS names no setting; did you mean TIDEGATE_WEB__LISTEN_ADDRESS?
    ");
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let written = Written::new("plans: [plans/*.yaml]\nweb: { metrics_token_file: metrics }");
    written.scratch.write("metrics", "a-token\n").unwrap();
    let config = written.load().unwrap();
    assert_eq!(config.plans.directory, written.scratch.path());
    assert!(config.web.metrics_token.is_some());
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let written = Written::new(EVERYTHING);
    for name in ["secret", "secret2"] {
        written.scratch.write(name, name).unwrap();
    }
    written
        .scratch
        .write("address", "https://hooks.example/services/T0/B0\n")
        .unwrap();
    written.scratch.write("bot", "xoxb-1\n").unwrap();
    written
        .scratch
        .write("key", "R0123456789abcdef0123456789ABCDE\n")
        .unwrap();
    std::fs::create_dir(written.scratch.path().join("hooks")).unwrap();
    let config = written.load().unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
    let receivers: Vec<_> = config
        .receivers
        .doors
        .iter()
        .map(|(name, it)| format!("{name}: {}", it.authenticator()))
        .collect();
    assert_eq!(
        receivers,
        [
            "default: Bearer or Basic",
            "second: Bearer",
            "default: signature",
            "default: Bearer and signature"
        ]
    );
    assert_eq!(config.receivers.alertmanagers[0].peers.len(), 2);
    let hosts: Vec<_> = config.allowed_hosts().iter().map(ToString::to_string).collect();
    let expected = [
        "prometheus.example:9090",
        "127.0.0.1",
        "am-0:9093",
        "am-1:9093",
        "bridge.example:443",
        "hooks.example:443",
        "events.eu.pagerduty.com:443",
        "slack-gov.com:443",
        "hooks.slack-gov.com:443",
        "discord.example:443",
    ];
    assert_eq!(hosts, expected);
    let budget = |automatic_rollbacks, minutes| Budget {
        automatic_rollbacks,
        window: Period::minutes(minutes),
    };
    let own = &config.environments.budgets;
    assert_eq!(own["staging"], budget(20, 60), "the window is that of everybody");
    assert_eq!(own["Canary-2"], budget(1, 5));
    assert_eq!(config.channels.len(), 6);
    assert_eq!(config.channels["pager"].fallback.as_deref(), Some("releases"));
    let email = config.email.as_ref().unwrap();
    assert_eq!(
        (email.host.as_str(), email.port, email.tls),
        ("smtp.example", 465, MailTls::Tls)
    );
    let slack = config.slack.as_ref().unwrap();
    assert_eq!((slack.command.as_str(), slack.app.workspaces.len()), ("/tide", 2));
    assert_eq!(slack.api_url.as_str(), "https://slack-gov.com/api/");
    let discord = config.discord.as_ref().unwrap();
    assert_eq!((discord.command.as_str(), discord.app.guilds.len()), ("tide", 1));
    assert_eq!(discord.api_url.as_str(), "https://discord.example/api/v10/");
    assert_eq!(
        config
            .people
            .in_discord("80351110224678912")
            .map(|person| person.id.as_str()),
        Some("ana")
    );
    assert_eq!(config.people.iter().count(), 2);
}

const EVERYTHING: &str = r#"
web:
  listen_address: "[::1]:9797"
  control_address: localhost:9798
  external_url: https://gate.example/x/
  route_prefix: /gate/
  enable_lifecycle: true
  metrics_token_file: secret
  session: 1d
storage: { path: data, postgres_url_file: secret, pool: 4, keep: 30d }
log: { level: "info,tidegate::http=debug", format: json }
people:
  - { id: ana, name: Ana Lopez, email: ana@example.com, slack: U1, discord: "80351110224678912", pagerduty: P1, roles: [operator, oncall] }
  - { id: li.wei, roles: [incident-commander] }
plans: [plans/*.yaml, more/checkout.yaml]
receivers:
  alertmanager:
    default:
      bearer_file: secret
      bearer_before_file: secret2
      basic: { user: am, password_file: secret }
      labels: { environment: production, tier: 1 }
      peers: [http://am-0:9093, http://am-1:9093/prefix]
      peers_login: { basic: { user: tg, password_file: secret } }
    second: { bearer_file: secret }
  pagerduty:
    default: { secret_file: secret, secret_before_file: secret2, labels: { environment: production } }
  grafana:
    default: { bearer_file: secret, secret_file: secret2 }
alerts: { watchdog_fresh: 60s, poll_every: 2s, poll_timeout: 1s }
environments:
  budget: { automatic_rollbacks: 1, window: 1h }
  budgets: { staging: { automatic_rollbacks: 20 }, Canary-2: { window: 5m } }
channels:
  bridge: { webhook: { url: https://bridge.example/x, secret_file: secret } }
  hidden: { webhook: { url_file: address, secret_file: secret } }
  releases: { slack: { channel: C012AB3CD } }
  talk: { discord: { channel: "645027906669510667" } }
  stakeholders: { email: { to: [Release news <news@example.com>, ana@example.com] } }
  pager: { pagerduty: { routing_key_file: key, events_url: "https://events.eu.pagerduty.com" }, fallback: releases }
email: { server: "smtp.example:465", tls: tls, user: tidegate, password_file: secret, from: Tidegate <tidegate@example.com> }
discord:
  public_key: 8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c
  application: "771825006014889999"
  guilds: ["290926798626357999"]
  token_file: secret
  command: tide
  api_url: https://discord.example/api/v10
slack:
  signing_secret_file: secret
  signing_secret_before_file: secret2
  workspaces: [T012AB3CD, E012AB3CD]
  app: A012AB3CD
  token_file: bot
  command: /tide
  api_url: https://slack-gov.com/api
  hooks_url: https://hooks.slack-gov.com
egress: { allow: ["prometheus.example:9090", 127.0.0.1] }
hooks: { directory: hooks }
templates: { directory: hooks }
limits:
  body: 1MiB
  bodies_in_flight: 16MiB
  requests_in_flight: 8
  header_timeout: 1s
  body_timeout: 1s
  shutdown_timeout: 1s
"#;

#[test]
fn every_key_of_the_example_says_what_it_is_for() {
    let lines: Vec<&str> = tidegate::config::EXAMPLE.lines().collect();
    let mut silent = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let bare = line.trim_start().trim_start_matches("# ").trim_start_matches("- ");
        let key = bare.split_once(':').map_or("", |(key, _)| key);
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_section = bare.ends_with(':') || bare.ends_with(": {}") || bare.ends_with(": []");
        let in_an_example = line.trim_start().starts_with("# ") && !line.contains("_address") && !line.contains("_url");
        if !is_key || is_section || in_an_example {
            continue;
        }
        let before = lines[..n].iter().rev().find(|line| !line.trim().is_empty()).unwrap();
        if !before.trim_start().starts_with('#') && !["automatic_rollbacks", "window"].contains(&key) {
            silent.push(format!("{}: {key}", n + 1));
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}
