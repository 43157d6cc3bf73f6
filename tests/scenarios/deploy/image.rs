//! The image, as far as it can be judged without an engine that builds it: what it is built from, how, and what is in it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, TargetKind};
use serde_json::Value;
use tidegate_tests::paths::{programs, repository};

use super::text;

/// One instruction: its word, and the rest with continued lines joined.
fn instructions(dockerfile: &str) -> Vec<(String, String)> {
    let lines = dockerfile.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let all = joined.lines().filter_map(|line| line.trim().split_once(' '));
    all.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn of<'a>(all: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    all.iter()
        .filter(|(found, _)| found == word)
        .map(|(_, rest)| rest.as_str())
        .collect()
}

#[test]
fn it_knows_only_words_of_a_dockerfile_and_ends_as_one_program_for_nobody_special() -> Result<()> {
    let all = instructions(&text("Dockerfile")?);
    let known = [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "USER",
        "VOLUME",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ];
    let unknown: Vec<_> = all.iter().filter(|(word, _)| !known.contains(&word.as_str())).collect();
    ensure!(unknown.is_empty(), "{unknown:?}");
    let last = all.iter().rposition(|(word, _)| word == "FROM").context("no FROM")?;
    let (build, image) = all.split_at(last);
    assert_eq!(image[0].1, "scratch", "there is a shell, or more, in the image");
    assert!(of(image, "RUN").is_empty(), "nothing can run in an empty image");
    assert_eq!(of(image, "USER"), ["65532:65532"]);
    assert_eq!(of(image, "COPY"), ["--from=build /root-of-image /"]);
    assert!(of(build, "FROM")[0].ends_with(" AS build"));
    // Commands without a shell, of the program that was copied.
    let [entry]: [&str; 1] = of(image, "ENTRYPOINT").try_into().ok().context("one ENTRYPOINT")?;
    let entry: Vec<String> = serde_json::from_str(entry)?;
    assert_eq!(entry, ["/usr/bin/tidegate"]);
    let copied = of(build, "RUN").join(" ");
    assert!(
        copied.contains("cp target/dist/tidegate /root-of-image/usr/bin/"),
        "{copied}"
    );
    let health = of(image, "HEALTHCHECK")[0].split_once("CMD ").context("no command")?.1;
    let health: Vec<String> = serde_json::from_str(health)?;
    assert_eq!(health[..2], ["/usr/bin/tidegate", "doctor"]);
    Ok(())
}

#[test]
fn everything_that_the_program_is_built_from_is_copied_and_let_through() -> Result<()> {
    let all = instructions(&text("Dockerfile")?);
    let from_here = of(&all, "COPY").into_iter().filter(|rest| !rest.starts_with("--from"));
    let sources: BTreeSet<String> = from_here
        .flat_map(|rest| {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let sources = words.len().saturating_sub(1);
            words.into_iter().take(sources).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    for source in &sources {
        ensure!(
            repository().join(source).exists(),
            "COPY of {source}, which is not there"
        );
    }
    let through = text("Dockerfile.dockerignore")?;
    let through: BTreeSet<String> = through
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .map(str::to_owned)
        .collect();
    assert_eq!(sources, through, "what is copied must be let through, and nothing else");

    // Cargo's own list of what the program beside this test was built from.
    let list = std::fs::read_to_string(programs()?.join("tidegate.d"))?;
    let root = repository().canonicalize()?;
    let (_, named) = list.split_once(": ").context("no list")?;
    let mut count = 0;
    for file in named.split_whitespace() {
        let Ok(file) = std::path::Path::new(file).canonicalize() else {
            continue;
        };
        let Ok(below) = file.strip_prefix(&root) else {
            continue;
        };
        count += 1;
        let copied = sources.iter().any(|source| below.starts_with(source));
        ensure!(copied, "{} is built in and not copied", below.display());
    }
    ensure!(count > 100, "only {count} sources were found");
    Ok(())
}

#[test]
fn the_command_that_builds_it_names_what_the_workspace_has() -> Result<()> {
    let all = instructions(&text("Dockerfile")?);
    let builds = of(&all, "RUN")
        .into_iter()
        .filter_map(|rest| rest.strip_prefix("cargo "));
    let [build]: [&str; 1] = builds
        .collect::<Vec<_>>()
        .try_into()
        .ok()
        .context("one cargo command")?;
    assert_eq!(build, "build --locked --profile dist --package tidegate --bin tidegate");
    let manifest: Value = {
        let metadata = MetadataCommand::new()
            .manifest_path(repository().join("Cargo.toml"))
            .no_deps()
            .exec()?;
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name == "tidegate")
            .context("no package")?;
        let bins = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Bin));
        ensure!(bins.map(|target| target.name.as_str()).eq(["tidegate"]));
        std::fs::read_to_string(repository().join("Cargo.toml"))?.into()
    };
    let manifest = manifest.as_str().unwrap_or_default();
    ensure!(manifest.contains("[profile.dist]"), "there is no profile `dist`");
    // The toolchain of the image is the one that the workspace asks for.
    let wanted = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let wanted = wanted.context("no rust-version")?.trim_matches('"');
    assert_eq!(of(&all, "FROM")[0], format!("rust:{wanted}-alpine AS build"));
    Ok(())
}
