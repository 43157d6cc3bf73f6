//! Owns the look at everything that a server needs before anybody relies on it: each check says what it found, and the fix.
//! Refuses to change anything, to wait longer than a check may take, and to repeat a fault that another finding explains.

mod alertmanager;
mod ask;
mod chat;
mod clocks;
mod mail;
mod prometheus;
mod reach;
mod rules;
mod settings;
mod storage;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;

use crate::config::{Config, Fault, HostRule};
use crate::driver::kubernetes::cluster::Cluster;
use crate::net::Net;
use crate::plans::Plans;
use crate::store::Storage;
use ask::Asker;
use clocks::Clocks;

/// No check lasts longer. They run side by side, so this is also about how long all of them last.
const WITHIN: Duration = Duration::from_secs(15);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Something works less well than it could, or could not be looked at.
    Warn,
    /// Something does not work.
    Fail,
}

impl Level {
    /// As people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check: `alertmanager`.
    pub check: &'static str,
    /// What exactly it is about, stable for scripts: `alertmanager.no-webhook`.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, in a sentence.
    pub says: String,
    /// What to do about it; there for everything that is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, says: impl Into<String>) -> Self {
        let says = says.into();
        Self {
            check,
            code: check,
            level: Level::Ok,
            says,
            fix: None,
        }
    }

    pub(crate) fn warn(code: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::bad(Level::Warn, code, says, fix)
    }

    fn fail(code: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::bad(Level::Fail, code, says, fix)
    }

    fn bad(level: Level, code: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            check: code.split('.').next().unwrap_or(code),
            code,
            level,
            says: says.into(),
            fix: Some(fix.into()),
        }
    }
}

/// What can be asked for by name, in the order of the report.
pub const CHECKS: [&str; 12] = [
    "configuration",
    "storage",
    "server",
    "alertmanager",
    "prometheus",
    "slack",
    "discord",
    "email",
    "target",
    "channel",
    "egress",
    "clock",
];

/// What is looked at.
pub struct Subject {
    /// The configuration, which could be loaded.
    pub config: Config,
    /// What does not fit about the plans and templates that it names.
    pub misfits: Vec<Fault>,
    /// What should be looked at besides.
    pub warnings: Vec<String>,
    /// The plans.
    pub plans: Plans,
    /// Where the data lies.
    pub storage: Storage,
    /// The way to the cluster, if there is one.
    pub cluster: Option<Arc<Cluster>>,
}

/// Runs the checks that `wanted` names, all of them where it names none.
///
/// # Errors
/// When the HTTP client cannot be made.
pub async fn examine(subject: Subject, wanted: &[String]) -> Result<Vec<Finding>, reqwest::Error> {
    let net = Net::new(allowed(&subject.config))?;
    let clocks = Clocks::default();
    let asker = Asker::new(net, clocks.clone());
    let subject = Arc::new(subject);
    let is_wanted = |check: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == check);
    let mut checks: Vec<(&'static str, BoxFuture<'static, Vec<Finding>>)> = Vec::new();
    let mut add = |check: &'static str, look: BoxFuture<'static, Vec<Finding>>| {
        if is_wanted(check) {
            checks.push((check, look));
        }
    };
    add("configuration", Box::pin(settings::look(subject.clone())));
    add("storage", Box::pin(storage::look(subject.clone())));
    add("server", Box::pin(reach::server(subject.clone(), asker.clone())));
    let servers = prometheus::Servers::default();
    for receiver in &subject.config.receivers.alertmanagers {
        let (receiver, subject, servers) = (receiver.clone(), subject.clone(), servers.clone());
        add(
            "alertmanager",
            Box::pin(alertmanager::look(subject, receiver, asker.clone(), servers)),
        );
    }
    add("alertmanager", Box::pin(alertmanager::unasked(subject.clone())));
    add(
        "prometheus",
        Box::pin(prometheus::look(subject.clone(), asker.clone(), servers)),
    );
    for platform in chat::platforms(&subject.config, &asker) {
        add(platform.name(), Box::pin(chat::look(platform)));
    }
    add("email", Box::pin(mail::server(subject.clone())));
    add("target", Box::pin(targets::look(subject.clone())));
    add("channel", Box::pin(reach::channels(subject.clone(), asker.clone())));
    add("egress", Box::pin(reach::egress(subject.clone())));
    let found = join_all(checks.into_iter().map(|(check, look)| within(WITHIN, check, look))).await;
    let mut found: Vec<Finding> = found.into_iter().flatten().collect();
    if is_wanted("clock") {
        found.extend(clocks.judge());
    }
    Ok(without_echoes(found))
}

/// Every host that the server would call, and those that only these checks call.
fn allowed(config: &Config) -> Vec<HostRule> {
    let own = reach::own_address(config);
    let only_here = own.iter().chain(&config.web.external_url);
    let only_here = only_here.chain(&config.prometheus.servers).filter_map(HostRule::of);
    config.allowed_hosts().into_iter().chain(only_here).collect()
}

async fn within(time: Duration, check: &'static str, look: BoxFuture<'static, Vec<Finding>>) -> Vec<Finding> {
    match tokio::time::timeout(time, look).await {
        Ok(found) => found,
        Err(_) => vec![Finding {
            check,
            code: "timeout",
            level: Level::Fail,
            says: format!("was not over within {} s", time.as_secs()),
            fix: Some(format!(
                "Something here answers too slowly; `tidegate doctor --only {check}` looks at it alone."
            )),
        }],
    }
}

/// A rule that is not there raises no alert, so an alert that is missing for that reason is no fault of its own.
fn without_echoes(mut found: Vec<Finding>) -> Vec<Finding> {
    let cause = |finding: &Finding| ["prometheus.no-watchdog", "prometheus.tells-nobody"].contains(&finding.code);
    if found.iter().any(cause) {
        found.retain(|finding| finding.code != "alertmanager.no-watchdog");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_finding_explains_is_not_said_twice() {
        let silent = || Finding::fail("alertmanager.no-watchdog", "", "");
        assert_eq!(without_echoes(vec![silent()]).len(), 1);
        let cause = Finding::fail("prometheus.no-watchdog", "", "");
        assert_eq!(without_echoes(vec![silent(), cause.clone()]), [cause]);
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_cut_off_and_says_so() {
        let found = within(Duration::ZERO, "egress", Box::pin(std::future::pending())).await;
        assert_eq!((found[0].level, found[0].code), (Level::Fail, "timeout"));
        assert!(found[0].fix.is_some());
    }
}
