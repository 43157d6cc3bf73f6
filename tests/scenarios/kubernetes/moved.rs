//! What the mishaps of `faults` need to know of each driver: how its target is furnished and raised, what it writes and what it only
//! reads, and what "at zero, with all capacity" means there.

use anyhow::Result;
use serde_json::Value;
use tidegate_tests::kubernetes::{Kubernetes, Readiness};

use super::house::House;

/// What one driver moves.
pub(crate) trait Moved: Copy {
    /// The target, as a plan says it.
    fn target(self) -> Value;

    /// The phases of the plan.
    fn phases(self) -> Vec<Value>;

    /// Those that are gone through before anything happens.
    fn raised(self) -> &'static [&'static str];

    /// The manifest of its rights.
    fn rights(self) -> &'static str;

    /// Puts everything that it needs into a cluster.
    fn furnish(self, cluster: &Kubernetes) -> Result<()>;

    /// What it writes to: a part of the path of each object.
    fn written(self) -> &'static [&'static str];

    /// What it only reads.
    fn read(self) -> &'static [&'static str];

    /// Where its pods are.
    fn namespace(self) -> &'static str;

    /// The Deployments of the new and of the old version.
    fn versions(self) -> [&'static str; 2];

    /// So many ready pods of the old version are too few to go back to.
    fn too_few(self) -> usize;

    /// What is left of the traffic after the raise, as it is said of the target.
    fn left(self) -> &'static str;

    /// Whether the new version has nothing any more, and the old one everything.
    fn at_zero(self, cluster: &Kubernetes) -> Result<()>;

    /// Whether there always was as much capacity as before the rollout.
    fn never_dipped(self, cluster: &Kubernetes) -> Result<()>;

    /// Everything in a cluster that can be told to misbehave.
    async fn cluster(self) -> Result<Kubernetes> {
        let cluster = Kubernetes::fake().await?;
        self.furnish(&cluster)?;
        Ok(cluster)
    }

    /// A house whose rollout carries some of the traffic.
    async fn raised_house(self) -> Result<(House, String)> {
        let house = House::start(self.cluster().await?, &self.target(), &self.phases(), self.rights()).await?;
        let id = self.climb(&house).await?;
        Ok((house, id))
    }

    /// Starts a rollout and brings it up.
    async fn climb(self, house: &House) -> Result<String> {
        let id = house.begin().await?;
        for (index, phase) in self.raised().iter().enumerate() {
            if index > 0 {
                house.advance(&id).await?;
            }
            house.waits(&id, phase).await?;
        }
        Ok(id)
    }

    /// When the pods of the old version are ready from now on.
    fn old_pods(self, cluster: &Kubernetes, readiness: Readiness) {
        let [_, old] = self.versions();
        cluster.readiness(self.namespace(), old, readiness);
    }

    /// Waits until it is rolled back, which is true.
    async fn ends_at_zero(self, house: &House, id: &str) -> Result<()> {
        house.becomes(id, "ROLLED BACK").await?;
        self.at_zero(&house.cluster)?;
        self.never_dipped(&house.cluster)
    }
}
