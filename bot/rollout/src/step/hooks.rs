//! Owns when hooks are asked for, and what their answers mean: before a phase, after it, and on the way back.
//! Refuses to move traffic before every `before` has passed, and to let anything on the way back wait for a hook.

use std::collections::BTreeMap;

use crate::action::{ActionKind, Outcome};
use crate::hook::{Ended, HookEnd, HookRun, Moment, Output, patience};
use crate::ids::{ActionId, PersonId};
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::person::Actor;
use crate::planted::{self, Bug};
use crate::refusal::{Code, Refusal};
use crate::rollout::{Guard, Holder, Rollout, Stage};

use super::blocker::in_the_way;
use super::{Work, advance, signoffs};

/// How much of its output is said in a notice, in bytes; the log has more.
const EXCERPT: usize = 700;
/// How often the silence of workers is counted anew while something stands in the way of a hook.
const LOOKED_AGAIN: Period = Period::seconds(150);

/// Asks for the hook at a place of the list of `moment`.
pub(super) fn ask(work: &mut Work<'_>, moment: Moment, place: usize, attempt: u32) {
    let plan = std::sync::Arc::clone(&work.next.plan);
    let Some(name) = moment.list(&plan).get(place) else {
        return;
    };
    // A plan that names what it does not have is refused when it is read.
    let Some(errand) = plan.errand(name) else {
        return;
    };
    let pause = if attempt == 1 { Period::ZERO } else { errand.pause };
    let action = work.ask(ActionKind::RunHook {
        name: name.clone(),
        moment,
        errand: Box::new(errand),
        facts: facts(&work.next, name, moment),
    });
    work.next.hooks.push(HookRun {
        name: name.clone(),
        moment,
        place,
        action: action.clone(),
        attempt,
        since: work.now,
        not_before: work.now.saturating_add(pause.duration()).unwrap_or(work.now),
        heard: work.now,
        end: None,
        settled_by: None,
    });
    if let Stage::Advancing {
        action: in_force,
        since,
        failed,
        ..
    } = &mut work.next.stage
    {
        (*in_force, *since, *failed) = (action, work.now, None);
    }
}

/// What a hook is told of the rollout.
fn facts(rollout: &Rollout, name: &str, moment: Moment) -> BTreeMap<String, String> {
    let spec = &rollout.plan.spec;
    let phase = match moment {
        Moment::Before(index) | Moment::After(index) => spec.phases.get(index),
        Moment::Rollback => None,
    };
    let when = match moment {
        Moment::Before(_) => "before",
        Moment::After(_) => "after",
        Moment::Rollback => "rollback",
    };
    let weight = phase.map_or(rollout.wanted, |phase| phase.weight);
    let known = [
        ("ROLLOUT_ID", rollout.id.to_string()),
        ("ROLLOUT_PLAN", rollout.plan.name().to_owned()),
        ("ROLLOUT_SERVICE", spec.service.clone()),
        ("ROLLOUT_ENVIRONMENT", spec.environment.clone()),
        (
            "ROLLOUT_PHASE",
            phase.map_or_else(String::new, |phase| phase.name.clone()),
        ),
        ("ROLLOUT_WEIGHT", weight.to_string()),
        ("ROLLOUT_MOMENT", when.to_owned()),
        ("ROLLOUT_HOOK", name.to_owned()),
    ];
    let inputs = rollout.inputs.iter().map(|(key, value)| {
        let fits = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        };
        let key: String = key.chars().map(fits).collect();
        (format!("ROLLOUT_INPUT_{key}"), value.clone())
    });
    let known = known.into_iter().map(|(key, value)| (key.to_owned(), value));
    known.chain(inputs).collect()
}

/// Goes on with what is due: the next hook, or what was waiting for the last one. Runs at the end of every step.
pub(super) fn go_on(work: &mut Work<'_>) {
    if work.next.hook_awaited().is_some() || work.next.hook_unsettled().is_some() {
        return;
    }
    match work.next.stage.clone() {
        Stage::Advancing { phase, action, .. } if work.next.is_hook(&action) => {
            let moment = Moment::Before(phase);
            if !advance::may_go_on(work) {
                return;
            }
            match work.next.next_hook(moment) {
                Some(place) => ask(work, moment, place, 1),
                None => advance::ask_weight(work, phase),
            }
        }
        Stage::AtGate { phase, .. } => {
            let moment = Moment::After(phase);
            if let Some(place) = work.next.next_hook(moment) {
                ask(work, moment, place, 1);
            }
        }
        Stage::RolledBack { .. } => {
            if let Some(place) = work.next.next_hook(Moment::Rollback) {
                ask(work, Moment::Rollback, place, 1);
            }
        }
        Stage::RollingBack { .. } if planted::on(Bug::HookBeforeZero) => {
            if let Some(place) = work.next.next_hook(Moment::Rollback) {
                ask(work, Moment::Rollback, place, 1);
            }
        }
        Stage::Advancing { .. }
        | Stage::Baking { .. }
        | Stage::Watching { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => {}
    }
}

/// A worker tells how a hook does. Only the one that is waited for counts.
pub(super) fn reported(work: &mut Work<'_>, action: &ActionId, outcome: &Outcome) {
    let awaited = work
        .next
        .hooks
        .iter()
        .find(|run| run.action == *action && run.end.is_none());
    if awaited.is_none() {
        if let Outcome::Hooked(end) = outcome {
            late(work, action, end);
        }
        return;
    }
    match outcome {
        // It is waited for; how long is counted from when it could begin.
        Outcome::Failing { .. } => {}
        Outcome::Hooked(end) => ended(work, action, (**end).clone()),
        // The worker could not do it, and cannot say whether it was done.
        Outcome::GaveUp { why, .. } => ended(work, action, without_word(why.clone())),
        Outcome::Applied(_)
        | Outcome::Foreign { .. }
        | Outcome::Fenced { .. }
        | Outcome::Asked { .. }
        | Outcome::Logs(_) => {}
    }
}

fn without_word(why: String) -> HookEnd {
    HookEnd {
        how: Ended::Unknown,
        why,
        took: None,
        output: Output::default(),
    }
}

/// It was given up already; what a worker says now is kept for people who look back.
fn late(work: &mut Work<'_>, action: &ActionId, end: &HookEnd) {
    let Some(run) = work.next.hooks.iter().find(|run| run.action == *action) else {
        return;
    };
    // The same word said again, by a worker that could not know that it had been heard.
    let known = run.end.as_ref();
    if known.is_some_and(|known| (known.how, &known.why) == (end.how, &end.why)) {
        return;
    }
    let text = format!(
        "Late word of hook {}: {}. It changes nothing any more.",
        run.name, end.why
    );
    work.note("hook-late", "tidegate".to_owned(), text);
}

fn ended(work: &mut Work<'_>, action: &ActionId, mut end: HookEnd) {
    let Some(index) = work.next.hooks.iter().position(|run| run.action == *action) else {
        return;
    };
    let plan = std::sync::Arc::clone(&work.next.plan);
    let (name, moment) = (work.next.hooks[index].name.clone(), work.next.hooks[index].moment);
    let (place, attempt) = (work.next.hooks[index].place, work.next.hooks[index].attempt);
    let errand = plan.errand(&name);
    let repeatable = errand.as_ref().is_some_and(|errand| errand.idempotent);
    // Of what may be repeated it does not matter how far it came.
    if end.how == Ended::Unknown && repeatable {
        end.how = Ended::Failed;
    }
    let when = moment.words(&plan);
    let output = end.output.excerpt(EXCERPT);
    // The rollout is read at every step, the log only by people: what was printed is kept there.
    let kept = HookEnd {
        output: Output::default(),
        ..end.clone()
    };
    work.next.hooks[index].end = Some(kept);
    work.next.progress = None;
    if end.output.tail.len() > output.len() {
        let cut = match end.output.cut {
            0 => String::new(),
            cut => format!(" ({cut} bytes before it are not kept)"),
        };
        let text = format!("Hook {name} {when} printed{cut}:\n{}", end.output.tail);
        work.note("hook-output", "tidegate".to_owned(), text);
    }
    let again = errand.is_some_and(|errand| attempt < errand.attempts) && repeatable && !work.next.is_final();
    match end.how {
        Ended::Passed => {
            work.say(NoticeKind::HookPassed {
                hook: name,
                when,
                took: end.took,
                output,
            });
            settled(work, moment);
        }
        Ended::NotRun => work.note(
            "hook-not-run",
            "tidegate".to_owned(),
            format!("Hook {name} {when} was not run: {}.", end.why),
        ),
        // What led to it is overtaken: a rollback was decided meanwhile.
        Ended::Failed if again && (moment == Moment::Rollback || !work.next.is_latched()) => {
            work.note(
                "hook-tried-again",
                "tidegate".to_owned(),
                with_output(
                    format!(
                        "Hook {name} {when} failed, try {attempt}: {}. It is tried again.",
                        end.why
                    ),
                    &output,
                ),
            );
            ask(work, moment, place, attempt + 1);
        }
        Ended::Failed | Ended::Unknown => did_not_pass(work, action, &end, moment),
    }
}

/// It is told; going forward the rollout holds until a person has settled it. On the way back nothing waits.
fn did_not_pass(work: &mut Work<'_>, action: &ActionId, end: &HookEnd, moment: Moment) {
    let plan = std::sync::Arc::clone(&work.next.plan);
    let name = work.next.hooks.iter().find(|run| run.action == *action);
    let name = name.map_or_else(String::new, |run| run.name.clone());
    let when = moment.words(&plan);
    let unknown = end.how == Ended::Unknown;
    let hold = (moment != Moment::Rollback && !work.next.is_latched()).then(|| {
        let guard = if unknown { Guard::HookUnknown } else { Guard::HookFailed };
        let what = if unknown {
            "may have run, wholly or in part"
        } else {
            "failed"
        };
        let reason = format!("hook {name} {when} {what}: {}", end.why);
        work.place_hold(guard, action.as_str(), reason)
    });
    work.say(NoticeKind::HookFailed {
        hook: name,
        when,
        why: end.why.clone(),
        took: end.took,
        output: end.output.excerpt(EXCERPT),
        hold,
        unknown,
    });
}

fn with_output(text: String, output: &str) -> String {
    if output.is_empty() {
        return text;
    }
    format!("{text} Its output ended with: {output}")
}

/// The last hook after a phase is settled: only now its gate waits for a person.
fn settled(work: &mut Work<'_>, moment: Moment) {
    let Moment::After(phase) = moment else {
        return;
    };
    let at_its_gate = matches!(work.next.stage, Stage::AtGate { phase: at, .. } if at == phase);
    if at_its_gate && work.next.next_hook(moment).is_none() {
        signoffs::ask(work, phase);
    }
}

/// A person released the hold of a hook: the rollout goes on without it, and says by whose word.
pub(super) fn accepted(work: &mut Work<'_>, subject: &str, by: &PersonId) {
    let run = work.next.hooks.iter_mut().find(|run| run.action.as_str() == subject);
    let Some(run) = run.filter(|run| run.end.is_some() && !run.is_settled()) else {
        return;
    };
    run.settled_by = Some(by.clone());
    let (name, moment) = (run.name.clone(), run.moment);
    let when = moment.words(&work.next.plan);
    work.note(
        "hook-skipped",
        by.to_string(),
        format!("{by} goes on without hook {name} {when}, which did not pass."),
    );
    settled(work, moment);
}

/// A person has the hook run once more that did not pass.
pub(super) fn retry(work: &mut Work<'_>, actor: &Actor) -> Result<(), Refusal> {
    let Some(run) = work.next.hook_unsettled().cloned() else {
        return Err(Refusal::new(
            Code::R405,
            format!("No hook of {} waits to be tried again.", work.next.id),
            "Say `status` to see what it waits for; `advance` asks a target again.",
        ));
    };
    let subject = run.action.as_str();
    work.next
        .holds
        .retain(|hold| !is_for(&hold.by) || hold.subject != subject);
    ask(work, run.moment, run.place, 1);
    let when = run.moment.words(&work.next.plan);
    work.note(
        "hook-retried",
        actor.person.to_string(),
        format!("{} has hook {} {when} run once more.", actor.person, run.name),
    );
    Ok(())
}

fn is_for(holder: &Holder) -> bool {
    match holder {
        Holder::Guard(guard) => guard.is_for_hook(),
        Holder::Person(_) => false,
    }
}

/// A rollback is decided: nobody has to settle what was done on the way forward.
pub(super) fn overtaken(work: &mut Work<'_>) -> Vec<u32> {
    let over = work.next.holds.extract_if(.., |hold| is_for(&hold.by));
    over.map(|hold| hold.number).collect()
}

/// A worker that says nothing is as bad as one that fails. Its time is counted anew while it rightly waits.
pub(super) fn mind_silence(work: &mut Work<'_>) {
    let now = work.now;
    let Some(run) = work.next.hook_awaited().cloned() else {
        return;
    };
    let silent = Period::between(run.heard, now);
    let forward = run.moment != Moment::Rollback && !work.next.is_latched();
    let waits = forward && in_the_way(&work.next, work.around, now).is_some();
    if waits && silent >= LOOKED_AGAIN {
        for other in work.next.hooks.iter_mut().filter(|other| other.action == run.action) {
            other.heard = now;
        }
        return;
    }
    let allowed = work.next.plan.errand(&run.name).map(|errand| patience(&errand));
    if !waits && allowed.is_none_or(|allowed| silent >= allowed) {
        ended(
            work,
            &run.action,
            without_word(format!("no worker has answered for {silent}")),
        );
    }
}
