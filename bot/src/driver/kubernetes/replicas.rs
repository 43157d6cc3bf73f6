//! Owns two Deployments that share the traffic by their ready pods.
//! Refuses to shrink one before the other can carry it, and to start where an autoscaler would fight it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::capacity::{self, Side, Split};
use tidegate_rollout::plan::{ReplicasTarget, Target};
use tidegate_rollout::{ReadBack, Share, Weight};

use super::cluster::{Cluster, Fault};
use super::mark::Mark;
use super::{Intent, Moves, TRIES, Verdict, Written, because, news, read_at, unsettled, unwritten, weight_of};
use crate::driver::{DriverError, Seen};
use crate::failpoint;

const READ: &str = "read the Deployments";
const WRITE: &str = "scale the Deployments";

/// The driver of one pair of Deployments.
pub struct ReplicasDriver {
    target: ReplicasTarget,
    cluster: Arc<Cluster>,
}

/// One Deployment as the API shows it.
struct Deployment {
    object: Value,
    mark: Option<Mark>,
    side: Side,
    /// Pods that are not gone yet, ready or not.
    pods: u32,
    /// Whether the status speaks of the present specification.
    current: bool,
}

/// Which of the two, with the goal for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    New,
    Old,
}

impl ReplicasDriver {
    /// A driver for `target` in `cluster`.
    pub fn new(target: ReplicasTarget, cluster: Arc<Cluster>) -> Self {
        Self { target, cluster }
    }

    fn path(&self, name: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.target.namespace)
    }

    fn name(&self, which: Which) -> &str {
        match which {
            Which::New => &self.target.new,
            Which::Old => &self.target.old,
        }
    }

    async fn read(&self) -> Result<(Deployment, Deployment), DriverError> {
        let (new, old) = (self.path(&self.target.new), self.path(&self.target.old));
        let (new, old) =
            tokio::try_join!(self.cluster.get(&new), self.cluster.get(&old)).map_err(|fault| because(READ, fault))?;
        Ok((Deployment::of(new)?, Deployment::of(old)?))
    }

    fn judge(&self, intent: &Intent<'_>, which: Which, found: &Deployment) -> Result<Verdict, DriverError> {
        let is = found.side.asked.to_string();
        let verdict = intent.judge(found.mark.as_ref(), &is)?;
        let wrote: Option<u32> = found.mark.as_ref().and_then(|mark| mark.wrote.parse().ok());
        // On the way back only the wrong direction matters: more of the new version, or less of the old one.
        let harmless = intent.goes_back()
            && wrote.is_some_and(|wrote| match which {
                Which::New => found.side.asked < wrote,
                Which::Old => found.side.asked > wrote,
            });
        Ok(if harmless { Verdict::Clear } else { verdict })
    }

    /// What must be true before a phase writes for the first time.
    async fn may_begin(&self, intent: &Intent<'_>, new: &Deployment, old: &Deployment) -> Result<(), DriverError> {
        let first = [new, old].iter().all(|one| {
            let mark = one.mark.as_ref();
            mark.is_none_or(|mark| mark.target != intent.target || mark.rollout != intent.rollout)
        });
        if first {
            self.has_room(new, old)?;
        }
        self.nobody_fights().await
    }

    /// Pods beyond `total` would be taken away by the first phase, and with them capacity.
    fn has_room(&self, new: &Deployment, old: &Deployment) -> Result<(), DriverError> {
        let running = new.side.asked + old.side.asked;
        if running > self.target.total {
            return Err(DriverError::Refused {
                tried: WRITE,
                why: format!(
                    "{running} replicas are asked for today and the plan says {} in all, which would take capacity away; put `total` right",
                    self.target.total
                ),
            });
        }
        Ok(())
    }

    /// An autoscaler would put back what was written here, again and again.
    async fn nobody_fights(&self) -> Result<(), DriverError> {
        let path = format!(
            "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
            self.target.namespace
        );
        let scalers = self
            .cluster
            .list(&path, &[], 500)
            .await
            .map_err(|fault| because("look for autoscalers", fault))?;
        let fights = |scaler: &&Value| {
            let of = &scaler["spec"]["scaleTargetRef"];
            let name = of["name"].as_str();
            of["kind"] == "Deployment"
                && [Some(self.target.new.as_str()), Some(self.target.old.as_str())].contains(&name)
        };
        match scalers.iter().find(fights) {
            None => Ok(()),
            Some(scaler) => Err(DriverError::Refused {
                tried: WRITE,
                why: format!(
                    "the HorizontalPodAutoscaler {} scales {} too, and two would fight over it; take it away for the time of the rollout",
                    scaler["metadata"]["name"].as_str().unwrap_or_default(),
                    scaler["spec"]["scaleTargetRef"]["name"].as_str().unwrap_or_default(),
                ),
            }),
        }
    }

    /// Writes one side if it is not so already, or does not carry our epoch yet.
    async fn write(
        &self,
        intent: &Intent<'_>,
        which: Which,
        found: &Deployment,
        verdict: &Verdict,
        replicas: u32,
        now: Timestamp,
    ) -> Result<Written, DriverError> {
        let foreign = matches!(verdict, Verdict::Foreign);
        let marked = intent.has_marked(found.mark.as_ref());
        if !foreign && found.side.asked == replicas && marked && found.wrote() == Some(replicas) {
            return Ok(Written::Nothing);
        }
        let weight = || weight_of(found.side.asked.into(), self.target.total.into());
        let report = DriverError::Foreign {
            found: match which {
                Which::New => weight(),
                Which::Old => Weight::from_basis_points(10_000 - weight().basis_points()).unwrap_or(Weight::ZERO),
            },
            how: format!(
                "{} has {} replicas where {} were written",
                self.name(which),
                found.side.asked,
                found.mark.as_ref().map_or("other", |mark| mark.wrote.as_str())
            ),
        };
        if foreign && intent.goes_back() {
            return Err(report);
        }
        // Going forward, what somebody else wrote stays; it is noted, so that a person's next word finds it known.
        let replicas = if foreign { found.side.asked } else { replicas };
        let mark = intent.mark(found.mark.as_ref(), replicas.to_string(), verdict);
        let patch = json!({
            "metadata": { "resourceVersion": found.object["metadata"]["resourceVersion"], "annotations": mark.annotations() },
            "spec": { "replicas": replicas },
        });
        intent.may_write(self.cluster.call_lasts())?;
        failpoint::hit!("kubernetes.before-write");
        match self.cluster.patch(&self.path(self.name(which)), &patch).await {
            Ok(_) => {}
            Err(Fault::Conflict) => return Ok(Written::Conflict),
            Err(fault) => {
                let reads = format!("{} has {} replicas", self.name(which), found.side.asked);
                return Err(unwritten(WRITE, fault, &reads));
            }
        }
        failpoint::hit!("kubernetes.after-write");
        if foreign {
            return Err(report);
        }
        if found.side.asked != replicas {
            let wrote = format!("{replicas} replicas");
            news::tell(&self.cluster, intent, &found.object, &wrote, now);
        }
        Ok(Written::Done)
    }

    /// Nothing is left to write: says what is there, or what is still missing.
    fn read_back(
        &self,
        intent: &Intent<'_>,
        new: &Deployment,
        old: &Deployment,
        wanted: Split,
        weight: Weight,
        at: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        let needed_old = match intent.goes_back() {
            true => self.target.floor_pods().min(wanted.old),
            false => wanted.old,
        };
        let settled = new.current && old.current && new.side.asked == wanted.new && old.side.asked == wanted.old;
        let gone = new.pods <= wanted.new && old.pods <= wanted.old;
        if !settled || !gone || new.side.ready < wanted.new || old.side.ready < needed_old {
            return Err(DriverError::Waiting {
                what: format!(
                    "{} has {} ready pods and is to have {}; {} has {} and is to have {}",
                    self.target.new, new.side.ready, wanted.new, self.target.old, old.side.ready, wanted.old
                ),
            });
        }
        let seen = self.seen(new, old);
        let why = match seen.share.and_then(Share::basis_points) {
            Some(points) if points != u64::from(weight.basis_points()) => {
                format!(", the nearest to {weight} that {} pods can do", self.target.total)
            }
            Some(_) | None => String::new(),
        };
        Ok(ReadBack {
            weight,
            how: format!("{}{why}", seen.how),
            seen_in_traffic: false,
            observed: seen.share,
            at,
        })
    }

    fn seen(&self, new: &Deployment, old: &Deployment) -> Seen {
        let share = Share {
            new: new.side.ready.into(),
            total: u64::from(new.side.ready) + u64::from(old.side.ready),
        };
        let how = format!(
            "{} of {} ready pods are {}: {}",
            share.new,
            share.total,
            self.target.new,
            weight_of(share.new, share.total)
        );
        Seen {
            share: (share.total > 0).then_some(share),
            how,
        }
    }
}

impl Deployment {
    fn of(object: Value) -> Result<Self, DriverError> {
        let count = |value: &Value| u32::try_from(value.as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
        let (spec, status) = (&object["spec"], &object["status"]);
        // Without a word a Deployment runs one pod.
        let asked = if spec["replicas"].is_null() {
            1
        } else {
            count(&spec["replicas"])
        };
        let generation = object["metadata"]["generation"].as_u64();
        if !object["metadata"]["deletionTimestamp"].is_null() {
            return Err(DriverError::Refused {
                tried: READ,
                why: format!(
                    "{} is being deleted",
                    object["metadata"]["name"].as_str().unwrap_or_default()
                ),
            });
        }
        Ok(Self {
            mark: Mark::on(&object),
            side: Side {
                asked,
                ready: count(&status["readyReplicas"]).min(asked),
            },
            pods: count(&status["replicas"]),
            current: generation.is_some() && status["observedGeneration"].as_u64() >= generation,
            object,
        })
    }

    fn wrote(&self) -> Option<u32> {
        self.mark.as_ref()?.wrote.parse().ok()
    }
}

impl Moves for ReplicasDriver {
    fn target(&self) -> Target {
        Target::DeploymentReplicas(self.target.clone())
    }

    /// Brings both towards `weight` as far as may be now; says what is read back, or what is still waited for.
    async fn bring(&self, intent: &Intent<'_>, weight: Weight, now: Timestamp) -> Result<ReadBack, DriverError> {
        let began = tokio::time::Instant::now();
        let (mut crowd, mut reads) = (false, String::new());
        for _ in 0..TRIES {
            let (new, old) = self.read().await?;
            reads = format!(
                "{} has {} replicas, {} has {}",
                self.target.new, new.side.asked, self.target.old, old.side.asked
            );
            let mut wanted = self.target.split(weight);
            if intent.goes_back() {
                // Somebody may have given the old version more than its share; that is never taken away here.
                wanted.old = wanted.old.max(old.side.asked);
            }
            let verdicts = (
                self.judge(intent, Which::New, &new)?,
                self.judge(intent, Which::Old, &old)?,
            );
            if !intent.has_marked(new.mark.as_ref()) && !intent.goes_back() {
                self.may_begin(intent, &new, &old).await?;
            }
            // Nothing shrinks before both carry our epoch: an older writer that is still under way could otherwise shrink
            // the one while we shrink the other, each counting on what the other takes away.
            let fenced = [&new, &old].iter().all(|one| intent.has_marked(one.mark.as_ref()));
            let next = match fenced {
                true => capacity::next(new.side, old.side, wanted, self.target.floor_pods()),
                false => Split {
                    new: new.side.asked.max(wanted.new),
                    old: old.side.asked.max(wanted.old),
                },
            };
            let wrote_new = self.write(intent, Which::New, &new, &verdicts.0, next.new, now).await?;
            // After a conflict everything is read again before anything else is written.
            let wrote_old = match wrote_new {
                Written::Conflict => Written::Conflict,
                Written::Done | Written::Nothing => {
                    self.write(intent, Which::Old, &old, &verdicts.1, next.old, now).await?
                }
            };
            match (wrote_new, wrote_old) {
                (Written::Nothing, Written::Nothing) => {
                    failpoint::hit!("kubernetes.before-read-back");
                    return self.read_back(intent, &new, &old, wanted, weight, read_at(now, began));
                }
                (Written::Conflict, _) | (_, Written::Conflict) => crowd = true,
                (Written::Done | Written::Nothing, Written::Done | Written::Nothing) => {}
            }
        }
        Err(unsettled(WRITE, crowd, &reads))
    }

    async fn may_start(&self) -> Result<(), DriverError> {
        let (new, old) = self.read().await?;
        self.has_room(&new, &old)?;
        self.nobody_fights().await
    }

    async fn way_back(&self) -> Result<(), DriverError> {
        let (new, old) = self.read().await?;
        if old.side.asked == 0 && new.side.asked < self.target.total {
            return Err(DriverError::Waiting {
                what: format!("{} is asked for no pod", self.target.old),
            });
        }
        if old.side.ready < old.side.asked {
            return Err(DriverError::Waiting {
                what: format!(
                    "{} has {} ready pods and is to have {}",
                    self.target.old, old.side.ready, old.side.asked
                ),
            });
        }
        Ok(())
    }

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        let (new, old) = self.read().await?;
        let wanted = self.target.split(weight);
        if (new.side.asked, old.side.asked) != (wanted.new, wanted.old) {
            return Err(DriverError::Foreign {
                found: weight_of(
                    new.side.asked.into(),
                    u64::from(new.side.asked) + u64::from(old.side.asked),
                ),
                how: format!(
                    "{} has {} replicas where {} were written, {} has {} where {} were",
                    self.target.new, new.side.asked, wanted.new, self.target.old, old.side.asked, wanted.old
                ),
            });
        }
        Ok(self.seen(&new, &old))
    }
}
