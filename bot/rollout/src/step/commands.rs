//! Owns what people's words do to a rollout.
//! Refuses with a reason and a next step, and never half-does anything.

use crate::command::{Answer, Command, Verb};
use crate::notice::NoticeKind;
use crate::period::Period;
use crate::person::Actor;
use crate::policy;
use crate::refusal::{Code, Refusal};
use crate::rollout::{Because, Decision, Guard, Hold, Holder, Pause, Stage};

use super::{Work, advance, hooks, rollback, signoffs, suspects};

pub(super) fn commanded(
    work: &mut Work<'_>,
    actor: &Actor,
    command: &Command,
    seen: Option<u64>,
) -> Result<(), Refusal> {
    may_answer(work, actor, command)?;
    // A late press of Rollback still means rollback, also as the answer to a question that is still open; every other
    // stale press is answered.
    if let Some(seen) = seen
        && seen != work.next.generation
        && !names_its_rollback(command)
    {
        return Err(stale(work, seen));
    }
    match command {
        Command::Rollback { reason } => roll_back(work, actor, reason),
        Command::Note { text } => {
            work.note("note", actor.person.to_string(), text.clone());
            Ok(())
        }
        Command::Abort { reason } => abort(work, actor, reason),
        Command::Advance
        | Command::Pause { .. }
        | Command::Resume
        | Command::Retry
        | Command::Approve { .. }
        | Command::Check { .. }
        | Command::Ack { .. }
        | Command::Hold { .. }
        | Command::Release { .. }
        | Command::Decide { .. } => {
            must_be_under_way(work)?;
            steer(work, actor, command)
        }
    }
}

/// A question that names roles of the plan may be answered by their members as well as by the server's roles.
fn may_answer(work: &Work<'_>, actor: &Actor, command: &Command) -> Result<(), Refusal> {
    let plan = &work.next.plan;
    if let Command::Decide { number, .. } = command
        && let Ok(decision) = the_decision(work, *number)
        && !decision.by.is_empty()
    {
        let named = decision
            .by
            .iter()
            .any(|role| plan.members(role).contains(&actor.person));
        if named || policy::commands(actor, plan) {
            return Ok(());
        }
        let who: Vec<String> = decision
            .by
            .iter()
            .map(|role| format!("{role} ({})", signoffs::listed(plan.members(role).iter())))
            .collect();
        return Err(Refusal::new(
            Code::R301,
            format!(
                "Decision {} is for {}; {} is none of them.",
                decision.number,
                who.join(", "),
                actor.person
            ),
            "Ask one of them, or the incident commander. `rollback` is always possible for those who may roll back.",
        ));
    }
    policy::may(actor, &Verb::Do(command.clone()), Some(plan))
}

/// A press that does not say which question it answers may be about another one by now.
fn names_its_rollback(command: &Command) -> bool {
    command.wants_rollback() && !matches!(command, Command::Decide { number: None, .. })
}

fn stale(work: &Work<'_>, seen: u64) -> Refusal {
    Refusal::new(
        Code::R401,
        format!(
            "That button is from revision {seen}; {} is at revision {} ({}). Nothing was done.",
            work.next.id,
            work.next.generation,
            work.next.state_word()
        ),
        "Look at the present state, then decide again.",
    )
}

fn must_be_under_way(work: &Work<'_>) -> Result<(), Refusal> {
    match &work.next.stage {
        Stage::RollingBack { since, .. } => Err(Refusal::new(
            Code::R402,
            format!(
                "{} is rolling back since {}; nothing else is possible.",
                work.next.id,
                Period::between(*since, work.now)
            ),
            "A rollback cannot be undone; start a new rollout afterwards.",
        )),
        Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => Err(over(work)),
        Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. } => Ok(()),
    }
}

fn over(work: &Work<'_>) -> Refusal {
    Refusal::new(
        Code::R403,
        format!("{} is over: {}.", work.next.id, work.next.state_word()),
        "Start a new rollout: `start <plan> version:<v>`.",
    )
}

fn roll_back(work: &mut Work<'_>, actor: &Actor, reason: &str) -> Result<(), Refusal> {
    if let Stage::RollingBack { stuck: Some(why), .. } = &work.next.stage
        && why != rollback::ASKED_AGAIN
    {
        let text = format!("{} asked for zero once more.", actor.person);
        work.note("rolling-back", actor.person.to_string(), text);
        rollback::try_again(work);
        return Ok(());
    }
    if let Stage::RollingBack { since, .. } = &work.next.stage {
        let since = Period::between(*since, work.now);
        return Err(Refusal::new(
            Code::R402,
            format!(
                "{} is already rolling back, since {since}. I did not start a second one.",
                work.next.id
            ),
            "Say `status` to watch it.",
        ));
    }
    // It may still wait for its last hooks.
    if work.next.is_final() || work.next.is_latched() {
        return Err(over(work));
    }
    rollback::by_person(
        work,
        Because::Person {
            by: actor.person.clone(),
            reason: reason.to_owned(),
        },
    );
    Ok(())
}

fn abort(work: &mut Work<'_>, actor: &Actor, reason: &str) -> Result<(), Refusal> {
    // Also one that never carried traffic: a rollback that was decided is not undone.
    must_be_under_way(work)?;
    if work.next.exposed_at.is_some() {
        return Err(Refusal::new(
            Code::R404,
            format!(
                "{} carries {}; ending it here would leave traffic split.",
                work.next.id, work.next.wanted
            ),
            "Say `rollback` to return traffic to the old version.",
        ));
    }
    if !work.next.hooks.is_empty() {
        return Err(Refusal::new(
            Code::R404,
            format!(
                "Hooks of {} have begun; ending it here would leave their work half done.",
                work.next.id
            ),
            "Say `rollback`: it does what the plan says for the way back.",
        ));
    }
    work.next.bake.since = None;
    work.next.stage = Stage::Aborted {
        at: work.now,
        by: actor.person.clone(),
        reason: reason.to_owned(),
    };
    work.say(NoticeKind::Aborted {
        by: actor.person.to_string(),
        reason: reason.to_owned(),
    });
    Ok(())
}

fn steer(work: &mut Work<'_>, actor: &Actor, command: &Command) -> Result<(), Refusal> {
    let by = actor.person.to_string();
    match command {
        Command::Advance => advance::by_person(work, &actor.person),
        Command::Retry => hooks::retry(work, actor),
        Command::Approve { role, comment } => signoffs::approve(work, actor, role.as_deref(), comment),
        Command::Check { item, done, evidence } => signoffs::check(work, actor, item, *done, evidence),
        Command::Ack { alert, number } => signoffs::acknowledge(work, actor, alert.as_deref(), *number),
        Command::Pause { reason } => pause(work, actor, reason),
        Command::Resume => match work.next.pause.take() {
            None => Err(Refusal::new(
                Code::R405,
                format!("{} is not paused.", work.next.id),
                "There is nothing to resume. Say `status` to see what it waits for.",
            )),
            Some(pause) => {
                let stood = Period::between(pause.at, work.now);
                work.say(NoticeKind::Resumed { by, stood });
                Ok(())
            }
        },
        Command::Hold { reason, until } => {
            let number = work.number();
            work.next.holds.push(Hold {
                number,
                by: Holder::Person(actor.person.clone()),
                reason: reason.clone(),
                at: work.now,
                until: *until,
                subject: String::new(),
            });
            work.say(NoticeKind::Held {
                number,
                by,
                reason: reason.clone(),
                until: *until,
            });
            Ok(())
        }
        Command::Release { number } => release(work, actor, *number),
        Command::Decide { number, answer } => decide(work, actor, *number, *answer),
        Command::Rollback { .. } | Command::Abort { .. } | Command::Note { .. } => Ok(()),
    }
}

fn pause(work: &mut Work<'_>, actor: &Actor, reason: &str) -> Result<(), Refusal> {
    if let Some(pause) = &work.next.pause {
        let since = Period::between(pause.at, work.now);
        return Err(Refusal::new(
            Code::R402,
            format!("{} paused it already, {since} ago.", pause.by),
            "Guards stay armed meanwhile. Say `resume` to go on.",
        ));
    }
    work.next.pause = Some(Pause {
        by: actor.person.clone(),
        at: work.now,
        reason: reason.to_owned(),
    });
    work.say(NoticeKind::Paused {
        by: actor.person.to_string(),
        reason: reason.to_owned(),
    });
    Ok(())
}

/// A hold goes away by the hand that the policy names.
fn release(work: &mut Work<'_>, actor: &Actor, number: u32) -> Result<(), Refusal> {
    let Some(place) = work.next.holds.iter().position(|hold| hold.number == number) else {
        let numbers: Vec<String> = work.next.holds.iter().map(|hold| hold.number.to_string()).collect();
        let hint = match numbers.as_slice() {
            [] => "There are no holds.".to_owned(),
            numbers => format!("In force: {}.", numbers.join(", ")),
        };
        return Err(Refusal::new(
            Code::R407,
            format!("{} has no hold {number}.", work.next.id),
            hint,
        ));
    };
    let holder = work.next.holds[place].by.clone();
    policy::may_release(actor, &holder, number, &work.next.plan)?;
    let released = work.next.holds.remove(place);
    if released.by == Holder::Guard(Guard::Unreadable) {
        suspects::settled_by_person(work, &released.subject);
    }
    if let Holder::Guard(guard) = released.by
        && guard.is_for_hook()
    {
        hooks::accepted(work, &released.subject, &actor.person);
    }
    work.say(NoticeKind::Released {
        number,
        by: actor.person.to_string(),
    });
    Ok(())
}

fn the_decision(work: &Work<'_>, number: Option<u32>) -> Result<Decision, Refusal> {
    let open = &work.next.decisions;
    let found = match number {
        Some(number) => open.iter().find(|decision| decision.number == number),
        None if open.len() == 1 => open.first(),
        None => None,
    };
    found.cloned().ok_or_else(|| {
        let numbers: Vec<String> = open.iter().map(|decision| decision.number.to_string()).collect();
        match numbers.as_slice() {
            [] => Refusal::new(
                Code::R407,
                "No question is open.",
                "Say `status` for what it waits for.",
            ),
            numbers => {
                let hint = format!("Say which one: {}.", numbers.join(", "));
                Refusal::new(Code::R407, "I can't tell which question you answer.", hint)
            }
        }
    })
}

fn decide(work: &mut Work<'_>, actor: &Actor, number: Option<u32>, answer: Answer) -> Result<(), Refusal> {
    let decision = the_decision(work, number)?;
    work.next.decisions.retain(|other| other.number != decision.number);
    let word = match answer {
        Answer::Continue => "continue",
        Answer::Rollback => "rollback",
    };
    work.say(NoticeKind::DecisionAnswered {
        number: decision.number,
        by: actor.person.to_string(),
        answer: word.to_owned(),
    });
    match answer {
        Answer::Continue => Ok(()),
        Answer::Rollback => roll_back(work, actor, &decision.question),
    }
}
