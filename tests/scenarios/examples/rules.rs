//! The rules of the examples, carried out by promtool on series good and bad: its file shows every rule firing and silent, and what
//! fires pulls the triggers of the plans.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tidegate_rollout::Labels;
use tidegate_rollout::matcher::Matcher;
use tidegate_tests::kubernetes::kustomize;

use crate::deploy::{rules_are_tested, shipped};

/// What a file of promtool says of one alert at one moment.
struct Expected {
    name: String,
    /// The labels of those that fire; none is silence.
    fires: Vec<Labels>,
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("no {key} in {value}"))
}

fn document(path: &str) -> Result<Value> {
    Ok(kustomize::documents(&shipped(path))?.remove(0))
}

fn expected(folder: &str) -> Result<Vec<Expected>> {
    let file = document(&format!("{folder}/rules.test.yml"))?;
    let mut all = Vec::new();
    for test in array(&file, "tests")? {
        for case in array(test, "alert_rule_test")? {
            let name = case["alertname"].as_str().context("no alertname")?.to_owned();
            let labels = |alert: &Value| -> Result<Labels> {
                let mut labels: Labels = serde_json::from_value(alert["exp_labels"].clone())?;
                labels.insert("alertname".to_owned(), name.clone());
                Ok(labels)
            };
            let fires = array(case, "exp_alerts")?.iter().map(labels).collect::<Result<_>>()?;
            all.push(Expected { name, fires });
        }
    }
    Ok(all)
}

/// The names of the alerting rules.
fn names(folder: &str) -> Result<BTreeSet<String>> {
    let file = document(&format!("{folder}/rules.yml"))?;
    let mut names = BTreeSet::new();
    for group in array(&file, "groups")? {
        let rules = array(group, "rules")?.iter();
        names.extend(rules.filter_map(|rule| rule["alert"].as_str()).map(str::to_owned));
    }
    Ok(names)
}

fn judge(example: &str, plans: &[&str]) -> Result<()> {
    let folder = format!("examples/{example}");
    rules_are_tested(&format!("{folder}/rules.test.yml"))?;
    let expected = expected(&folder)?;
    for name in names(&folder)? {
        let is_shown = |fires: bool| {
            expected
                .iter()
                .any(|it| it.name == name && it.fires.is_empty() != fires)
        };
        ensure!(is_shown(true), "nothing shows {name} firing");
        // The one that fires for ever.
        ensure!(is_shown(false) || name == "Watchdog", "nothing shows {name} silent");
    }
    let fired: Vec<&Labels> = expected.iter().flat_map(|it| &it.fires).collect();
    for plan in plans {
        let spec = document(&format!("{folder}/{plan}"))?["spec"].clone();
        for trigger in array(&spec, "triggers")? {
            let matchers: Vec<Matcher> = serde_json::from_value(trigger["alert"]["matchers"].clone())?;
            let pulls = |labels: &&&Labels| {
                let is = |label: &str, value: &Value| labels.get(label).map(String::as_str) == value.as_str();
                is("service", &spec["service"])
                    && is("environment", &spec["environment"])
                    && labels.contains_key("version")
                    && matchers.iter().all(|matcher| matcher.matches(labels))
            };
            ensure!(
                fired.iter().any(|labels| pulls(&labels)),
                "nothing that fires pulls {trigger}"
            );
        }
    }
    Ok(())
}

#[test]
fn week_by_week_every_rule_fires_when_it_should_and_only_then() -> Result<()> {
    judge("weekly-replicas", &["plan.yaml"])
}

#[test]
fn from_blue_to_green_every_rule_fires_when_it_should_and_only_then() -> Result<()> {
    judge("blue-green", &["plan.yaml", "plan-selector.yaml"])
}
