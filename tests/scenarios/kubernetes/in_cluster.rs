//! A server in a pod: it finds the API server by its environment and proves itself by the files of its service account.

use anyhow::{Result, ensure};
use serde_json::json;
use tidegate_tests::kubernetes::Kubernetes;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::Setup;

use super::house::{House, manifest, plan};
use super::moved::Moved as _;
use super::replicas::{NAMESPACE, OLD, RIGHTS, Replicas, asked, target, weeks};

/// What a pod is told instead of a kubeconfig.
fn setup() -> Result<Setup> {
    let settings = json!({
        "kubernetes": { "in_cluster": true, "call_timeout": "1500ms" },
        "environments": { "budget": { "automatic_rollbacks": 1_000_000, "window": "15m" } },
    });
    let plan = plan(&target(), &weeks()).to_string();
    Ok(Setup::new()?.plan("sluice", &plan)?.with(settings))
}

async fn cluster() -> Result<Kubernetes> {
    let cluster = Kubernetes::start().await?;
    Replicas.furnish(&cluster)?;
    cluster.grant(&manifest(RIGHTS)?)?;
    Ok(cluster)
}

#[tokio::test]
async fn a_server_in_a_pod_moves_deployments_there_and_back() -> Result<()> {
    let cluster = cluster().await?;
    let pod = cluster.pod().await?;
    let house = House::with(cluster, setup()?.in_pod(&pod), Scratch::new("pod")?).await?;
    let id = house.begin().await?;
    house.waits(&id, "week-1").await?;
    assert_eq!(asked(&house)?, (1, 4));
    house.strike().await?;
    Replicas.ends_at_zero(&house, &id).await
}

/// Whoever shows a certificate that the pod was not told to believe gets no token.
#[tokio::test]
async fn a_server_in_a_pod_believes_nobody_but_its_own_api_server() -> Result<()> {
    let (cluster, other) = (cluster().await?, Kubernetes::fake().await?);
    let (pod, stranger) = (cluster.pod().await?, other.pod().await?);
    std::fs::copy(stranger.files().join("ca.crt"), pod.files().join("ca.crt"))?;
    let house = House::with(cluster, setup()?.in_pod(&pod), Scratch::new("pod")?).await?;
    let said = house.refused().await?;
    ensure!(said.contains("certificate"), "{said}");
    ensure!(house.cluster.calls()?.is_empty(), "{:?}", house.cluster.calls()?);
    assert_eq!(house.cluster.replicas(NAMESPACE, OLD)?.0, 5);
    Ok(())
}
