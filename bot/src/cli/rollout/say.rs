//! Owns giving an order to the server, or, for a rehearsal, saying which one it would be.
//! Refuses to send anything that changes something during a rehearsal.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::client::{Server, refused};
use super::super::print::one_line;
use super::super::{Exit, Failure, Out};
use super::order::Order;
use super::status;
use crate::chat::names::Names;
use crate::chat::{Answer, Card};
use crate::http::api::Said;

pub(super) async fn run(server: &Server, order: Order, dry_run: bool, out: &mut Out) -> Result<Exit, Failure> {
    let (rehearsal, about_one) = (dry_run && !order.only_asks(), order.is_about_one());
    let named = first_is_a_name(server, &order).await?;
    let said = order.said(named)?;
    if rehearsal {
        return rehearse(server, &said, about_one, out).await;
    }
    let key = uuid::Uuid::now_v7().to_string();
    let answer: Answer = server.post("/api/v1/commands", &body(&said), Some(&key)).await?;
    if !answer.ok {
        return Err(refused(&answer));
    }
    out.result(&answer.text, &answer)?;
    Ok(Exit::Done)
}

/// Only the server knows what is called how; it is asked only where a word could be either.
async fn first_is_a_name(server: &Server, order: &Order) -> Result<bool, Failure> {
    let Some(word) = order.doubtful() else {
        return Ok(false);
    };
    let names = names(server).await?;
    names.mean(word).map_err(|name| order.misspelt(word, name))
}

#[derive(Deserialize)]
struct Rollouts {
    rollouts: Vec<Card>,
}

#[derive(Deserialize)]
struct Plans {
    plans: Vec<PlanName>,
}

#[derive(Deserialize)]
struct PlanName {
    name: String,
}

async fn names(server: &Server) -> Result<Names, Failure> {
    let Rollouts { rollouts } = server.get("/api/v1/rollouts").await?;
    let Plans { plans } = server.get("/api/v1/plans").await?;
    Ok(Names {
        rollouts: rollouts.into_iter().map(|card| card.rollout).collect(),
        plans: plans.into_iter().map(|plan| plan.name).collect(),
    })
}

/// The fields that say something.
fn body(said: &Said) -> Value {
    let mut body = json!(said);
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|table| !table.is_empty()));
    }
    body
}

/// The order as people would say it: the verb, then each field by its name.
fn in_words(order: &Value) -> String {
    let plain = |value: &Value| match value.as_str() {
        Some(text) => one_line(text),
        None => value.to_string(),
    };
    let fields = order.as_object().into_iter().flatten();
    let mut words = vec![order["verb"].as_str().unwrap_or_default().to_owned()];
    words.extend(order["rollout"].as_str().or(order["plan"].as_str()).map(one_line));
    for (key, value) in fields.filter(|(key, _)| !["verb", "rollout", "plan", "surface"].contains(&key.as_str())) {
        match value.as_object() {
            Some(inputs) => words.extend(inputs.iter().map(|(name, value)| format!("{name}:{}", plain(value)))),
            None => words.push(format!("{key} \"{}\"", plain(value))),
        }
    }
    words.join(" ")
}

/// What would be asked, where the rollout stands, and what keeps it from advancing.
async fn rehearse(server: &Server, said: &Said, about_one: bool, out: &mut Out) -> Result<Exit, Failure> {
    let mut said = said.clone();
    let mut text = Vec::new();
    let mut card = None;
    if about_one {
        let found = status(server, said.rollout.as_deref()).await?;
        text.push(found.text());
        said.rollout = Some(found.rollout.clone());
        card = Some(found);
    }
    let waits = |card: &Card| said.verb.as_deref() == Some("advance") && !card.waits_for.is_empty();
    let exit = match card.as_ref().is_some_and(waits) {
        true => Exit::Refused,
        false => Exit::Done,
    };
    let order = body(&said);
    text.push(format!(
        "A rehearsal: nothing was done. It would have been asked to {}.",
        in_words(&order)
    ));
    let value = json!({ "dry_run": true, "order": order, "card": card });
    out.verdict(exit, text.join("\n"), &value)?;
    Ok(exit)
}
