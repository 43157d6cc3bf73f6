//! Rooms inside `bot/src`: each lies in a row, and a row names only the rows below it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{Text, assert_none, texts};

/// From the top. Rooms of one row never name one another; those of the last row serve everybody, also each other.
const ROWS: [&[&str]; 7] = [
    &["main"],
    &["cli"],
    &["demo"],
    &["app"],
    &["runner", "http", "pages", "doctor"],
    &["store", "driver", "hook", "probe", "chat", "channel"],
    &[
        "clock",
        "config",
        "plans",
        "secret",
        "net",
        "render",
        "telemetry",
        "leadership",
        "failpoint",
        "vitals",
        "doors",
    ],
];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|rooms| rooms.contains(&room))
}

fn may_name(from: &str, to: &str) -> bool {
    from == to || row(from) < row(to) || (row(from) == row(to) && row(to) == Some(ROWS.len() - 1))
}

/// The room a file belongs to and how deep it lies: `chat.rs` is 1 deep, `chat/card.rs` 2.
fn room_of(path: &Path) -> Option<(String, usize)> {
    let inside = path.strip_prefix("bot/src").ok()?.with_extension("");
    let room = inside.components().next()?.as_os_str().to_str()?.to_owned();
    (room != "lib").then(|| (room, inside.components().count()))
}

/// The names that `code` looks up at the root of the crate. `depth` is the depth of its file.
fn named_at_the_root(code: &str, depth: usize) -> Vec<String> {
    static ROOT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:crate|tidegate|(?P<up>super(?:::super)*))::(?P<what>\{|[a-z_][a-z0-9_]*)").expect("it parses")
    });
    let code: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut names = Vec::new();
    for found in ROOT.captures_iter(&code) {
        let short_of_the_root = found
            .name("up")
            .is_some_and(|up| up.as_str().split("::").count() < depth);
        let what = &found["what"];
        if short_of_the_root || what == "super" {
            continue;
        }
        if what == "{" {
            let start = found.name("what").expect("it matched").end();
            names.extend(heads(&code[start..]));
        } else {
            names.push(what.to_owned());
        }
    }
    names
}

/// The first word of each member of a group, up to the brace that closes it: `a, b::{c, d}, e::f}` gives a, b, e.
fn heads(group: &str) -> Vec<String> {
    let (mut heads, mut head, mut depth) = (Vec::new(), String::new(), 0_usize);
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut head)),
            _ if depth == 0 => head.push(character),
            _ => {}
        }
    }
    heads.push(head);
    let first = |member: &String| member.split("::").next().unwrap_or_default().trim().to_owned();
    heads.iter().map(first).filter(|head| !head.is_empty()).collect()
}

fn findings(source: &Text) -> Vec<String> {
    let Some((room, depth)) = room_of(&source.path) else {
        return Vec::new();
    };
    if row(&room).is_none() {
        return vec![format!("{}: the room `{room}` has no row yet", source.path.display())];
    }
    let named = named_at_the_root(source.code(), depth)
        .into_iter()
        .filter(|name| row(name).is_some());
    let wrong = named.filter(|name| !may_name(&room, name));
    wrong
        .map(|name| format!("{}: `{room}` names `{name}`", source.path.display()))
        .collect()
}

#[test]
fn a_room_names_only_the_rows_below_it() {
    let sources = texts("rs");
    assert!(
        sources.iter().any(|source| source.path == Path::new("bot/src/main.rs")),
        "bot/src was not read"
    );
    let findings: Vec<String> = sources.iter().flat_map(findings).collect();
    assert_none(
        "main → cli → demo → app → {runner, http, pages} → the middle row → the leaf row",
        &findings,
    );
}

#[test]
fn the_map_shows_every_room() {
    let pages = texts("md");
    let map = pages
        .iter()
        .find(|page| page.path == Path::new("ARCHITECTURE.md"))
        .expect("there is a map");
    let rooms: BTreeSet<String> = texts("rs")
        .iter()
        .filter_map(|source| Some(room_of(&source.path)?.0))
        .collect();
    let shown = |room: &String| {
        map.content.contains(&format!("`{room}`")) || map.content.contains(&format!("bot/src/{room}.rs"))
    };
    let missing: Vec<String> = rooms
        .into_iter()
        .filter(|room| room != "main" && !shown(room))
        .collect();
    assert_none("ARCHITECTURE.md does not show these rooms of bot/src", &missing);
}

#[test]
fn a_proof_is_made_in_one_place() {
    let makers = [
        ("Leadership::granted(", "bot/src/store/lease.rs"),
        ("Timestamp::now(", "bot/src/clock.rs"),
        ("SystemTime::now(", "bot/src/clock.rs"),
    ];
    let mut findings = Vec::new();
    for source in texts("rs").iter().filter(|source| source.path.starts_with("bot")) {
        for (_, place) in makers.iter().filter(|(maker, _)| source.code().contains(maker)) {
            if source.path != Path::new(place) {
                findings.push(format!("{} makes what only {place} may make", source.path.display()));
            }
        }
    }
    assert_none(
        "who leads is said by the lease, what time it is by the clock",
        &findings,
    );
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    let found = |path: &str, content: &str| {
        findings(&Text {
            path: path.into(),
            content: content.to_owned(),
        })
    };
    let wrong = [
        ("bot/src/chat.rs", "use crate::store::Store;"),
        ("bot/src/chat.rs", "use super::store;"),
        ("bot/src/chat/card.rs", "use super::super::store;"),
        (
            "bot/src/chat/card.rs",
            "use crate::{\n    clock,\n    render::{self, x},\n    store::{Store, y},\n};",
        ),
        ("bot/src/chat/card.rs", "fn f() {\n    crate::store::open();\n}"),
        ("bot/src/store.rs", "use crate::app::App;"),
        ("bot/src/clock.rs", "use crate::net;"),
        ("bot/src/cellar.rs", ""),
        ("bot/src/demo.rs", "use crate::cli;"),
    ];
    let seen: Vec<&str> = wrong
        .iter()
        .filter(|(path, code)| found(path, code).len() == 1)
        .map(|(_, code)| *code)
        .collect();
    let expected: Vec<&str> = wrong
        .iter()
        .map(|(_, code)| *code)
        .filter(|code| *code != "use crate::net;")
        .collect();
    assert_eq!(
        seen, expected,
        "leaves may name one another, nothing else of this may be"
    );

    let right = [
        ("bot/src/main.rs", "fn main() {\n    tidegate::cli::run();\n}"),
        ("bot/src/app.rs", "use crate::{http, store};"),
        (
            "bot/src/chat/card.rs",
            "use super::store_words;\nuse crate::chat::words;\n// crate::store is not for us",
        ),
        ("bot/src/chat/card.rs", "use super::channel;"),
        (
            "bot/src/chat.rs",
            "use crate::render;\n#[cfg(test)]\nmod tests {\n    use crate::store;\n}",
        ),
        ("bot/src/lib.rs", "pub mod store;"),
    ];
    for (path, code) in right {
        assert_eq!(found(path, code), Vec::<String>::new(), "{code}");
    }
}
