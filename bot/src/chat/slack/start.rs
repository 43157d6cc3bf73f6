//! Owns the form that starts a plan: which plan, what it asks for, and the preflight, all of it seen before anything begins.
//! Refuses to start on what it showed: the core asks everything again when the form is sent off.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::Refusal;
use tidegate_rollout::command::Verb;
use tidegate_webhooks::slack::View;

use super::super::{Desk, DeskError, Dispatcher, Occasion, Preflight, words as shared};
use super::Response;
use crate::render::slack::{self, Run, plain};

/// Our name for the form.
const FORM: &str = "start";
/// What stands above it.
const TITLE: &str = "Start a rollout";
/// The block with the list of plans, and the list.
pub(super) const PLAN: &str = "plan";
/// The blocks with what a plan asks for begin so.
const INPUT: &str = "input:";
/// The most options of a list, and so the most plans that can be chosen.
const MOST_PLANS: usize = 100;
/// The most inputs that fit into the form beside the rest.
const MOST_INPUTS: usize = 20;

type Inputs = BTreeMap<String, String>;

/// Opens the form, with what was said already filled in.
pub(super) async fn open<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    said: Option<(&str, &Inputs)>,
) -> Result<Response, DeskError> {
    let plans = dispatcher.desk().plans();
    let Some(first) = plans.first() else {
        return Ok(Response::Say(super::words::answer(&shared::no_plan().into())));
    };
    let nothing = Inputs::new();
    let (plan, inputs) = said.unwrap_or((first, &nothing));
    Ok(match form(dispatcher, occasion, &plans, plan, inputs).await? {
        Ok(view) => Response::Open(view),
        Err(refusal) => Response::Say(super::words::answer(&refusal.into())),
    })
}

/// Somebody chose another plan in the form: the preflight and the questions are those of that plan now.
///
/// # Errors
/// [`DeskError`] when the preflight could not be read.
pub async fn chosen<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    plan: &str,
    view: &View,
) -> Result<Response, DeskError> {
    let plans = dispatcher.desk().plans();
    let (_, inputs) = filled_in(view);
    let view = form(dispatcher, occasion, &plans, plan, &inputs).await?;
    Ok(view.map_or(Response::Nothing, Response::Replace))
}

/// The form was sent off: starts the plan, or shows in the form why not.
///
/// # Errors
/// [`DeskError`] when the order could not be stored; nothing was done then.
pub async fn submitted<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    view: &View,
    now: Timestamp,
) -> Result<Response, DeskError> {
    if view.callback != FORM {
        return Ok(Response::Nothing);
    }
    let (Some(plan), inputs) = filled_in(view) else {
        return Ok(beside_the_plan("Choose a plan."));
    };
    let verb = Verb::Start { plan, inputs };
    let answer = dispatcher.dispatch(occasion.request(verb, None, None), now).await?;
    Ok(match answer.ok {
        true => Response::Done(super::words::told(&answer.in_words())),
        false => beside_the_plan(&answer.in_words()),
    })
}

fn beside_the_plan(why: &str) -> Response {
    Response::Errors {
        beside: json!({ PLAN: slack::within(why, 1_000) }),
        message: super::words::told(why),
    }
}

/// The form once more, with what was filled in, below the message that says why it was not taken; the message alone where the
/// form cannot be drawn.
pub async fn again<D: Desk>(dispatcher: &Dispatcher<D>, occasion: &Occasion, view: &View, message: &Value) -> Value {
    let (Some(plan), inputs) = filled_in(view) else {
        return as_form(message);
    };
    let plans = dispatcher.desk().plans();
    let Ok(Ok(mut form)) = form(dispatcher, occasion, &plans, &plan, &inputs).await else {
        return as_form(message);
    };
    if let Some(Value::Array(blocks)) = form.get_mut("blocks") {
        blocks.splice(0..0, blocks_of(message));
    }
    form
}

/// A message in the place of the form.
pub fn as_form(message: &Value) -> Value {
    json!({
        "type": "modal",
        "callback_id": "answer",
        "title": plain(TITLE, 24),
        "close": plain("Close", 24),
        "blocks": blocks_of(message),
    })
}

fn blocks_of(message: &Value) -> Vec<Value> {
    let blocks = message.get("blocks").and_then(Value::as_array);
    blocks.cloned().unwrap_or_default()
}

/// What stands in the place of the form while it is worked on.
pub fn working_form() -> Value {
    as_form(&super::words::told(shared::WORKING_ON_A_FORM))
}

/// The plan and the inputs in a form that came back.
fn filled_in(view: &View) -> (Option<String>, Inputs) {
    let plan = view.fields.iter().find(|(block, _)| block == PLAN);
    let inputs = view.fields.iter().filter_map(|(block, value)| {
        let name = block.strip_prefix(INPUT)?;
        // The block carries the plan's name too, so that Slack does not keep what was typed for another plan.
        let (name, _) = name.split_once('@').unwrap_or((name, ""));
        (!value.trim().is_empty()).then(|| (name.to_owned(), value.trim().to_owned()))
    });
    (plan.map(|(_, plan)| plan.clone()), inputs.collect())
}

async fn form<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    plans: &[String],
    plan: &str,
    inputs: &Inputs,
) -> Result<Result<Value, Refusal>, DeskError> {
    let preflight = dispatcher.desk().preflight(&occasion.actor, plan, inputs).await?;
    Ok(preflight.map(|preflight| view(plans, &preflight)))
}

fn view(plans: &[String], preflight: &Preflight) -> Value {
    let option = |name: &String| json!({ "text": plain(name, 75), "value": slack::within(name, 150) });
    let mut options: Vec<Value> = plans.iter().take(MOST_PLANS).map(option).collect();
    if !plans.iter().take(MOST_PLANS).any(|name| *name == preflight.plan) {
        options.pop();
        options.push(option(&preflight.plan));
    }
    let mut blocks = vec![json!({
        "type": "input",
        "block_id": PLAN,
        "dispatch_action": true,
        "label": plain("Plan", 2_000),
        "element": {
            "type": "static_select",
            "action_id": PLAN,
            "options": options,
            "initial_option": option(&preflight.plan),
        },
    })];
    blocks.push(slack::words("title", &preflight.title));
    blocks.extend(preflight.inputs.iter().take(MOST_INPUTS).map(|input| {
        let mut element = json!({ "type": "plain_text_input", "action_id": "value", "max_length": 200 });
        if let Some(value) = &input.value {
            element["initial_value"] = value.chars().take(200).collect::<String>().into();
        }
        json!({
            "type": "input",
            "block_id": format!("{INPUT}{}@{}", input.name, preflight.plan),
            "optional": !input.required,
            "label": plain(&input.name, 2_000),
            "element": element,
        })
    }));
    blocks.push(slack::header("Preflight"));
    blocks.push(slack::lines("preflight", &points(preflight)));
    json!({
        "type": "modal",
        "callback_id": FORM,
        "title": plain(TITLE, 24),
        "submit": plain("Start", 24),
        "close": plain("Not now", 24),
        "blocks": blocks,
    })
}

fn points(preflight: &Preflight) -> Vec<Vec<Run>> {
    let line = |check: &tidegate_rollout::begin::Check| match &check.trouble {
        None => vec![Run::Bold("OK"), Run::Plain(format!("  {}", check.what))],
        Some(why) => vec![Run::Bold("NOT YET"), Run::Plain(format!("  {}: {why}", check.what))],
    };
    preflight.checks.iter().map(line).collect()
}
