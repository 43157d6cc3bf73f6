//! Owns the weights of an HTTPRoute of the Gateway API.
//! Refuses to touch anything of the route but two weights, and to send traffic to a Service that nobody stands behind.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::plan::{RouteTarget, Target};
use tidegate_rollout::{ReadBack, Weight};

use super::cluster::{Cluster, Fault};
use super::mark::Mark;
use super::{
    Intent, Moves, TRIES, Verdict, Written, because, gateways, news, pods, read_at, unsettled, unwritten, weight_of,
};
use crate::driver::{DriverError, Seen};
use crate::failpoint;

const READ: &str = "read the HTTPRoute";
const WRITE: &str = "set the weights of the HTTPRoute";

/// The driver of one HTTPRoute.
pub struct RouteDriver {
    target: RouteTarget,
    cluster: Arc<Cluster>,
}

/// The route, and where our two backends stand in it.
struct Found {
    object: Value,
    mark: Option<Mark>,
    pairs: Vec<Pair>,
}

/// One rule that divides the traffic between the two.
struct Pair {
    rule: usize,
    new: usize,
    old: usize,
    weights: Weights,
}

/// The two weights of a rule; the traffic is divided in their proportion.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Weights {
    new: u64,
    old: u64,
}

impl Weights {
    /// Whole percents where they do, as people write them.
    fn of(weight: Weight) -> Self {
        let points = u64::from(weight.basis_points());
        if points % 100 == 0 {
            Self {
                new: points / 100,
                old: 100 - points / 100,
            }
        } else {
            Self {
                new: points,
                old: 10_000 - points,
            }
        }
    }

    fn weight(self) -> Weight {
        weight_of(self.new, self.new + self.old)
    }
}

impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.new, self.old)
    }
}

impl RouteDriver {
    /// A driver for `target` in `cluster`.
    pub fn new(target: RouteTarget, cluster: Arc<Cluster>) -> Self {
        Self { target, cluster }
    }

    fn path(&self) -> String {
        format!(
            "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/{}",
            self.target.namespace, self.target.route
        )
    }

    async fn read(&self) -> Result<Found, DriverError> {
        let object = self
            .cluster
            .get(&self.path())
            .await
            .map_err(|fault| because(READ, fault))?;
        let refused = |why: String| DriverError::Refused { tried: READ, why };
        let mut pairs = Vec::new();
        for (rule, value) in object["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
            let backends = value["backendRefs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let place = |name: &str| backends.iter().position(|backend| self.is_service(backend, name));
            let (new, old) = match (place(&self.target.new), place(&self.target.old)) {
                (None, None) => continue,
                (Some(new), Some(old)) => (new, old),
                (Some(_), None) | (None, Some(_)) => {
                    let why = format!(
                        "rule {rule} of {} names only one of the two Services",
                        self.target.route
                    );
                    return Err(refused(why));
                }
            };
            if backends.len() != 2 {
                let why = format!(
                    "rule {rule} of {} has other backends beside the two Services",
                    self.target.route
                );
                return Err(refused(why));
            }
            // Without a word a backend weighs 1.
            let weight = |index: usize| backends[index]["weight"].as_u64().unwrap_or(1);
            let weights = Weights {
                new: weight(new),
                old: weight(old),
            };
            pairs.push(Pair {
                rule,
                new,
                old,
                weights,
            });
        }
        if pairs.is_empty() {
            let why = format!(
                "no rule of {} names the Services {} and {}",
                self.target.route, self.target.new, self.target.old
            );
            return Err(refused(why));
        }
        Ok(Found {
            mark: Mark::on(&object),
            object,
            pairs,
        })
    }

    /// Its weights, in words.
    fn reads(&self, found: &Found) -> String {
        format!("the weights of {} read {}", self.target.route, found.is())
    }

    fn is_service(&self, backend: &Value, name: &str) -> bool {
        // A ServiceImport or a Service of another group is something else, whatever it is called.
        let group = backend["group"].as_str().unwrap_or_default();
        let kind = backend["kind"].as_str().unwrap_or("Service");
        let namespace = backend["namespace"].as_str().unwrap_or(&self.target.namespace);
        backend["name"] == name && group.is_empty() && kind == "Service" && namespace == self.target.namespace
    }

    /// Whether whoever gets more traffic has somebody behind it.
    async fn can_carry(&self, found: &Found, wanted: Weights, back: bool) -> Result<(), DriverError> {
        let heaviest = found
            .pairs
            .iter()
            .map(|pair| pair.weights.weight())
            .max()
            .unwrap_or(Weight::ZERO);
        let lightest = found
            .pairs
            .iter()
            .map(|pair| pair.weights.weight())
            .min()
            .unwrap_or(Weight::ZERO);
        let mut gaining = Vec::new();
        if wanted.weight() > lightest {
            gaining.push((&self.target.new, &self.target.old));
        }
        if wanted.weight() < heaviest {
            gaining.push((&self.target.old, &self.target.new));
        }
        for (to, from) in gaining {
            let behind = |service: &str| {
                let service = service.to_owned();
                async move { pods::behind(&self.cluster, &self.target.namespace, &service).await }
            };
            let ready = behind(to).await.map_err(|fault| because(READ, fault))?.len();
            if ready >= usize::try_from(self.target.ready).unwrap_or(usize::MAX) {
                continue;
            }
            // On the way back fewer are taken, as long as they are no fewer than those they relieve.
            let relieved = behind(from).await.map_err(|fault| because(READ, fault))?.len();
            if back && ready > 0 && ready >= relieved {
                continue;
            }
            return Err(DriverError::Waiting {
                what: format!(
                    "{ready} endpoints of {to} are ready and {} are needed; the route still reads {}",
                    self.target.ready,
                    found.is()
                ),
            });
        }
        Ok(())
    }

    async fn write(
        &self,
        intent: &Intent<'_>,
        found: &Found,
        verdict: &Verdict,
        wanted: Weights,
        now: Timestamp,
    ) -> Result<Written, DriverError> {
        let foreign = matches!(verdict, Verdict::Foreign);
        let marked = intent.has_marked(found.mark.as_ref());
        let reads_so = found.pairs.iter().all(|pair| pair.weights == wanted);
        if !foreign && marked && reads_so && found.mark.as_ref().is_some_and(|mark| mark.wrote == found.is()) {
            return Ok(Written::Nothing);
        }
        let report = || DriverError::Foreign {
            found: found
                .pairs
                .iter()
                .map(|pair| pair.weights.weight())
                .max()
                .unwrap_or(Weight::ZERO),
            how: self.reads(found),
        };
        if foreign && intent.goes_back() {
            return Err(report());
        }
        // As with the other targets: first the epoch, which fences, then the weights, once they can be carried.
        let ready = match reads_so {
            true => Ok(()),
            false => self.can_carry(found, wanted, intent.goes_back()).await,
        };
        let changes = !foreign && ready.is_ok();
        if let (Err(waiting), true) = (ready, marked && !foreign) {
            return Err(waiting);
        }
        let wrote = if changes { found.as_if(wanted) } else { found.is() };
        let mark = intent.mark(found.mark.as_ref(), wrote.clone(), verdict);
        intent.may_write(self.cluster.call_lasts())?;
        failpoint::hit!("kubernetes.before-write");
        let patch = found.patch(&mark, changes.then_some(wanted));
        match self.cluster.patch(&self.path(), &patch).await {
            Ok(_) => {}
            Err(Fault::Conflict) => return Ok(Written::Conflict),
            Err(fault) => return Err(unwritten(WRITE, fault, &self.reads(found))),
        }
        failpoint::hit!("kubernetes.after-write");
        if foreign {
            return Err(report());
        }
        if changes && !reads_so {
            news::tell(&self.cluster, intent, &found.object, &format!("weights {wrote}"), now);
        }
        Ok(Written::Done)
    }
}

impl Found {
    /// The mark, and the rules as they were read but for the two numbers of each pair. It is written only on the version that was
    /// read, so that nothing else of them can change by it.
    fn patch(&self, mark: &Mark, wanted: Option<Weights>) -> Value {
        let mut patch = json!({
            "metadata": { "resourceVersion": self.object["metadata"]["resourceVersion"], "annotations": mark.annotations() },
        });
        if let Some(wanted) = wanted {
            let mut rules = self.object["spec"]["rules"].clone();
            for pair in &self.pairs {
                let backends = &mut rules[pair.rule]["backendRefs"];
                backends[pair.new]["weight"] = wanted.new.into();
                backends[pair.old]["weight"] = wanted.old.into();
            }
            patch["spec"] = json!({ "rules": rules });
        }
        patch
    }

    /// The weights as they read now.
    fn is(&self) -> String {
        let all: Vec<String> = self.pairs.iter().map(|pair| pair.weights.to_string()).collect();
        all.join(",")
    }

    /// The weights as they will read.
    fn as_if(&self, wanted: Weights) -> String {
        let all: Vec<String> = self.pairs.iter().map(|_| wanted.to_string()).collect();
        all.join(",")
    }
}

impl Moves for RouteDriver {
    fn target(&self) -> Target {
        Target::HttpRoute(self.target.clone())
    }

    async fn bring(&self, intent: &Intent<'_>, weight: Weight, now: Timestamp) -> Result<ReadBack, DriverError> {
        let began = tokio::time::Instant::now();
        let wanted = Weights::of(weight);
        let (mut crowd, mut reads) = (false, String::new());
        for _ in 0..TRIES {
            let found = self.read().await?;
            reads = self.reads(&found);
            let verdict = intent.judge(found.mark.as_ref(), &found.is())?;
            match self.write(intent, &found, &verdict, wanted, now).await? {
                Written::Nothing => {
                    failpoint::hit!("kubernetes.before-read-back");
                    gateways::accept(&found.object).map_err(|what| DriverError::Waiting { what })?;
                    return Ok(ReadBack {
                        weight,
                        how: format!(
                            "{} gives {weight} to {}, and every gateway has accepted it",
                            self.target.route, self.target.new
                        ),
                        seen_in_traffic: false,
                        observed: None,
                        at: read_at(now, began),
                    });
                }
                Written::Conflict => crowd = true,
                Written::Done => {}
            }
        }
        Err(unsettled(WRITE, crowd, &reads))
    }

    async fn may_start(&self) -> Result<(), DriverError> {
        // Also because zero is read back by their word: without it, no way back over this route would ever be at its end.
        let found = self.read().await?;
        gateways::accept(&found.object).map_err(|what| DriverError::Waiting { what })
    }

    async fn way_back(&self) -> Result<(), DriverError> {
        self.read().await?;
        let behind = pods::behind(&self.cluster, &self.target.namespace, &self.target.old).await;
        let ready = behind.map_err(|fault| because(READ, fault))?.len();
        if ready < usize::try_from(self.target.ready).unwrap_or(usize::MAX) {
            return Err(DriverError::Waiting {
                what: format!(
                    "{ready} endpoints of {} are ready and {} are needed",
                    self.target.old, self.target.ready
                ),
            });
        }
        Ok(())
    }

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        let found = self.read().await?;
        let wanted = Weights::of(weight);
        let how = self.reads(&found);
        if found.pairs.iter().any(|pair| pair.weights != wanted) {
            return Err(DriverError::Foreign {
                found: found
                    .pairs
                    .iter()
                    .map(|pair| pair.weights.weight())
                    .max()
                    .unwrap_or(Weight::ZERO),
                how,
            });
        }
        Ok(Seen { share: None, how })
    }
}
