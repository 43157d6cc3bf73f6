//! The manifests: what `kubectl apply -k` sends is taken by an API server, and hangs together.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, kustomize};
use tidegate_tests::scratch::Scratch;

use super::{shipped, text};

fn find<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.with_context(|| format!("no {kind}"))
}

/// The configuration that the server in the pod would read, with its secrets where this test has them.
fn checked(objects: &[Value]) -> Result<()> {
    let map = &find(objects, "ConfigMap")?["data"];
    let scratch = Scratch::new("manifests")?;
    let secrets = kustomize::documents(&shipped("kustomize/secret.example.yaml"))?.remove(0);
    for (name, secret) in secrets["stringData"].as_object().context("no secrets")? {
        scratch.write(name, secret.as_str().unwrap_or_default())?;
    }
    for (name, file) in map.as_object().context("no files")? {
        let file = file.as_str().unwrap_or_default();
        scratch.write(
            name,
            file.replace("/run/secrets/tidegate", &scratch.path().display().to_string()),
        )?;
    }
    let program = tidegate_tests::built::Build::Shipped.program()?;
    let check = tidegate_tests::process::Launch::new(program).arg("check-config");
    let printed = check.arg(scratch.path().join("tidegate.yml")).run()?;
    ensure!(printed.contains(": good") && !printed.contains("warning"), "{printed}");
    Ok(())
}

#[tokio::test]
async fn the_base_is_taken_and_hangs_together() -> Result<()> {
    let objects = kustomize::build(&shipped("kustomize/base"))?;
    Kubernetes::fake().await?.apply(&objects)?;
    checked(&objects)?;
    let deployment = find(&objects, "Deployment")?;
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/-/healthy");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/-/ready");
    assert_eq!(
        (&deployment["spec"]["replicas"], &deployment["spec"]["strategy"]["type"]),
        (&json!(1), &json!("Recreate"))
    );
    // The account that deploy/kubernetes gives rights to, the Service that the snippets post to, the disk, the secret.
    let account = find(&objects, "ServiceAccount")?;
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    let role = kustomize::documents(&shipped("kubernetes/deployment-replicas.yaml"))?.remove(1);
    assert_eq!(role["subjects"][0]["name"], account["metadata"]["name"]);
    assert_eq!(role["subjects"][0]["namespace"], account["metadata"]["namespace"]);
    let service = find(&objects, "Service")?;
    assert_eq!(
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"]
    );
    assert_eq!(service["spec"]["ports"][0]["port"], 9797);
    let claim = find(&objects, "PersistentVolumeClaim")?;
    assert_eq!(
        pod["volumes"][0]["persistentVolumeClaim"]["claimName"],
        claim["metadata"]["name"]
    );
    let secret = kustomize::documents(&shipped("kustomize/secret.example.yaml"))?.remove(0);
    assert_eq!(pod["volumes"][2]["secret"]["secretName"], secret["metadata"]["name"]);
    ensure!(
        !objects.iter().any(|object| object["kind"] == "Secret"),
        "a secret is shipped"
    );
    let policy = find(&objects, "NetworkPolicy")?;
    assert_eq!(policy["spec"]["podSelector"], deployment["spec"]["selector"]);
    Ok(())
}

#[tokio::test]
async fn on_postgresql_there_are_two_and_no_disk() -> Result<()> {
    let objects = kustomize::build(&shipped("kustomize/postgres"))?;
    Kubernetes::fake().await?.apply(&objects)?;
    checked(&objects)?;
    ensure!(
        find(&objects, "PersistentVolumeClaim").is_err(),
        "the disk is still claimed"
    );
    let deployment = find(&objects, "Deployment")?;
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["volumes"][0],
        json!({ "name": "storage", "emptyDir": {} })
    );
    assert_eq!(find(&objects, "PodDisruptionBudget")?["spec"]["minAvailable"], 1);
    let egress = find(&objects, "NetworkPolicy")?["spec"]["egress"].clone();
    ensure!(egress.to_string().contains("5432"), "{egress}");
    // But for the database the configuration is that of the base.
    let line = "  postgres_url_file: /run/secrets/tidegate/postgres.url\n";
    assert_eq!(
        text("kustomize/postgres/tidegate.yml")?.replace(line, ""),
        text("kustomize/base/tidegate.yml")?
    );
    Ok(())
}

#[tokio::test]
async fn the_service_monitor_finds_the_service() -> Result<()> {
    let mut objects = kustomize::build(&shipped("kustomize/base"))?;
    objects.extend(kustomize::build(&shipped("kustomize/service-monitor"))?);
    Kubernetes::fake().await?.apply(&objects)?;
    let (monitor, service) = (find(&objects, "ServiceMonitor")?, find(&objects, "Service")?);
    assert_eq!(monitor["metadata"]["namespace"], service["metadata"]["namespace"]);
    for (label, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .context("no labels")?
    {
        assert_eq!(service["metadata"]["labels"][label], *value);
    }
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"],
        service["spec"]["ports"][0]["name"]
    );
    Ok(())
}

#[tokio::test]
async fn an_api_server_refuses_what_is_wrong_with_them() -> Result<()> {
    let good = kustomize::build(&shipped("kustomize/base"))?;
    let refused = async |kind: &str, pointer: &str, value: Value, why: &str| -> Result<()> {
        let mut objects = good.clone();
        let object = objects
            .iter_mut()
            .find(|object| object["kind"] == kind)
            .context("no such kind")?;
        let (parent, key) = pointer.rsplit_once('/').context("no pointer")?;
        object.pointer_mut(parent).with_context(|| pointer.to_owned())?[key] = value;
        let refusal = Kubernetes::fake().await?.apply(&objects).err();
        let refusal = format!("{:#}", refusal.with_context(|| format!("{pointer} was taken"))?);
        ensure!(refusal.contains(why), "{refusal}");
        Ok(())
    };
    refused("Service", "/spec/ports2", json!([]), "unknown field \".spec.ports2\"").await?;
    refused("Deployment", "/spec/replicas", json!("one"), "wrong type").await?;
    refused(
        "Deployment",
        "/spec/template/spec/containers/0/image2",
        json!("x"),
        "unknown field",
    )
    .await?;
    refused(
        "Deployment",
        "/spec/template/spec/volumes",
        json!([]),
        "volumeMounts.name: Not found",
    )
    .await?;
    refused(
        "Deployment",
        "/spec/template/metadata/labels",
        json!({ "a": "b" }),
        "does not match",
    )
    .await?;
    refused(
        "Deployment",
        "/spec/template/spec/securityContext",
        json!({}),
        "restricted",
    )
    .await?;
    refused("Service", "/metadata/namespace", json!("elsewhere"), "not found").await?;
    refused("Service", "/kind", json!("Servise"), "no matches for kind").await?;
    Ok(())
}
