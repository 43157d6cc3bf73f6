//! Owns the question whether plans fit this server: the receivers they rely on, the people they ask, the channels they name.
//! Refuses to judge a plan by itself: that is the lint's; here it meets the configuration.

use std::collections::BTreeSet;

use tidegate_rollout::plan::{Run, SeverityAction, Watchdog};
use tidegate_rollout::{Plan, Role};
use url::Url;

use crate::config::{Config, Fault};
use crate::hook::command;
use crate::net::Rules;
use crate::plans::Plans;

/// What is wrong with plans under a configuration: with a fault a plan can never do its work, with a warning somebody
/// or some place is left out.
#[derive(Debug, Default)]
pub struct Misfits {
    /// A plan's file that is broken, a receiver that is not there, a question that nobody can answer.
    pub faults: Vec<Fault>,
    /// Members that nobody knows, channels that lead nowhere.
    pub warnings: Vec<String>,
}

/// Holds every plan against the configuration.
pub fn misfits(config: &Config, plans: &Plans) -> Misfits {
    let mut found = Misfits::default();
    for broken in plans.broken() {
        found.faults.push(Fault {
            path: "plans".to_owned(),
            origin: Some(broken.path.display().to_string()),
            message: broken.why.join("; "),
        });
    }
    for plan in plans.usable() {
        receivers(config, plan, &mut found);
        people(config, plan, &mut found);
        cluster(config, plan, &mut found);
        hooks(config, plan, &mut found);
    }
    for pattern in plans.without_folder() {
        found.warnings.push(format!(
            "`plans` names `{pattern}`, and there is no such folder; it is relative to the folder of the configuration"
        ));
    }
    for channel in plans.channels().filter(|name| !is_channel(config, name)) {
        found.warnings.push(format!(
            "a plan names the channel `{channel}`, which is not configured; what is said there ends as a dead letter"
        ));
    }
    found
}

impl Misfits {
    fn fault(&mut self, plan: &Plan, message: String) {
        self.faults.push(Fault {
            path: "plans".to_owned(),
            origin: Some(plan.name().to_owned()),
            message,
        });
    }
}

fn is_channel(config: &Config, channel: &str) -> bool {
    channel == "log" || channel == "chat" || config.channels.contains_key(channel)
}

/// Without its receiver a plan that needs the Watchdog never advances, and never says why before it is started.
fn receivers(config: &Config, plan: &Plan, found: &mut Misfits) {
    if plan.spec.alerts.watchdog == Watchdog::None {
        return;
    }
    let all = config.receivers.doors.iter();
    let alertmanagers = all.filter(|(_, receiver)| receiver.source() == tidegate_rollout::Source::Alertmanager);
    let known: BTreeSet<&str> = alertmanagers.map(|(name, _)| name).collect();
    for name in plan
        .spec
        .alerts
        .receivers
        .iter()
        .filter(|name| !known.contains(name.as_str()))
    {
        let message = format!(
            "it relies on the Alertmanager receiver `{name}`, which `receivers.alertmanager` does not have; it would \
             never see a Watchdog, and never advance"
        );
        found.fault(plan, message);
    }
}

/// A target in a cluster that nobody has named can neither be moved nor brought back.
fn cluster(config: &Config, plan: &Plan, found: &mut Misfits) {
    let rungs = plan.spec.rollback.ladder.iter().map(|rung| &rung.target);
    let mut targets = std::iter::once(&plan.spec.target).chain(rungs);
    let there = targets.find(|target| target.is_in_kubernetes());
    if let (Some(target), None) = (there, &config.kubernetes.access) {
        let target = target.name();
        found.warnings.push(format!(
            "the plan `{}` moves {target}, and `kubernetes` names no cluster; it cannot be started",
            plan.name()
        ));
    }
}

/// A hook that the configuration does not allow would hold every rollout of the plan.
fn hooks(config: &Config, plan: &Plan, found: &mut Misfits) {
    let allowed = super::parts::hooks(&config.outside.hooks);
    let rules = Rules::new(config.allowed_hosts());
    let spec = &plan.spec;
    let looks = spec.probes.iter().map(|(name, probe)| (name, &probe.http.url));
    let calls = spec.hooks.iter().filter_map(|(name, hook)| match &hook.run {
        Run::Http(call) => Some((name, &call.url)),
        Run::Command(_) | Run::Job(_) => None,
    });
    for (name, url) in looks.chain(calls) {
        let allowed = url.parse::<Url>().map_err(|error| error.to_string());
        let allowed = allowed.and_then(|url| rules.check(&url).map_err(|forbidden| forbidden.to_string()));
        if let Err(why) = allowed {
            found.fault(plan, format!("its `{name}` cannot be called: {why}"));
        }
    }
    for (name, hook) in &spec.hooks {
        match &hook.run {
            Run::Http(_) => {}
            Run::Command(argv) => {
                if let Err(why) = command::program(&allowed, argv) {
                    found.fault(plan, format!("its hook `{name}` cannot run: {why}"));
                }
            }
            Run::Job(job) if !allowed.namespaces.contains(&job.namespace) => {
                let namespace = &job.namespace;
                let why = format!("`hooks.namespaces` does not name `{namespace}`");
                found.fault(plan, format!("its hook `{name}` cannot run: {why}"));
            }
            Run::Job(_) => {
                if config.kubernetes.access.is_none() {
                    found.fault(
                        plan,
                        format!("its hook `{name}` is a Job, and `kubernetes` names no cluster"),
                    );
                }
            }
        }
    }
}

fn people(config: &Config, plan: &Plan, found: &mut Misfits) {
    for (role, members) in &plan.spec.roles {
        let strangers = members
            .members
            .iter()
            .filter(|person| config.people.get(person).is_none());
        for person in strangers {
            let name = plan.name();
            found.warnings.push(format!(
                "the plan `{name}` names `{person}` as {role}, whom `people` does not know"
            ));
        }
    }
    let mut commanders = config.people.iter().map(|person| &person.roles);
    if commanders.any(|roles| roles.contains(&Role::IncidentCommander) || roles.contains(&Role::Admin)) {
        // They may answer whatever a plan asks.
        return;
    }
    // Without any role of the server nobody comes in to answer.
    let comes_in = |person| config.people.get(person).is_some_and(|person| !person.roles.is_empty());
    let can_answer = |role: &String| plan.members(role).iter().any(comes_in);
    for (name, severity) in &plan.spec.severities {
        let SeverityAction::Decide(decide) = &severity.action else {
            continue;
        };
        if !decide.by.is_empty() && !decide.by.iter().any(can_answer) {
            let message = format!(
                "its severity `{name}` asks {}, and `people` knows nobody of them: only the admin token could answer",
                decide.by.join(", ")
            );
            found.fault(plan, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    const PLAN: &str = include_str!("../../../deploy/examples/checkout/plan.yaml");

    fn found(config: &str) -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.yml");
        std::fs::write(&file, config).unwrap();
        std::fs::write(directory.path().join("secret"), "a-secret").unwrap();
        std::fs::write(directory.path().join("plan.yaml"), PLAN).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let config = sources.load().unwrap();
        let plans = Plans::read(&config.plans.directory, &config.plans.patterns);
        assert_eq!(plans.names().len(), 1, "{:?}", plans.broken());
        let found = misfits(&config, &plans);
        let faults: Vec<_> = found.faults.iter().map(ToString::to_string).collect();
        (faults.join("\n"), found.warnings.join("\n"))
    }

    const RECEIVER: &str = "receivers: { alertmanager: { default: { bearer_file: secret } } }\n";
    const CHANNELS: &str = "channels:\n  pager: { webhook: { url: 'http://p', secret_file: secret } }\n  \
                            announcements: { webhook: { url: 'http://a', secret_file: secret } }\n";
    const PEOPLE: &str =
        "people: [{ id: mara, roles: [viewer] }, { id: jon, roles: [viewer] }, { id: nia, roles: [viewer] }]\n";

    #[test]
    fn a_plan_fits_where_everything_it_names_is_there() {
        let all = format!("plans: [plan.yaml]\n{RECEIVER}{CHANNELS}{PEOPLE}");
        assert_eq!(found(&all), (String::new(), String::new()));
    }

    /// One without files yet is how everybody begins.
    #[test]
    fn a_folder_of_plans_that_is_not_there_is_named() {
        let patterns = "plans: [plan.yaml, '*.plan.yaml', 'plan/*.yaml']\n";
        let (_, warnings) = found(&format!("{patterns}{RECEIVER}{CHANNELS}{PEOPLE}"));
        assert_eq!(
            warnings,
            "`plans` names `plan/*.yaml`, and there is no such folder; it is relative to the folder of the configuration"
        );
    }

    #[test]
    fn who_may_not_come_in_cannot_answer() {
        let no_role = "people: [{ id: mara }, { id: jon }, { id: nia }]\n";
        let (faults, _) = found(&format!("plans: [plan.yaml]\n{RECEIVER}{CHANNELS}{no_role}"));
        assert!(faults.contains("`sev2` asks"), "{faults}");
    }

    #[test]
    fn a_receiver_that_is_not_there_is_a_fault() {
        let elsewhere = "receivers: { alertmanager: { second: { bearer_file: secret } }, \
                         grafana: { default: { bearer_file: secret } } }\n";
        let (faults, _) = found(&format!("plans: [plan.yaml]\n{elsewhere}{CHANNELS}{PEOPLE}"));
        assert!(
            faults.starts_with("plans: it relies on the Alertmanager receiver `default`"),
            "{faults}"
        );
        assert!(faults.ends_with("[checkout]"), "{faults}");
    }

    #[test]
    fn strangers_are_named_and_a_question_to_strangers_alone_is_a_fault() {
        let (faults, warnings) = found(&format!(
            "plans: [plan.yaml]\n{RECEIVER}people: [{{ id: mara, roles: [viewer] }}]\n"
        ));
        assert_eq!(faults, "");
        for part in ["`jon` as oncall", "`nia` as oncall", "`pager`", "`announcements`"] {
            assert!(warnings.contains(part), "{warnings}");
        }
        let (faults, _) = found(&format!(
            "plans: [plan.yaml]\n{RECEIVER}people: [{{ id: ana, roles: [viewer] }}]\n"
        ));
        assert!(faults.contains("`sev2` asks incident-commander, oncall"), "{faults}");
        let commander = "people: [{ id: ana, roles: [incident-commander] }]\n";
        assert_eq!(found(&format!("plans: [plan.yaml]\n{RECEIVER}{commander}")).0, "");
    }
}
