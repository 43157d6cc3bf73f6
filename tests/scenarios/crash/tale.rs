//! What every story about a death has: a way to speak to the server, a ledger, one rollout, and the alert that rolls it back.
//!
//! Repeats what was not answered, as its sender would. Refuses to say anything twice that was.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use super::PLAN;
use super::client::{Alert, Client, or_hopeless};
use super::ledger::Ledger;

/// One rollout, as far as it has come.
#[derive(Debug)]
pub(super) struct Tale {
    client: Option<Client>,
    pub(super) ledger: Ledger,
    /// The key of the start.
    key: String,
    id: Option<String>,
    /// Whether what rolls it back was sent: it may have been heard, whatever was answered.
    sent: bool,
    /// The alert that was sent; it is sent again as it was.
    strike: Option<Alert>,
    /// Whether what rolls it back was answered 200, or lies where the server looks.
    struck: bool,
    /// The weight as seen last, once the decision was.
    lowest: Option<f64>,
}

impl Default for Tale {
    fn default() -> Self {
        Self {
            client: None,
            ledger: Ledger::default(),
            key: "start".to_owned(),
            id: None,
            sent: false,
            strike: None,
            struck: false,
            lowest: None,
        }
    }
}

impl Tale {
    /// The way to a server that has run once.
    pub(super) fn client(&mut self, server: &Tidegate) -> Result<Client> {
        if self.client.is_none() {
            self.client = Some(Client::of(server)?);
        }
        self.client.clone().context("it was made a line ago")
    }

    /// The same, for whoever comes after the start of the story.
    pub(super) fn known(&self) -> Result<&Client> {
        self.client.as_ref().context("the server never came up")
    }

    /// The rollout, once its start was answered.
    pub(super) fn id(&self) -> Result<&str> {
        self.id.as_deref().context("nothing was started")
    }

    /// Whether the rollback was promised.
    pub(super) fn promised(&self) -> bool {
        self.id.is_some() && self.struck
    }

    /// Delivers alerts that fire.
    pub(super) async fn hears(&mut self, alerts: &[Alert]) -> Result<()> {
        self.known()?.fire(alerts).await?;
        self.ledger.acked(alerts);
        Ok(())
    }

    /// Starts the plan, or asks again under the same key, and gets the same answer.
    pub(super) async fn begins(&mut self) -> Result<String> {
        let client = self.client.clone().context("the server never came up")?;
        let (said, answer) = client.begin(PLAN, &mut self.key).await?;
        let id = answer.rollout()?;
        self.ledger.answered(&self.key, &said, &answer);
        if self.id.is_none() {
            self.ledger.began(&id);
            self.id = Some(id.clone());
        }
        Ok(id)
    }

    /// Whether what rolls it back was sent.
    pub(super) fn sent(&self) -> bool {
        self.sent
    }

    /// Waits until the flag serves `weight` or more, for it goes on while nobody looks; unless it may be on its way back already.
    pub(super) async fn serves(&mut self, weight: f64, deadline: Duration) -> Result<()> {
        if self.sent {
            return Ok(());
        }
        let (client, id) = (self.known()?.clone(), self.id()?.to_owned());
        wait::until(&format!("{id} carries {weight}%"), deadline, async || {
            let served = client.flag().await.map_err(or_hopeless)?;
            let served = served.context("there is no such flag")?;
            ensure!(served.rollout == id && served.weight >= weight, "{served:?}");
            Ok(())
        })
        .await
    }

    /// Sends the alert that rolls back, until it was answered.
    pub(super) async fn strikes(&mut self) -> Result<()> {
        if !self.struck {
            self.sent = true;
            let alert = self.strike.get_or_insert_with(|| Alert::errors(3)).clone();
            self.hears(&[alert]).await?;
            self.struck = true;
        }
        Ok(())
    }

    /// The alert that rolls back lies where the server looks by itself.
    pub(super) fn lies_in_wait(&mut self) {
        (self.sent, self.struck) = (true, true);
    }

    /// Waits until the flag is at zero and the rollout says so; looks that it rises no more once it has fallen.
    pub(super) async fn falls(&mut self, within: Duration) -> Result<()> {
        let (client, id) = (self.known()?.clone(), self.id()?.to_owned());
        let (ledger, lowest) = (&mut self.ledger, &mut self.lowest);
        wait::until(&format!("{id} is rolled back"), within, async || {
            let state = client.state(&id).await.map_err(or_hopeless)?;
            let served = client.flag().await.map_err(or_hopeless)?;
            let judged = ledger.serves(served.as_ref());
            judged.map_err(|rose| wait::hopeless(format!("{rose:#}")))?;
            // What is served after the decision was seen only falls, from whatever a raise before it had reached.
            if let (Some(served), "ROLLING BACK" | "ROLLED BACK") = (&served, state.as_str()) {
                let before = lowest.replace(served.weight).unwrap_or(served.weight);
                if served.weight > before {
                    return Err(wait::hopeless(format!("{served:?} after {before}% and {state}")));
                }
            }
            let zero = served.is_some_and(|served| served.rollout == id && served.weight == 0.0 && !served.on);
            ensure!(state == "ROLLED BACK" && zero, "{id} is {state}, and at zero: {zero}");
            Ok(())
        })
        .await
    }

    /// Waits until the rollout says that it is rolled back, whatever it moved.
    pub(super) async fn says_rolled_back(&mut self, within: Duration) -> Result<()> {
        let (client, id) = (self.known()?.clone(), self.id()?.to_owned());
        wait::until(&format!("{id} is rolled back"), within, async || {
            let state = client.state(&id).await.map_err(or_hopeless)?;
            ensure!(state == "ROLLED BACK", "{id} is {state}");
            Ok(())
        })
        .await
    }
}
