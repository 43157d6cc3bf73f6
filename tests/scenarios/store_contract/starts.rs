//! A start has its targets for itself.

use anyhow::{Context as _, Result, ensure};
use tidegate::store::{Begun, Store};
use tidegate_rollout::{Code, Plan};

use super::on_both;
use super::world::{World, begin, noon, plan, plan_falling_back, started};

on_both!(
    a_target_and_a_way_back_are_nobody_elses,
);

async fn refused_for(store: &Store, plan: &std::sync::Arc<Plan>) -> Result<Option<String>> {
    Ok(match begin(store, plan, None, noon()).await? {
        Begun::Refused(refusal) => {
            ensure!(refusal.code == Code::R406, "{refusal}");
            Some(refusal.message)
        }
        Begun::Started { .. } | Begun::SettledBefore => None,
    })
}

async fn a_target_and_a_way_back_are_nobody_elses(world: World) -> Result<()> {
    let store = world.open().await?;
    let carried = started(&store, &plan_falling_back("cart", "cart", "shop"), noon()).await?;
    let others = [
        ("its target", plan("one", "cart")),
        ("what it falls back on", plan("two", "shop")),
        ("its target, as a way back", plan_falling_back("three", "three", "cart")),
        ("the same way back", plan_falling_back("four", "four", "shop")),
    ];
    for (what, other) in &others {
        let message = refused_for(&store, other).await?.context(*what)?;
        ensure!(message.contains(carried.id.as_str()), "{what}: {message}");
    }
    ensure!(
        refused_for(&store, &plan_falling_back("five", "five", "six"))
            .await?
            .is_none()
    );
    // A row that cannot be read is still in the way of its own target.
    world
        .tamper(&format!(
            "UPDATE rollouts SET document = '{{}}' WHERE id = '{}'",
            carried.id
        ))
        .await?;
    ensure!(refused_for(&store, &others[0].1).await?.is_some());
    world
        .tamper(&format!("UPDATE rollouts SET is_final = 1 WHERE id = '{}'", carried.id))
        .await?;
    ensure!(refused_for(&store, &others[1].1).await?.is_none(), "it is over");
    Ok(())
}
