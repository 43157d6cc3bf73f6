//! Owns a Service that selects one of two colours: blue-green, with the old colour on standby.
//! Refuses to send traffic to a colour that cannot carry it, and to touch any pod.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::plan::{SelectorTarget, Target};
use tidegate_rollout::{ReadBack, Share, Weight};

use super::cluster::{Cluster, Fault};
use super::mark::Mark;
use super::{Intent, Moves, TRIES, Verdict, Written, because, news, pods, read_at, unsettled, unwritten};
use crate::driver::{DriverError, Seen};
use crate::failpoint;

const READ: &str = "read the Service and its pods";
const WRITE: &str = "switch the selector of the Service";

/// The driver of one Service.
pub struct SelectorDriver {
    target: SelectorTarget,
    cluster: Arc<Cluster>,
}

/// The Service and who could stand behind it.
struct Found {
    object: Value,
    mark: Option<Mark>,
    /// The colour it selects.
    colour: String,
    new: BTreeSet<String>,
    old: BTreeSet<String>,
}

impl SelectorDriver {
    /// A driver for `target` in `cluster`.
    pub fn new(target: SelectorTarget, cluster: Arc<Cluster>) -> Self {
        Self { target, cluster }
    }

    fn path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/services/{}",
            self.target.namespace, self.target.service
        )
    }

    async fn read(&self) -> Result<Found, DriverError> {
        let object = self
            .cluster
            .get(&self.path())
            .await
            .map_err(|fault| because(READ, fault))?;
        let selector = object["spec"]["selector"].as_object().cloned().unwrap_or_default();
        let Some(colour) = selector.get(&self.target.label).and_then(Value::as_str) else {
            return Err(DriverError::Refused {
                tried: READ,
                why: format!(
                    "the Service {} does not select by `{}`",
                    self.target.service, self.target.label
                ),
            });
        };
        // The pods that it would select if it selected that colour.
        let of = |value: &str| -> Vec<(String, String)> {
            let others = selector.iter().filter(|(key, _)| **key != self.target.label);
            let others = others.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
            others.chain([(self.target.label.clone(), value.to_owned())]).collect()
        };
        let (new, old) = (of(&self.target.new), of(&self.target.old));
        let (new, old) = tokio::try_join!(self.ready(&new), self.ready(&old)).map_err(|fault| because(READ, fault))?;
        Ok(Found {
            mark: Mark::on(&object),
            colour: colour.to_owned(),
            new,
            old,
            object,
        })
    }

    async fn ready(&self, labels: &[(String, String)]) -> Result<BTreeSet<String>, Fault> {
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        pods::ready(&self.cluster, &self.target.namespace, &labels).await
    }

    /// What it selects, in words.
    fn reads(&self, found: &Found) -> String {
        format!("the Service {} selects {}", self.target.service, found.colour)
    }

    fn weight(&self, colour: &str) -> Weight {
        if colour == self.target.old {
            Weight::ZERO
        } else {
            Weight::FULL
        }
    }

    /// Whether `wanted` can carry what the other colour carries now.
    fn can_carry(&self, found: &Found, wanted: &str, back: bool) -> Result<(), DriverError> {
        let (to, from) = if wanted == self.target.old {
            (&found.old, &found.new)
        } else {
            (&found.new, &found.old)
        };
        let enough = to.len() >= usize::try_from(self.target.ready).unwrap_or(usize::MAX);
        // On the way back fewer are taken, as long as they are no fewer than those they relieve.
        let better = back && !to.is_empty() && to.len() >= from.len();
        if enough || better {
            return Ok(());
        }
        Err(DriverError::Waiting {
            what: format!(
                "{} pods of {wanted} are ready and {} are needed; the Service still selects {}",
                to.len(),
                self.target.ready,
                found.colour
            ),
        })
    }

    async fn write(
        &self,
        intent: &Intent<'_>,
        found: &Found,
        verdict: &Verdict,
        wanted: &str,
        now: Timestamp,
    ) -> Result<Written, DriverError> {
        let marked = intent.has_marked(found.mark.as_ref());
        let foreign = matches!(verdict, Verdict::Foreign);
        if !foreign && marked && found.colour == wanted && found.mark.as_ref().is_some_and(|mark| mark.wrote == wanted)
        {
            return Ok(Written::Nothing);
        }
        let report = || DriverError::Foreign {
            found: self.weight(&found.colour),
            how: self.reads(found),
        };
        if foreign && intent.goes_back() {
            return Err(report());
        }
        // The epoch is written before anybody is waited for: from then on an older writer is refused. What the Service
        // selects changes only once the colour can carry it.
        let ready = match found.colour == wanted {
            true => Ok(()),
            false => self.can_carry(found, wanted, intent.goes_back()),
        };
        let select = if foreign || ready.is_err() {
            found.colour.as_str()
        } else {
            wanted
        };
        if let (Err(waiting), true) = (ready, marked && !foreign) {
            return Err(waiting);
        }
        let mark = intent.mark(found.mark.as_ref(), select.to_owned(), verdict);
        let patch = json!({
            "metadata": { "resourceVersion": found.object["metadata"]["resourceVersion"], "annotations": mark.annotations() },
            "spec": { "selector": { self.target.label.as_str(): select } },
        });
        intent.may_write(self.cluster.call_lasts())?;
        failpoint::hit!("kubernetes.before-write");
        match self.cluster.patch(&self.path(), &patch).await {
            Ok(_) => {}
            Err(Fault::Conflict) => return Ok(Written::Conflict),
            Err(fault) => return Err(unwritten(WRITE, fault, &self.reads(found))),
        }
        failpoint::hit!("kubernetes.after-write");
        if foreign {
            return Err(report());
        }
        if found.colour != select {
            news::tell(
                &self.cluster,
                intent,
                &found.object,
                &format!("selector {}={select}", self.target.label),
                now,
            );
        }
        Ok(Written::Done)
    }

    /// The selector reads as wanted: says who stands behind the Service, or who still does and should not.
    async fn read_back(
        &self,
        found: &Found,
        wanted: &str,
        weight: Weight,
        at: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        let behind = pods::behind(&self.cluster, &self.target.namespace, &self.target.service).await;
        let behind = behind.map_err(|fault| because(READ, fault))?;
        let pods = if wanted == self.target.old {
            &found.old
        } else {
            &found.new
        };
        let strangers = behind.difference(pods).count();
        if behind.is_empty() || strangers > 0 {
            return Err(DriverError::Waiting {
                what: format!(
                    "the Service selects {wanted}; {} endpoints are ready, {strangers} of them not of {wanted}",
                    behind.len()
                ),
            });
        }
        let total = u64::try_from(behind.len()).unwrap_or(u64::MAX);
        Ok(ReadBack {
            weight,
            how: format!(
                "The Service {} selects {wanted}; all {total} ready endpoints are pods of {wanted}",
                self.target.service
            ),
            seen_in_traffic: false,
            observed: Some(Share {
                new: if weight.is_zero() { 0 } else { total },
                total,
            }),
            at,
        })
    }
}

impl Moves for SelectorDriver {
    fn target(&self) -> Target {
        Target::ServiceSelector(self.target.clone())
    }

    async fn bring(&self, intent: &Intent<'_>, weight: Weight, now: Timestamp) -> Result<ReadBack, DriverError> {
        let began = tokio::time::Instant::now();
        let wanted = if weight.is_zero() {
            &self.target.old
        } else {
            &self.target.new
        };
        let (mut crowd, mut reads) = (false, String::new());
        for _ in 0..TRIES {
            let found = self.read().await?;
            reads = self.reads(&found);
            let known = [&self.target.new, &self.target.old].contains(&&found.colour);
            if !known && found.mark.is_none() && !intent.goes_back() {
                return Err(DriverError::Refused {
                    tried: READ,
                    why: format!(
                        "the Service {} selects `{}`, which is neither {} nor {}",
                        self.target.service, found.colour, self.target.new, self.target.old
                    ),
                });
            }
            let verdict = intent.judge(found.mark.as_ref(), &found.colour)?;
            match self.write(intent, &found, &verdict, wanted, now).await? {
                Written::Nothing => {
                    failpoint::hit!("kubernetes.before-read-back");
                    return self.read_back(&found, wanted, weight, read_at(now, began)).await;
                }
                Written::Conflict => crowd = true,
                Written::Done => {}
            }
        }
        Err(unsettled(WRITE, crowd, &reads))
    }

    async fn may_start(&self) -> Result<(), DriverError> {
        self.read().await.map(drop)
    }

    async fn way_back(&self) -> Result<(), DriverError> {
        let found = self.read().await?;
        let (ready, old) = (found.old.len(), &self.target.old);
        if ready < usize::try_from(self.target.ready).unwrap_or(usize::MAX) {
            return Err(DriverError::Waiting {
                what: format!("{ready} pods of {old} are ready and {} are needed", self.target.ready),
            });
        }
        Ok(())
    }

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        let found = self.read().await?;
        let wanted = if weight.is_zero() {
            &self.target.old
        } else {
            &self.target.new
        };
        let how = self.reads(&found);
        if found.colour != *wanted {
            return Err(DriverError::Foreign {
                found: self.weight(&found.colour),
                how,
            });
        }
        let behind = pods::behind(&self.cluster, &self.target.namespace, &self.target.service).await;
        let behind = behind.map_err(|fault| because(READ, fault))?;
        let share = Share {
            new: u64::try_from(behind.intersection(&found.new).count()).unwrap_or(u64::MAX),
            total: u64::try_from(behind.len()).unwrap_or(u64::MAX),
        };
        Ok(Seen {
            share: (share.total > 0).then_some(share),
            how,
        })
    }
}
