//! Owns hooks and probes: that each is there, that it could run, that it runs twice only where that is as good as once.
//! Refuses to ask whether the server allows it: that is asked where its configuration is known.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::period::Period;
use crate::plan::codes::Code;
use crate::plan::diagnostic::Finding;
use crate::plan::place::Path;
use crate::plan::suggest::closest;
use crate::plan::{Expect, HttpCall, Job, Plan, Run};

/// An address that can be called: a scheme of the web, a host, no user and no password.
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^https?://[^/@?#\s]+([/?#]\S*)?$").ok());

/// Words of well-known programs that empty, drop or overwrite what nobody can bring back.
static DESTROYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = [
        r"\bflush(all|db)\b",
        r"\b(drop|truncate)\s+(table|database|schema|keyspace|collection)\b",
        r"\bdelete\s+from\b",
        r"\brm\s+(-\S+\s+)*-\w*r",
        r"\b(pg_restore|mongorestore|dropdb)\b",
        r"\brestore[-_ ]?(from|snapshot|backup|database|db)\b",
        r"\b(snapshot|backup)s?[-_ ]restore\b",
        r"\b(terraform|tofu)\s+destroy\b",
    ];
    Regex::new(&format!("(?i){}", words.join("|"))).ok()
});

/// Below this nothing gets anywhere.
const SHORTEST: Period = Period::millis(100);

pub(super) fn check(plan: &Plan, found: &mut Vec<Finding>) {
    for (name, hook) in &plan.spec.hooks {
        let at = Path::spec("hooks").key(name);
        match &hook.run {
            Run::Command(command) => one_command(command, &at.key("run").key("command"), found),
            Run::Http(call) => one_call(call, &at.key("run").key("http"), found),
            Run::Job(job) => one_job(job, &at.key("run").key("job"), found),
        }
        too_short(hook.timeout, &at, found);
        if hook.attempts > 1 && !hook.idempotent {
            let message = format!(
                "`{name}` is tried {} times, and nothing says that twice is as good as once",
                hook.attempts
            );
            let help = "add `idempotent: true` if it is, or take `attempts` out";
            found.push(Finding::new(Code::P225, at.key("attempts"), message).help(help));
        }
    }
    for (name, probe) in &plan.spec.probes {
        let at = Path::spec("probes").key(name);
        if plan.spec.hooks.contains_key(name) {
            let message = format!("`{name}` is the name of a hook already");
            found.push(Finding::new(Code::P113, at.clone(), message).help("rename one of the two"));
        }
        address(&probe.http.url, at.key("http").key("url"), found);
        expected(&probe.http.expect, &at.key("http").key("expect"), found);
        too_short(probe.timeout, &at, found);
    }
    let used = lists(plan, found);
    for (kind, name) in all(plan) {
        if !used.contains(name) {
            let at = Path::spec(&format!("{kind}s")).key(name);
            let message = format!("{kind} `{name}` is defined and never used");
            found.push(Finding::new(Code::P171, at, message));
        }
    }
    undo(plan, found);
    destroys(plan, found);
}

fn all(plan: &Plan) -> Vec<(&'static str, &str)> {
    let hooks = plan.spec.hooks.keys().map(|name| ("hook", name.as_str()));
    let probes = plan.spec.probes.keys().map(|name| ("probe", name.as_str()));
    hooks.chain(probes).collect()
}

/// Every list that names hooks; answers the names that are used.
fn lists<'a>(plan: &'a Plan, found: &mut Vec<Finding>) -> BTreeSet<&'a str> {
    let mut lists: Vec<(Path, &[String])> = Vec::new();
    for (index, phase) in plan.spec.phases.iter().enumerate() {
        let at = Path::spec("phases").index(index).key("hooks");
        lists.push((at.key("before"), &phase.hooks.before));
        lists.push((at.key("after"), &phase.hooks.after));
    }
    lists.push((Path::spec("rollback").key("hooks"), &plan.spec.rollback.hooks));
    let known: Vec<&str> = all(plan).into_iter().map(|(_, name)| name).collect();
    let mut used = BTreeSet::new();
    for (at, names) in lists {
        super::repeated(names, &at, found);
        for (index, name) in names.iter().enumerate() {
            used.insert(name.as_str());
            if known.contains(&name.as_str()) {
                continue;
            }
            let message = format!("no hook or probe is called `{name}`");
            let help = match closest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "define it under `spec.hooks` or `spec.probes`".to_owned(),
            };
            found.push(Finding::new(Code::P102, at.index(index), message).help(help));
        }
    }
    used
}

/// What was done on the way forward is rarely undone by itself.
fn undo(plan: &Plan, found: &mut Vec<Finding>) {
    let is_hook = |name: &String| plan.spec.hooks.contains_key(name);
    let forward = plan.spec.phases.iter().enumerate().find_map(|(index, phase)| {
        let place = phase.hooks.before.iter().position(is_hook)?;
        Some((index, place, &phase.hooks.before[place]))
    });
    let Some((index, place, name)) = forward else {
        return;
    };
    if plan.spec.rollback.hooks.is_empty() {
        let at = Path::spec("phases")
            .index(index)
            .key("hooks")
            .key("before")
            .index(place);
        let message = format!("nothing on the way back follows `{name}`");
        let help = "add what undoes it under `spec.rollback.hooks`, if anything has to";
        found.push(Finding::new(Code::P222, at, message).help(help));
    }
}

/// What cannot be brought back is never done by itself. A script may hide it; what can be read is read.
fn destroys(plan: &Plan, found: &mut Vec<Finding>) {
    for (index, name) in plan.spec.rollback.hooks.iter().enumerate() {
        let said = match plan.spec.hooks.get(name).map(|hook| &hook.run) {
            Some(Run::Command(command)) => command.join(" "),
            Some(Run::Job(job)) => job.command.join(" "),
            Some(Run::Http(_)) | None => continue,
        };
        if let Some(word) = DESTROYS.as_ref().and_then(|words| words.find(&said)) {
            let message = format!(
                "`{name}` runs by itself after a rollback, and `{}` cannot be undone",
                word.as_str()
            );
            let at = Path::spec("rollback").key("hooks").index(index);
            let help = "leave it to a person: take it out, and say it in a runbook";
            found.push(Finding::new(Code::P229, at, message).help(help));
        }
    }
}

fn too_short(timeout: Period, at: &Path, found: &mut Vec<Finding>) {
    if timeout < SHORTEST {
        let message = format!("it has {timeout}, and would always be too late");
        found.push(Finding::new(Code::P226, at.key("timeout"), message).help("write `timeout: 30s`"));
    }
}

fn one_command(command: &[String], at: &Path, found: &mut Vec<Finding>) {
    let Some(program) = command.first().filter(|program| !program.trim().is_empty()) else {
        found.push(Finding::new(Code::P106, at.clone(), "`command` is empty").help("name a program"));
        return;
    };
    let leaves = program.starts_with('/') || program.split(['/', '\\']).any(|part| part == "..");
    if leaves {
        let message = format!("`{program}` does not lie below the server's directory of hooks");
        let help = "name it relative to `hooks.directory` of the server's configuration";
        found.push(Finding::new(Code::P223, at.index(0), message).help(help));
    }
    if command.iter().any(|part| part.contains('\0')) {
        found.push(Finding::new(
            Code::P106,
            at.clone(),
            "an argument holds a character that no program can be given",
        ));
    }
}

fn one_call(call: &HttpCall, at: &Path, found: &mut Vec<Finding>) {
    address(&call.url, at.key("url"), found);
    expected(&call.expect, &at.key("expect"), found);
}

fn address(url: &str, at: Path, found: &mut Vec<Finding>) {
    if !ADDRESS.as_ref().is_some_and(|address| address.is_match(url)) {
        let message = "this is no address that can be called";
        let help = "write `https://host/path`, without a user and a password";
        found.push(Finding::new(Code::P224, at, message).help(help));
    }
}

fn expected(expect: &Expect, at: &Path, found: &mut Vec<Finding>) {
    for pointer in expect.json.keys() {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let message = format!("`{pointer}` is no JSON pointer");
            let help = format!("write `/{}`", pointer.replace('.', "/"));
            found.push(Finding::new(Code::P227, at.key("json").key(pointer), message).help(help));
        }
    }
}

fn one_job(job: &Job, at: &Path, found: &mut Vec<Finding>) {
    super::target::object(&job.namespace, at.key("namespace"), found);
    if let Some(account) = &job.service_account {
        super::target::object(account, at.key("serviceAccount"), found);
    }
    if job.image.trim().is_empty() || job.image.contains(char::is_whitespace) {
        let message = format!("`{}` is not a usable name", job.image);
        found.push(Finding::new(Code::P107, at.key("image"), message).help("write `registry/name:tag`"));
    }
}
