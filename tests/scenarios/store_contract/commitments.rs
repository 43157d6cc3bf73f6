//! What is promised to people: an update is stored for those it is for, and what is owed is found again after a restart.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate::store::Store;
use tidegate_rollout::{Event, Plan, Rollout};

use super::on_both;
use super::world::{World, after, noon, plan, rollback, started, stored, took};

on_both!(
    what_is_owed_is_looked_after_until_it_is_told,
    an_update_is_stored_for_its_audience_alone,
);

fn promising(commitments: Value) -> Result<Arc<Plan>> {
    let mut plan = Plan::clone(&plan("checkout", "checkout-v2"));
    plan.spec.audiences = serde_json::from_value(json!({
        "oncall": { "channels": ["pager"], "hears": "pages" },
        "stakeholders": { "channels": ["announcements"], "hears": "milestones" },
    }))?;
    plan.spec.commitments = serde_json::from_value(commitments)?;
    Ok(Arc::new(plan))
}

async fn in_sight(store: &Store) -> Result<Vec<String>> {
    let active = store.active().await?;
    Ok(active.iter().map(|rollout| rollout.id.to_string()).collect())
}

/// Rolls back, and reports that zero was read back.
async fn rolled_back(store: &Store, rollout: &Rollout) -> Result<Rollout> {
    let rollout = took(store, rollout, &rollback("enough"), after(1)).await?;
    let claimed = store.open_actions(&rollout.id).await?.pop();
    let claimed = claimed.context("nothing lowers it")?;
    took(store, &rollout, &super::outbox::read_back(&claimed.action), after(2)).await
}

async fn what_is_owed_is_looked_after_until_it_is_told(world: World) -> Result<()> {
    let store = world.open().await?;
    let plan = promising(json!({ "first-word": { "to": ["stakeholders"], "afterIncident": "5m" } }))?;
    let first = started(&store, &plan, noon()).await?;
    let first = rolled_back(&store, &first).await?;
    ensure!(first.is_final() && !first.is_settled());
    ensure!(
        in_sight(&store).await? == ["checkout-1"],
        "somebody is to be told of it"
    );
    let second = started(&store, &plan, after(3)).await?;
    ensure!(second.id.as_str() == "checkout-2", "its target is free all the same");
    store.close().await;

    let store = world.open().await?;
    ensure!(
        in_sight(&store).await? == ["checkout-1", "checkout-2"],
        "also after a restart"
    );
    let first = stored(&store, &first).await?;
    let track = first.commitments.tracks.get("first-word").context("no track")?;
    let word = track.open.as_ref().and_then(|occasion| occasion.words.first());
    let told = Event::Told {
        notice: word.context("no word")?.clone(),
        channel: "announcements".to_owned(),
        at: after(60),
    };
    let told = took(&store, &first, &told, after(60)).await?;
    ensure!(told.is_settled());
    ensure!(in_sight(&store).await? == ["checkout-2"], "told, it is left alone");
    Ok(())
}

async fn an_update_is_stored_for_its_audience_alone(world: World) -> Result<()> {
    let store = world.open().await?;
    let plan = promising(json!({ "often": { "to": ["stakeholders"], "every": "10m" } }))?;
    let rollout = started(&store, &plan, noon()).await?;
    let rollout = took(&store, &rollout, &Event::Ticked, after(600)).await?;
    for (channel, hears) in [("announcements", true), ("chat", true), ("log", true), ("pager", false)] {
        let said = store.said_after(&rollout.id, channel, 0, 100).await?;
        let updates = said.iter().filter(|line| line.notice.kind.word() == "update").count();
        ensure!(updates == usize::from(hears), "{channel}: {said:?}");
    }
    Ok(())
}
