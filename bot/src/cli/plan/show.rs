//! Owns `tidegate plan show`: a plan as somebody reads it who does not write YAML.
//! Refuses a plan with errors: what it would show is not what would happen.

use std::path::Path;

use tidegate_rollout::Period;
use tidegate_rollout::hook::Moment;
use tidegate_rollout::plan::diagnostic::Level;
use tidegate_rollout::plan::source::check;
use tidegate_rollout::plan::{
    Audience, Clock, Commitment, DecideDefault, Gate, Hears, Mode, NoData, Plan, Run, Rung, Scope, Severity,
    SeverityAction, Target, Watchdog,
};

use crate::cli::out::Format;
use crate::cli::print::{self, one_line};
use crate::cli::table::columns;
use crate::cli::{Exit, Failure, Out};

pub(super) fn run(file: &Path, out: &mut Out) -> Result<Exit, Failure> {
    let text = super::read_text(file)?;
    let name = file.display().to_string();
    let read = check(&text);
    let Some(plan) = read.plan else {
        let errors: Vec<_> = read
            .findings
            .into_iter()
            .filter(|finding| finding.level == Level::Error)
            .collect();
        if out.format == Format::Text {
            out.note(print::findings(&errors, &name, &text));
        }
        let summary = print::summary(&errors.iter().collect::<Vec<_>>());
        let first = errors
            .first()
            .map(|finding| format!(", first: {}", finding.message))
            .unwrap_or_default();
        return Err(
            Failure::new(Exit::Invalid, format!("{name} is not a plan: {summary}{first}"))
                .hint(format!("For all of it: tidegate plan lint {name}")),
        );
    };
    out.result(page(&plan).trim_end(), &plan)?;
    Ok(Exit::Done)
}

fn page(plan: &Plan) -> String {
    let spec = &plan.spec;
    let mode = match spec.mode {
        Mode::Armed => "armed: rolls back by itself",
        Mode::Shadow => "shadow: only says what it would have done",
    };
    let head = [
        vec!["plan".to_owned(), format!("{} (digest {})", plan.name(), plan.digest())],
        vec![
            "service".to_owned(),
            format!("{} in {}", one_line(&spec.service), one_line(&spec.environment)),
        ],
        vec!["moves".to_owned(), moves(&spec.target)],
        vec!["mode".to_owned(), mode.to_owned()],
    ];
    let mut page = format!("{}\n{}", one_line(&spec.title), columns(&head, 2));
    section(&mut page, "Phases", phases(plan));
    let watched = match spec.watch {
        Period::ZERO => "not watched afterwards".to_owned(),
        watch => format!("then watched for {watch}"),
    };
    let ending = format!("  {watched}; done after {} at the earliest\n", least(plan));
    page.push_str(&ending);
    section(&mut page, "Gates", gates(plan));
    section(&mut page, "Hooks", hooks(plan));
    section(&mut page, "Stopped by", triggers(plan));
    section(&mut page, "Way back", way_back(plan));
    section(&mut page, "Silence", silence(plan));
    section(&mut page, "People", people(plan));
    section(&mut page, "Told", told(plan));
    section(&mut page, "Commitments", commitments(plan));
    page
}

/// What carries the traffic, in words.
fn moves(target: &Target) -> String {
    match target {
        Target::Flag(flag) => format!("flag {}", one_line(&flag.key)),
        Target::DeploymentReplicas(target) => format!(
            "Deployments {} (new) and {} (old) in {}: {} pods in all, never fewer than {} ready",
            one_line(&target.new),
            one_line(&target.old),
            one_line(&target.namespace),
            target.total,
            target.floor_pods()
        ),
        Target::ServiceSelector(target) => format!(
            "Service {} in {}: {}={} (new) or {} (old)",
            one_line(&target.service),
            one_line(&target.namespace),
            one_line(&target.label),
            one_line(&target.new),
            one_line(&target.old)
        ),
        Target::HttpRoute(target) => format!(
            "HTTPRoute {} in {}: Services {} (new) and {} (old)",
            one_line(&target.route),
            one_line(&target.namespace),
            one_line(&target.new),
            one_line(&target.old)
        ),
    }
}

/// The rungs, where the plan has a ladder.
fn way_back(plan: &Plan) -> Vec<Vec<String>> {
    let row = |(index, rung): (usize, &Rung)| {
        vec![
            format!("{}. {}", index + 1, one_line(&rung.name)),
            format!("within {}", rung.within),
            moves(&rung.target),
        ]
    };
    plan.spec.rollback.ladder.iter().enumerate().map(row).collect()
}

/// What people must have said before a phase is left.
fn gates(plan: &Plan) -> Vec<Vec<String>> {
    let rows = plan.spec.phases.iter().flat_map(|phase| {
        let approvals = phase.approvals.iter().map(|approval| {
            let people = if approval.people == 1 {
                "one".to_owned()
            } else {
                approval.people.to_string()
            };
            let own = if approval.self_approval {
                ", also whoever started it"
            } else {
                ""
            };
            format!("approved by {people} of {}{own}", one_line(&approval.role))
        });
        let checks = phase.checks.iter().map(|item| {
            let owner = item.owner.as_deref().map(|role| format!(" ({})", one_line(role)));
            format!(
                "{}: {}{}",
                one_line(&item.id),
                one_line(&item.text),
                owner.unwrap_or_default()
            )
        });
        let name = one_line(&phase.name);
        approvals.chain(checks).map(move |what| vec![name.clone(), what])
    });
    rows.collect()
}

/// What is done beside moving traffic, and when.
fn hooks(plan: &Plan) -> Vec<Vec<String>> {
    let phases = 0..plan.spec.phases.len();
    let around = phases.flat_map(|phase| [Moment::Before(phase), Moment::After(phase)]);
    let moments = around.chain([Moment::Rollback]);
    let row = |moment: Moment, name: &String| {
        let does = plan.errand(name).map(|errand| {
            let what = match &errand.run {
                Run::Command(argv) => listed(&[argv.join(" ")]),
                Run::Http(call) => format!("{} {}", call.method.word(), one_line(&call.url)),
                Run::Job(job) => format!("Job of {} in {}", one_line(&job.image), one_line(&job.namespace)),
            };
            let tries = if errand.attempts > 1 {
                format!(", {} times", errand.attempts)
            } else {
                String::new()
            };
            (what, format!("has {}{tries}", errand.timeout))
        });
        let (what, limits) = does.unwrap_or_default();
        vec![one_line(&moment.words(plan)), one_line(name), what, limits]
    };
    let all = moments.flat_map(|moment| moment.list(plan).iter().map(move |name| row(moment, name)));
    all.collect()
}

fn section(page: &mut String, title: &str, rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        page.push_str(&format!("\n{title}\n{}", columns(&rows, 2)));
    }
}

/// The sum of every least time.
fn least(plan: &Plan) -> Period {
    plan.spec
        .phases
        .iter()
        .fold(plan.spec.watch, |sum, phase| sum.plus(phase.bake))
}

fn phases(plan: &Plan) -> Vec<Vec<String>> {
    let last = plan.spec.phases.len().saturating_sub(1);
    let row = |(index, phase): (usize, &tidegate_rollout::plan::Phase)| {
        let left = match (phase.gate, index == last) {
            (Gate::Auto, false) => "then goes on when healthy",
            (Gate::Auto, true) => "then ends when healthy",
            (Gate::Manual, _) => "then waits for a person",
        };
        let groups = match phase.groups.as_slice() {
            [] => String::new(),
            groups => format!("and all of {}", listed(groups)),
        };
        let weight = format!("{:>6}", phase.weight.to_string());
        vec![
            one_line(&phase.name),
            weight,
            format!("bakes {}", phase.bake),
            left.to_owned(),
            groups,
        ]
    };
    plan.spec.phases.iter().enumerate().map(row).collect()
}

fn triggers(plan: &Plan) -> Vec<Vec<String>> {
    let row = |trigger: &tidegate_rollout::plan::Trigger| {
        let matchers: Vec<String> = trigger.alert.matchers.iter().map(ToString::to_string).collect();
        let scope = match trigger.alert.scope {
            Scope::Own => "",
            Scope::Any => " of any service",
        };
        let severity = plan
            .spec
            .severities
            .get(&trigger.severity)
            .map(meaning)
            .unwrap_or_default();
        let condition = format!("{}{scope}", listed(&matchers));
        vec![
            one_line(&trigger.name),
            condition,
            format!("{}: {severity}", one_line(&trigger.severity)),
        ]
    };
    plan.spec.triggers.iter().map(row).collect()
}

fn meaning(severity: &Severity) -> String {
    let page = if severity.page { ", pages" } else { "" };
    let action = match &severity.action {
        SeverityAction::Rollback => "rolls back at once".to_owned(),
        SeverityAction::Log => "is written down".to_owned(),
        SeverityAction::Decide(decide) => {
            let by = match decide.by.as_slice() {
                [] => "somebody decides".to_owned(),
                roles => format!(
                    "{} decides",
                    roles.iter().map(|role| one_line(role)).collect::<Vec<_>>().join(" or ")
                ),
            };
            let default = match decide.default {
                DecideDefault::Rollback => "rolls back",
                DecideDefault::Hold => "holds",
            };
            format!("{by} within {}, else {default}", decide.within)
        }
    };
    format!("{action}{page}")
}

fn silence(plan: &Plan) -> Vec<Vec<String>> {
    let no_data = match plan.spec.no_data {
        NoData::Hold => "holds and pages".to_owned(),
        NoData::RollbackAfter(after) => format!("rolls back after {after}"),
    };
    let watchdog = match plan.spec.alerts.watchdog {
        Watchdog::Required => format!(
            "must be seen to go on, by receiver {}",
            listed(&plan.spec.alerts.receivers)
        ),
        Watchdog::None => "not needed: silence counts as health".to_owned(),
    };
    vec![
        vec!["no data".to_owned(), no_data],
        vec!["watchdog".to_owned(), watchdog],
    ]
}

fn people(plan: &Plan) -> Vec<Vec<String>> {
    let row = |(name, role): (&String, &tidegate_rollout::plan::PlanRole)| {
        let members: Vec<String> = role.members.iter().map(ToString::to_string).collect();
        let duties = role.duties.as_deref().map(one_line).unwrap_or_default();
        vec![one_line(name), listed(&members), duties]
    };
    plan.spec.roles.iter().map(row).collect()
}

fn told(plan: &Plan) -> Vec<Vec<String>> {
    let row = |(name, audience): (&String, &Audience)| {
        let hears = match audience.hears {
            Hears::Pages => "hears what needs a person now",
            Hears::Milestones => "hears what changes the outcome",
            Hears::Everything => "hears everything",
        };
        vec![one_line(name), listed(&audience.channels), hears.to_owned()]
    };
    plan.spec.audiences.iter().map(row).collect()
}

fn commitments(plan: &Plan) -> Vec<Vec<String>> {
    let row = |(name, commitment): (&String, &Commitment)| {
        let when = match commitment.clock() {
            Some(clock @ Clock::Daily(_)) => format!("{clock} in {}", one_line(&plan.spec.timezone)),
            Some(clock) => clock.to_string(),
            None => String::new(),
        };
        vec![one_line(name), when, format!("to {}", listed(&commitment.to))]
    };
    plan.spec.commitments.iter().map(row).collect()
}

fn listed(words: &[String]) -> String {
    words.iter().map(|word| one_line(word)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_reads_like_a_page() {
        let text = include_str!("../../../../deploy/examples/checkout/plan.yaml");
        let plan = check(text).plan.expect("a plan");
        insta::assert_snapshot!(page(&plan), @r#"
        New checkout to production
          plan     checkout (digest ba73c4b6606f)
          service  checkout in production
          moves    flag checkout-v2
          mode     armed: rolls back by itself

        Phases
          canary        15%  bakes 30m  then goes on when healthy  and all of staff
          some          40%  bakes 2h   then waits for a person    and all of staff
          everybody    100%  bakes 4h   then ends when healthy
          then watched for 1d; done after 1d6h at the earliest

        Stopped by
          error-rate        alertname="CheckoutErrorRateHigh", severity="critical"          sev1: rolls back at once, pages
          slow              alertname="CheckoutLatencyHigh"                                 sev2: incident-commander or oncall decides within 15m, else rolls back, pages
          payment-provider  service=~"payments|ledger", severity="critical" of any service  sev3: is written down

        Silence
          no data   holds and pages
          watchdog  must be seen to go on, by receiver default

        People
          incident-commander  mara      Decides, keeps stakeholders told, calls a rollback rather early than late.
          oncall              jon, nia

        Told
          oncall        pager          hears what needs a person now
          stakeholders  announcements  hears what changes the outcome
          team          chat, log      hears everything

        Commitments
          cutover     an update every 1h while in cutover          to stakeholders
          day         a report each day at 17:00 in Europe/Berlin  to stakeholders
          first-word  the first word within 5m of an incident      to stakeholders
        "#);
    }
}
