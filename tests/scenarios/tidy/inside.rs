//! What never reaches outside: the core has no files, no network, no clock, no threads and nothing to wait for, and what decodes
//! webhooks has no files, no clock and no threads of its own.
//!
//! Owns what ARCHITECTURE.md says of `bot/rollout` and `webhooks` and the manifests do not: a package needs no dependency for
//! what is in the standard library.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{Text, assert_none, texts};

/// Nothing of this is reached in either.
static OUTSIDE: LazyLock<Regex> = LazyLock::new(|| {
    let rooms = "(?:fs|env|net|thread|process|io|os)";
    let clocks = r"\b(?:Instant|SystemTime)\b|\b(?:Timestamp|Zoned)::now\b";
    let pattern =
        format!(r"\bstd::{rooms}\b|\bstd::\{{(?:[^;]*[\s,{{])?{rooms}\s*(?:[,}}:]|as\b)|{clocks}|\be?print(?:ln)?!");
    Regex::new(&pattern).expect("it parses")
});

/// Nor is this reached in the core: it is asked and answers, and the same question gets the same answer.
static WAITING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\basync\s*(?:move\b|fn\b|\{)|\.await\b|\b(?:tokio|futures_util|getrandom|rand)::").expect("it parses")
});

fn findings(source: &Text) -> Vec<String> {
    let core = source.path.starts_with("bot/rollout/src");
    if !core && !source.path.starts_with("webhooks/src") {
        return Vec::new();
    }
    let code: Vec<&str> = source
        .code()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let outside = OUTSIDE.find_iter(&code);
    let waiting = WAITING.find_iter(if core { &code } else { "" });
    outside
        .chain(waiting)
        .map(|found| format!("{}: {}", source.path.display(), found.as_str()))
        .collect()
}

#[test]
fn the_core_and_the_decoders_reach_nothing_outside() {
    let sources = texts("rs");
    for package in ["bot/rollout/src", "webhooks/src"] {
        let read = sources.iter().filter(|source| source.path.starts_with(package));
        let read = read.count();
        assert!(read > 15, "only {read} files of {package} were read");
    }
    let findings: Vec<String> = sources.iter().flat_map(findings).collect();
    assert_none("time, surroundings and events are arguments", &findings);
}

#[test]
fn every_way_outside_is_seen() {
    let found = |path: &str, content: &str| {
        let path = Path::new(path).to_owned();
        let content = content.to_owned();
        !findings(&Text { path, content }).is_empty()
    };
    let (core, decoder) = ("bot/rollout/src/step.rs", "webhooks/src/decode.rs");
    let outside = [
        "use std::fs;",
        "use std::fs::File;",
        "let home = std::env::var(\"HOME\");",
        "use std::net::TcpStream;",
        "std::thread::spawn(|| ());",
        "use std::{fmt, fs};",
        "use std::{\n    collections::BTreeMap,\n    env,\n};",
        "use std::{thread, time::Duration};",
        "use std::{fmt, io::{self, Write}};",
        "use std::time::{Duration, Instant};",
        "let now = std::time::Instant::now();",
        "let now = SystemTime::now();",
        "let now = jiff::Timestamp::now();",
        "println!(\"here\");",
    ];
    let waiting = [
        "async fn step() {}",
        "let answer = ask.await;",
        "let ask = async move { 1 };",
        "tokio::spawn(ask);",
        "let dice = rand::random::<u8>();",
    ];
    for code in outside {
        assert!(found(core, code), "{code} was missed in the core");
        assert!(found(decoder, code), "{code} was missed in what decodes");
    }
    for code in waiting {
        assert!(found(core, code), "{code} was missed in the core");
    }

    let inside = [
        "use std::fmt;",
        "use std::{collections::BTreeMap, fmt, time::Duration};",
        "use std::{convert::Infallible, error::Error};",
        "// std::fs is not for us",
        "let environment = plan.spec.environment;",
        "let version = env!(\"CARGO_PKG_VERSION\");",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        "fn f(now: Timestamp) {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
    ];
    for code in inside {
        assert!(!found(core, &format!("\n{code}")), "{code} was taken for a way outside");
    }
    assert!(!found("bot/src/store.rs", "use std::fs;"), "the shell may");
    assert!(
        !found(decoder, "let answer = ask.await;"),
        "whoever takes bodies in waits for them"
    );
}
