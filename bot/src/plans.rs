//! Owns the plans that can be started: read from the configured files, by name.
//! Refuses to let one broken file hide the others: it is kept with its faults and refused when somebody starts it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_rollout::plan::Hears;
use tidegate_rollout::plan::diagnostic::{Finding, Level};
use tidegate_rollout::plan::source;
use tidegate_rollout::{Code, Plan, Refusal};

/// The plans by name, and the files that could not be used.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    usable: BTreeMap<String, Arc<Plan>>,
    broken: Vec<Broken>,
    without_folder: Vec<String>,
}

/// A file that could not be used.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Where.
    pub path: PathBuf,
    /// The name it would have, if that could be read.
    pub name: Option<String>,
    /// What is wrong with it.
    pub why: Vec<String>,
}

impl Plans {
    /// Plans that are already in memory, for the demo and for tests.
    pub fn of(plans: impl IntoIterator<Item = Plan>) -> Self {
        let named = plans.into_iter().map(|plan| (plan.name().to_owned(), Arc::new(plan)));
        Self {
            usable: named.collect(),
            broken: Vec::new(),
            without_folder: Vec::new(),
        }
    }

    /// Reads every file that matches one of `patterns`, relative to `base`.
    pub fn read(base: &Path, patterns: &[String]) -> Self {
        let mut plans = Self::default();
        for pattern in patterns {
            let full = base.join(pattern).to_string_lossy().into_owned();
            match glob::glob(&full) {
                Ok(paths) => {
                    if !folder_of(&full).is_dir() {
                        plans.without_folder.push(pattern.clone());
                    }
                    paths.flatten().for_each(|path| plans.add(path));
                }
                Err(fault) => plans.broken.push(Broken {
                    path: PathBuf::from(pattern),
                    name: None,
                    why: vec![format!("the pattern is not understood: {fault}")],
                }),
            }
        }
        plans
    }

    fn add(&mut self, path: PathBuf) {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(fault) => {
                let why = vec![format!("it could not be read: {fault}")];
                return self.broken.push(Broken { path, name: None, why });
            }
        };
        let read = source::check(&text);
        let faults: Vec<String> = read
            .findings
            .iter()
            .filter(|finding| finding.level == Level::Error)
            .map(describe)
            .collect();
        match read.plan {
            Some(plan) if faults.is_empty() => {
                let name = plan.name().to_owned();
                if self.usable.contains_key(&name) {
                    let why = vec![format!("another file defines `{name}` already")];
                    return self.broken.push(Broken {
                        path,
                        name: Some(name),
                        why,
                    });
                }
                self.usable.insert(name, Arc::new(plan));
            }
            _ => self.broken.push(Broken {
                path,
                name: source::read(&text).plan.map(|plan| plan.name().to_owned()),
                why: faults,
            }),
        }
    }

    /// The plan called `name`.
    ///
    /// # Errors
    /// A [`Refusal`] that says what is wrong with its file, or which plans there are.
    pub fn get(&self, name: &str) -> Result<Arc<Plan>, Refusal> {
        if let Some(plan) = self.usable.get(name) {
            return Ok(Arc::clone(plan));
        }
        if let Some(broken) = self.broken.iter().find(|broken| broken.name.as_deref() == Some(name)) {
            return Err(Refusal::new(
                Code::R105,
                format!("The plan `{name}` cannot be used: {}", broken.why.join("; ")),
                format!("See `tidegate plan lint {}`.", broken.path.display()),
            ));
        }
        let names = self.names().join(", ");
        Err(Refusal::new(
            Code::R105,
            format!("I know no plan `{name}`."),
            format!("Plans I know: {names}."),
        ))
    }

    /// The names of the usable plans.
    pub fn names(&self) -> Vec<String> {
        self.usable.keys().cloned().collect()
    }

    /// The patterns of folders that are not there. In one that is, the plans may be still to come.
    pub fn without_folder(&self) -> &[String] {
        &self.without_folder
    }

    /// The usable plans, by name.
    pub fn usable(&self) -> impl Iterator<Item = &Plan> {
        self.usable.values().map(|plan| &**plan)
    }

    /// The alert receivers that any usable plan relies on.
    pub fn receivers(&self) -> impl Iterator<Item = &String> {
        self.usable.values().flat_map(|plan| &plan.spec.alerts.receivers)
    }

    /// The channels that any usable plan names.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        let audiences = self.usable.values().flat_map(|plan| plan.spec.audiences.values());
        let named: BTreeSet<&str> = audiences
            .flat_map(|audience| &audience.channels)
            .map(String::as_str)
            .collect();
        named.into_iter()
    }

    /// The channels by which any usable plan pages; the chat and the log are always among them.
    pub fn paging_channels(&self) -> BTreeSet<String> {
        let paging = self.usable.values().flat_map(|plan| plan.channels_for(Hears::Pages));
        paging.chain(["chat".to_owned(), "log".to_owned()]).collect()
    }

    /// The files that could not be used.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }
}

fn describe(finding: &Finding) -> String {
    let line = finding
        .place
        .map(|place| format!("line {}: ", place.line))
        .unwrap_or_default();
    format!("{line}{} {}", finding.code, finding.message)
}

/// The folder in which a pattern begins to choose.
fn folder_of(pattern: &str) -> &Path {
    let fixed = pattern
        .find(['*', '?', '['])
        .map_or(pattern, |chosen| &pattern[..chosen]);
    match fixed.rfind('/') {
        Some(slash) => Path::new(&fixed[..=slash]),
        // Beside a configuration that was named without a folder.
        None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_a_folder_lies_where_somebody_stands() {
        for (pattern, folder) in [
            ("plan*.yaml", "."),
            ("plan.yaml", "."),
            ("plans/*.yaml", "plans/"),
            ("/etc/tidegate/plan-?.yaml", "/etc/tidegate/"),
        ] {
            assert_eq!(folder_of(pattern), Path::new(folder), "{pattern}");
        }
    }
}
