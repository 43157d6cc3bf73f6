//! Owns the form that starts a plan in Discord: which plan, what it asks for, and the preflight, all of it seen before anything
//! begins. A form there cannot change while it is open, so the plan is chosen first, from a list.
//! Refuses to start on what it showed: the core asks everything again when the form is sent off.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tidegate_rollout::Refusal;
use tidegate_rollout::begin::Check;
use tidegate_rollout::command::Verb;
use tidegate_rollout::command::grammar::{Word, split};
use tidegate_rollout::refusal::Code;
use tidegate_webhooks::discord::Form as Sent;

use super::super::{Answer, Asked, Desk, DeskError, Dispatcher, Occasion, Preflight, words as shared};
use super::{Response, confirm, words};
use crate::render::Button;
use crate::render::discord::{
    CHOICES, CONTENT, Field, Form, List, MOST_FIELDS, Markup, Message, WORDS, read_custom_id,
};

/// Our name for the form, and for the button that starts a plan which asks for nothing.
const FORM: &str = "start";
pub(super) const START: &str = "start!";
/// The button that opens the form.
pub(super) const OPEN: &str = "form";
/// The list of plans.
const PLAN: &str = "plan";
/// The fields with what a plan asks for begin so; what has no field of its own goes into the last one.
const INPUT: &str = "input:";
const INPUTS: &str = "inputs";

type Inputs = BTreeMap<String, String>;

/// Asks which plan, where none was named and there are several; else opens the form, with what was said already filled in.
pub(super) async fn open<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    said: Option<(&str, &Inputs)>,
) -> Result<Response, DeskError> {
    let (plans, nothing) = (dispatcher.desk().plans(), Inputs::new());
    let (plan, inputs) = match (said, plans.as_slice()) {
        (Some(said), _) => said,
        (None, [only]) => (only.as_str(), &nothing),
        (None, []) => return Ok(refused(&shared::no_plan())),
        (None, _) => return Ok(Response::Tell(which(plans))),
    };
    Ok(
        match dispatcher.desk().preflight(&occasion.actor, plan, inputs).await? {
            Err(refusal) => refused(&refusal),
            Ok(preflight) => form(&preflight),
        },
    )
}

/// Somebody chose a plan from the list.
///
/// # Errors
/// [`DeskError`] when the preflight could not be read.
pub async fn chosen<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    list: &str,
    plan: &str,
) -> Result<Response, DeskError> {
    match read_custom_id(list) {
        Some((PLAN, _)) => open(dispatcher, occasion, Some((plan, &Inputs::new()))).await,
        Some(_) | None => Ok(refused(&confirm::strange())),
    }
}

/// The form was sent off: starts the plan, or says why not.
///
/// # Errors
/// [`DeskError`] when the order could not be stored; nothing was done then.
pub async fn submitted<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    sent: &Sent,
    now: Timestamp,
) -> Result<Response, DeskError> {
    let Some((FORM, plan)) = read_custom_id(&sent.name) else {
        return Ok(refused(&confirm::strange()));
    };
    let answer = match filled_in(sent) {
        Err(refusal) => refusal.into(),
        Ok(inputs) => start(dispatcher, occasion, plan, inputs, now).await?,
    };
    let mut told = words::answer(&answer);
    if !answer.ok {
        told.buttons.push(button(OPEN, plan, "Open the form again…"));
    }
    Ok(Response::Tell(told))
}

/// Starts a plan with what was filled in.
pub(super) async fn start<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    plan: &str,
    inputs: Inputs,
    now: Timestamp,
) -> Result<Answer, DeskError> {
    let verb = Verb::Start {
        plan: plan.to_owned(),
        inputs,
    };
    dispatcher.dispatch(occasion.request(verb, None, None), now).await
}

fn refused(refusal: &Refusal) -> Response {
    Response::Tell(words::answer(&refusal.clone().into()))
}

fn which(plans: Vec<String>) -> Message {
    let left_out = plans.len().saturating_sub(CHOICES);
    let more = match left_out {
        0 => String::new(),
        many => format!(" {many} more do not fit into the list: name one of them as `plan`."),
    };
    Message {
        list: Some(List {
            action: PLAN,
            label: "The plan to start",
            options: plans,
        }),
        ..Message::words(Markup::text(&format!("Which plan?{more}"), CONTENT))
    }
}

/// The form; a plan that asks for nothing is shown with a button, as a form needs a field.
fn form(preflight: &Preflight) -> Response {
    let form = Form {
        action: FORM,
        value: preflight.plan.clone(),
        title: format!("Start {}", preflight.plan),
        words: points(preflight, WORDS),
        fields: fields(&preflight.inputs),
    };
    let instead = format!(
        "The form cannot be shown now. Open it once more, or say it in words: start plan:{} …",
        preflight.plan
    );
    let instead = Message {
        buttons: vec![button(OPEN, &preflight.plan, "Open the form…")],
        ..words::plain(&instead)
    };
    match form.drawn().filter(|_| comes_back(&preflight.inputs)) {
        _ if preflight.inputs.is_empty() => Response::Tell(Message {
            content: points(preflight, CONTENT),
            buttons: vec![
                button(START, &preflight.plan, "Start"),
                button(confirm::LEAVE, &preflight.plan, "Not now"),
            ],
            ..Message::default()
        }),
        Some(form) => Response::Open { form, instead },
        None => Response::Tell(instead),
    }
}

fn points(preflight: &Preflight, most: usize) -> Markup {
    let line = |check: &Check| match &check.trouble {
        None => Markup::bold("OK").and(Markup::text(&format!(" {}", check.what), most)),
        Some(why) => Markup::bold("NOT YET").and(Markup::text(&format!(" {}: {why}", check.what), most)),
    };
    let title = Markup::text(&preflight.title, 256);
    Markup::lines(std::iter::once(title).chain(preflight.checks.iter().map(line))).within(most)
}

/// Whether what is filled in already can be said in the grammar of the last field, which knows no quote inside of quotes.
fn comes_back(inputs: &[Asked]) -> bool {
    let quoted = |input: &Asked| input.value.as_ref().is_some_and(|value| value.contains('"'));
    inputs.len() <= MOST_FIELDS || !inputs.iter().any(quoted)
}

/// A field for each input, what is required first; what has no place of its own shares the last one.
fn fields(inputs: &[Asked]) -> Vec<Field> {
    let mut inputs: Vec<&Asked> = inputs.iter().collect();
    inputs.sort_by_key(|input| !input.required);
    let own = match inputs.len() {
        few if few <= MOST_FIELDS => few,
        _ => MOST_FIELDS - 1,
    };
    let (own, rest) = inputs.split_at(own);
    let mut fields: Vec<Field> = own
        .iter()
        .map(|input| Field {
            name: format!("{INPUT}{}", input.name),
            label: input.name.clone(),
            about: String::new(),
            required: input.required,
            value: input.value.clone().unwrap_or_default(),
            long: false,
        })
        .collect();
    if !rest.is_empty() {
        let names: Vec<&str> = rest.iter().map(|input| input.name.as_str()).collect();
        let said = |input: &&Asked| Some(format!("{}:\"{}\"", input.name, input.value.as_ref()?));
        fields.push(Field {
            name: INPUTS.to_owned(),
            label: "The others, each as name:value".to_owned(),
            about: names.join(", "),
            required: rest.iter().any(|input| input.required),
            value: rest.iter().filter_map(said).collect::<Vec<_>>().join("\n"),
            long: true,
        });
    }
    fields
}

/// The inputs in a form that came back; it is believed as little as typed text.
fn filled_in(sent: &Sent) -> Result<Inputs, Refusal> {
    let mut inputs = Inputs::new();
    for (name, value) in &sent.fields {
        let value = value.trim();
        match name.strip_prefix(INPUT) {
            Some(_) if value.is_empty() => {}
            Some(input) => drop(inputs.insert(input.to_owned(), value.to_owned())),
            None if name == INPUTS => {
                for word in split(value)? {
                    match word {
                        Word::Option(input, value) => drop(inputs.insert(input, value)),
                        Word::Bare(text) | Word::Quoted(text) => return Err(no_pair(&text)),
                    }
                }
            }
            None => return Err(confirm::strange()),
        }
    }
    Ok(inputs)
}

fn no_pair(text: &str) -> Refusal {
    let shown: String = text.chars().take(40).collect();
    Refusal::new(
        Code::R104,
        format!("`{shown}` is no name:value. Nothing was done."),
        "Put a text of several words into quotes: name:\"two words\".",
    )
}

fn button(action: &'static str, plan: &str, label: &'static str) -> Button {
    Button {
        action,
        value: plan.to_owned(),
        label: label.into(),
        aloud: label.to_owned(),
        possible: true,
        dangerous: false,
        confirm: None,
        link: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, required: bool, value: Option<&str>) -> Asked {
        Asked {
            name: name.to_owned(),
            required,
            value: value.map(str::to_owned),
        }
    }

    fn sent(fields: &[(&str, &str)]) -> Sent {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Sent {
            name: "v1:start:checkout".to_owned(),
            fields: fields.iter().map(owned).collect(),
        }
    }

    #[test]
    fn every_input_has_a_place_and_comes_back_from_it() {
        let four = ["a", "b", "c", "d"].map(|name| asked(name, false, None));
        let names = |inputs: &[Asked]| -> Vec<String> { fields(inputs).into_iter().map(|field| field.name).collect() };
        assert_eq!(names(&four), ["input:a", "input:b", "input:c", "input:d"]);
        let mut six = four.to_vec();
        six.extend([asked("e", true, None), asked("f", false, Some("two words"))]);
        assert_eq!(names(&six), ["input:e", "input:a", "input:b", "inputs"]);
        let last = fields(&six).remove(3);
        assert_eq!((last.about.as_str(), last.required), ("c, d, f", false));
        let inputs = filled_in(&sent(&[
            ("input:e", " 1 "),
            ("input:a", ""),
            ("inputs", last.value.as_str()),
        ]))
        .unwrap();
        let expected = [("e", "1"), ("f", "two words")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(inputs, expected.into());
    }

    #[test]
    fn what_could_not_come_back_as_it_was_is_asked_for_in_words() {
        let preflight = |inputs| Preflight {
            plan: "checkout".to_owned(),
            title: "Checkout".to_owned(),
            inputs,
            checks: Vec::new(),
        };
        let opens = |inputs| matches!(form(&preflight(inputs)), Response::Open { .. });
        let quoted = || asked("note", false, Some("say \"hello\""));
        assert!(opens(vec![quoted()]), "in a field of its own a quote is a letter");
        let mut many = ["a", "b", "c", "d"].map(|name| asked(name, false, None)).to_vec();
        many.push(quoted());
        assert!(!opens(many));
        assert!(!opens(vec![asked("note", false, Some(&"x".repeat(300)))]));
    }

    #[test]
    fn what_no_form_of_ours_has_is_refused() {
        for (fields, what) in [
            (&[("colour", "red")][..], "none of mine"),
            (&[("inputs", "red")], "no name:value"),
            (&[("inputs", "colour:\"red")], "quote"),
        ] {
            let refusal = filled_in(&sent(fields)).unwrap_err();
            assert!(refusal.message.contains(what), "{refusal}");
        }
    }
}
