//! The story of a server that is told to stop: its target could not be moved for a while, its raise was paused, and whoever comes
//! after it finds a rollout with rungs under way.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Mishap};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use super::FLAG;
use super::client::{Alert, or_hopeless};
use super::death::{PATIENCE, Story};
use super::ledger::Database;
use super::tale::Tale;
use crate::kubernetes::house::{manifest, phase, plan, setup_for};
use crate::kubernetes::moved::Moved as _;
use crate::kubernetes::route::Route;

/// The story.
pub(super) struct Stopped {
    tale: Tale,
    cluster: Kubernetes,
    /// The kubeconfig lies here.
    _scratch: Scratch,
    /// Whether the target was seen to refuse, and the raise to wait for a person.
    refused: bool,
    waited: bool,
    stopped: bool,
}

impl Story for Stopped {
    async fn furnish() -> Result<(Self, Setup)> {
        let cluster = Route.cluster().await?;
        cluster.trouble(Method::PATCH, "httproutes", u32::MAX, Mishap::Refused(503))?;
        let mut plan = plan(&Route.target(), &[phase("some", "10%")]);
        plan["spec"]["audiences"] = json!({ "team": { "channels": ["chat", "log"], "hears": "everything" } });
        plan["spec"]["rollback"] = json!({ "ladder": [
            { "name": "route", "target": Route.target(), "within": "3s" },
            { "name": "flag-off", "target": { "flag": { "key": FLAG } }, "within": "3s" },
        ] });
        let (setup, scratch) = setup_for(&cluster, &plan, &manifest(Route.rights())?)?;
        let people = json!([{ "id": "ana", "name": "Ana", "roles": ["oncall", "operator"] }]);
        let story = Self {
            tale: Tale::default(),
            cluster,
            _scratch: scratch,
            refused: false,
            waited: false,
            stopped: false,
        };
        Ok((story, setup.with(json!({ "people": people }))))
    }

    fn tale(&mut self) -> &mut Tale {
        &mut self.tale
    }

    async fn go_on(&mut self, server: &mut Tidegate, database: &Database) -> Result<()> {
        self.tale.client(server)?;
        self.tale.hears(&[Alert::watchdog()]).await?;
        self.tale.begins().await?;
        if !self.refused {
            self.action_waits("503", database).await?;
            self.refused = true;
        }
        self.says("pause").await?;
        if !self.waited {
            self.action_waits("Paused", database).await?;
            self.waited = true;
        }
        self.cluster.calm()?;
        self.says("resume").await?;
        self.carries_some().await?;
        if !self.stopped {
            self.stopped = true;
            let status = server.stop().await?;
            ensure!(status.success(), "it was told to stop, and ended with {status}");
            server.start_again().await?;
        }
        self.tale.hears(&[Alert::watchdog()]).await?;
        self.tale.strikes().await?;
        self.goes_back(PATIENCE).await
    }

    async fn goes_back(&mut self, within: std::time::Duration) -> Result<()> {
        self.tale.says_rolled_back(within).await?;
        Route.at_zero(&self.cluster)?;
        Route.never_dipped(&self.cluster)
    }
}

impl Stopped {
    /// Says something about the rollout, under a key of its own.
    async fn says(&self, verb: &str) -> Result<()> {
        let said = json!({ "verb": verb, "rollout": self.tale.id()? });
        let answer = self.tale.known()?.say(verb, &said).await?;
        answer.rollout().map(drop).with_context(|| verb.to_owned())
    }

    /// Waits until the store says that an action waits, and why.
    async fn action_waits(&self, why: &str, database: &Database) -> Result<()> {
        wait::until(&format!("an action waits: {why}"), PATIENCE, async || {
            self.lives().await?;
            let sql = "SELECT why FROM actions WHERE outcome IS NULL AND why IS NOT NULL";
            let found = database.column(sql).await?;
            ensure!(found.iter().any(|word| word.contains(why)), "{found:?}");
            Ok(())
        })
        .await
    }

    /// Waits until the route gives something to the new version, unless it may be on its way back already.
    async fn carries_some(&self) -> Result<()> {
        if self.tale.sent() {
            return Ok(());
        }
        wait::until("the route carries 10%", PATIENCE, async || {
            self.lives().await?;
            let route = self
                .cluster
                .object("gateway.networking.k8s.io", "httproutes", Route.namespace(), "boka")?;
            let weight: &Value = &route["spec"]["rules"][0]["backendRefs"][1]["weight"];
            ensure!(*weight == 10, "{weight}");
            Ok(())
        })
        .await
    }

    /// Ends a wait for a server that is not there any more.
    async fn lives(&self) -> Result<()> {
        let state = self.tale.known()?.state(self.tale.id()?).await;
        state.map(drop).map_err(or_hopeless)
    }
}
