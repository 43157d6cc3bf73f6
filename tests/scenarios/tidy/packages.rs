//! Packages: the arrows between them point one way, the core reaches nothing of the world, and there is one binary.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId, TargetKind};
use tidegate_tests::paths::repository;

/// What the core must never reach: run time, network, database, the cluster, randomness.
const NOT_FOR_THE_CORE: &[&str] = &[
    "tokio",
    "sqlx",
    "sqlx-core",
    "axum",
    "hyper",
    "kube",
    "reqwest",
    "mio",
    "socket2",
    "rand",
    "getrandom",
];
/// What the webhooks must never reach: the database, drivers, chat clients, the bot itself.
const NOT_FOR_THE_WEBHOOKS: &[&str] = &["sqlx", "sqlx-core", "kube", "reqwest", "handlebars", "tidegate"];

/// The workspace's packages and what each may name of the others.
const ARROWS: [(&str, &[&str]); 4] = [
    ("tidegate-rollout", &[]),
    ("tidegate-webhooks", &["tidegate-rollout"]),
    ("tidegate", &["tidegate-rollout", "tidegate-webhooks"]),
    ("tidegate-tests", &["tidegate", "tidegate-rollout", "tidegate-webhooks"]),
];

/// The packages as Cargo resolves them for this machine; other systems' crates are not downloaded.
fn metadata() -> Metadata {
    let about = Command::new("rustc").arg("-vV").output().expect("rustc can be asked");
    let about = String::from_utf8(about.stdout).expect("rustc prints text");
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names the host");
    let options = ["--locked", "--filter-platform", host].map(str::to_owned).to_vec();
    let mut command = MetadataCommand::new();
    command
        .manifest_path(repository().join("Cargo.toml"))
        .other_options(options);
    command.exec().expect("Cargo can read the workspace")
}

/// Every package that `from` reaches when it is built for use, with the way to it.
fn reached(metadata: &Metadata, from: &str) -> BTreeMap<String, String> {
    let nodes = &metadata.resolve.as_ref().expect("the graph is resolved").nodes;
    let name = |id: &PackageId| metadata[id].name.to_string();
    let root = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == from)
        .expect(from);
    let mut ways: BTreeMap<PackageId, String> = BTreeMap::from([(root.id.clone(), name(&root.id))]);
    let mut queue = VecDeque::from([root.id.clone()]);
    while let Some(id) = queue.pop_front() {
        let node = nodes
            .iter()
            .find(|node| node.id == id)
            .expect("every package has a node");
        let used = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        for dep in used {
            if !ways.contains_key(&dep.pkg) {
                ways.insert(dep.pkg.clone(), format!("{} → {}", ways[&id], name(&dep.pkg)));
                queue.push_back(dep.pkg.clone());
            }
        }
    }
    ways.into_iter()
        .filter(|(id, _)| *id != root.id)
        .map(|(id, way)| (name(&id), way))
        .collect()
}

#[track_caller]
fn assert_never_reaches(from: &str, forbidden: &[&str], must: &str) {
    let reached = reached(&metadata(), from);
    assert!(
        reached.contains_key(must),
        "{from} does not even reach {must}: is the graph read at all?"
    );
    let ways: Vec<&String> = forbidden.iter().filter_map(|name| reached.get(*name)).collect();
    assert!(ways.is_empty(), "{from} must never reach these: {ways:#?}");
}

#[test]
fn the_core_touches_nothing_of_the_world() {
    assert_never_reaches("tidegate-rollout", NOT_FOR_THE_CORE, "jiff");
}

#[test]
fn the_webhooks_only_hand_over() {
    assert_never_reaches("tidegate-webhooks", NOT_FOR_THE_WEBHOOKS, "axum");
}

#[test]
fn the_arrows_between_our_packages_point_one_way() {
    let metadata = metadata();
    let ours: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    assert_eq!(
        ours,
        ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        "a package has no arrow here"
    );
    for (from, to) in ARROWS {
        // Also for tests: a core tested by the bot would be no core.
        let package = metadata
            .workspace_packages()
            .into_iter()
            .find(|package| package.name == from)
            .expect(from);
        let named = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        let wrong: Vec<&str> = named
            .filter(|name| ours.contains(*name) && !to.contains(name))
            .collect();
        assert!(wrong.is_empty(), "{from} must not depend on {wrong:?}");
    }
}

#[test]
fn there_is_one_binary() {
    let metadata = metadata();
    let targets = metadata
        .workspace_packages()
        .into_iter()
        .flat_map(|package| &package.targets);
    let binaries = targets
        .filter(|target| target.kind.contains(&TargetKind::Bin))
        .map(|target| target.name.as_str());
    assert_eq!(binaries.collect::<Vec<_>>(), ["tidegate"]);
}
