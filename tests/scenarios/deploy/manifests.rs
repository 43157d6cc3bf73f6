//! The manifests: what `kubectl apply -k` sends is taken by an API server, and hangs together.

use std::collections::BTreeSet;
use std::path::PathBuf;

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
    Kubernetes::start().await?.apply(&objects)?;
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
    let role = kustomize::documents(&shipped("kubernetes/deployment-replicas/role.yaml"))?.remove(1);
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
    Kubernetes::start().await?.apply(&objects)?;
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
    Kubernetes::start().await?.apply(&objects)?;
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

/// The fake says it in its words and the real one in its own.
#[tokio::test]
async fn an_api_server_refuses_what_is_wrong_with_them() -> Result<()> {
    let good = kustomize::build(&shipped("kustomize/base"))?;
    let cluster = Kubernetes::start().await?;
    cluster.apply(&good)?;
    let refused = |kind: &str, pointer: &str, value: Value, why: [&str; 2]| -> Result<()> {
        let mut objects = good.clone();
        let object = objects
            .iter_mut()
            .find(|object| object["kind"] == kind)
            .context("no such kind")?;
        let (parent, key) = pointer.rsplit_once('/').context("no pointer")?;
        object.pointer_mut(parent).with_context(|| pointer.to_owned())?[key] = value;
        let refusal = cluster.apply(&objects).err();
        let refusal = format!("{:#}", refusal.with_context(|| format!("{pointer} was taken"))?);
        let why = why[usize::from(!cluster.is_fake())];
        ensure!(
            refusal.contains(why),
            "{pointer} was refused, and not for {why:?}: {refusal}"
        );
        Ok(())
    };
    let unknown = ["unknown field \".spec.ports2\"", "field not declared in schema"];
    refused("Service", "/spec/ports2", json!([]), unknown)?;
    refused(
        "Deployment",
        "/spec/replicas",
        json!("one"),
        ["wrong type", "expected numeric"],
    )?;
    let image = "/spec/template/spec/containers/0/image2";
    refused(
        "Deployment",
        image,
        json!("x"),
        ["unknown field", "field not declared in schema"],
    )?;
    let mounts = ["volumeMounts.name: Not found", "volumeMounts[0].name: Not found"];
    refused("Deployment", "/spec/template/spec/volumes", json!([]), mounts)?;
    let labels = ["does not match", "`selector` does not match template `labels`"];
    refused(
        "Deployment",
        "/spec/template/metadata/labels",
        json!({ "a": "b" }),
        labels,
    )?;
    refused("Service", "/metadata/namespace", json!("elsewhere"), ["not found"; 2])?;
    refused("Service", "/kind", json!("Servise"), ["no matches for kind"; 2])?;
    Ok(())
}

/// What a restricted namespace says of the pods of a Deployment. The real API server says it too, from 1.23 on, wherever one is
/// applied here; this wants to see the refusal, and so an API that is known to refuse.
#[tokio::test]
async fn a_restricted_namespace_takes_the_pods() -> Result<()> {
    let mut objects = kustomize::build(&shipped("kustomize/base"))?;
    let cluster = Kubernetes::fake().await?;
    cluster.apply(&objects)?;
    let deployment = objects.iter_mut().find(|object| object["kind"] == "Deployment");
    deployment.context("no Deployment")?["spec"]["template"]["spec"]["securityContext"] = json!({});
    let refusal = cluster.apply(&objects).err();
    let refusal = format!("{:#}", refusal.context("it was taken")?);
    ensure!(refusal.contains("restricted"), "{refusal}");
    Ok(())
}

/// The folders of rights.
fn rights() -> Result<Vec<PathBuf>> {
    let folders = std::fs::read_dir(shipped("kubernetes"))?.map(|entry| Ok(entry?.path()));
    let folders: Vec<PathBuf> = folders.collect::<Result<_>>()?;
    ensure!(folders.len() >= 5, "{folders:?}");
    Ok(folders)
}

/// The namespaces that objects lie in and that do not come along: the user's.
fn with_their_namespaces(objects: &mut Vec<Value>) {
    let name = |object: &Value, key: &str| object["metadata"][key].as_str().map(str::to_owned);
    let spaces = objects.iter().filter(|object| object["kind"] == "Namespace");
    let there: BTreeSet<String> = spaces.filter_map(|space| name(space, "name")).collect();
    let named: BTreeSet<String> = objects.iter().filter_map(|object| name(object, "namespace")).collect();
    let space = |name: &String| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    objects.extend(named.difference(&there).map(space));
}

/// What a kustomization makes that lies anywhere and means the shipped folders.
fn kustomized(text: &str) -> Result<Vec<Value>> {
    let scratch = Scratch::new("kustomization")?;
    scratch.write(
        "kustomization.yaml",
        text.replace("deploy/", &format!("{}/", shipped("").display())),
    )?;
    kustomize::build(scratch.path())
}

#[tokio::test]
async fn a_line_switches_on_the_rights_of_one_driver_and_no_others() -> Result<()> {
    let base = kustomize::build(&shipped("kustomize/base"))?;
    ensure!(
        find(&base, "Role").is_err(),
        "the base gives rights to whatever it does not know"
    );
    for folder in rights()? {
        let name = folder.file_name().context("no name")?.to_string_lossy().into_owned();
        let text = format!(
            "kind: Kustomization\nresources: [deploy/kustomize/base]\ncomponents: [deploy/kubernetes/{name}]\n"
        );
        let mut objects = kustomized(&text)?;
        let added: Vec<&Value> = objects.iter().filter(|object| !base.contains(object)).collect();
        let role = kustomize::documents(&folder.join("role.yaml"))?;
        assert_eq!(added, role.iter().collect::<Vec<_>>(), "{name}");
        with_their_namespaces(&mut objects);
        Kubernetes::start()
            .await?
            .apply(&objects)
            .with_context(|| name.clone())?;
    }
    Ok(())
}

/// As docs/kubernetes.md has it.
#[tokio::test]
async fn patches_put_in_the_namespace_and_the_names_of_users() -> Result<()> {
    let page = std::fs::read_to_string(shipped("../docs/kubernetes.md"))?;
    let (_, text) = page
        .split_once("```yaml\n# kustomization.yaml\n")
        .context("no kustomization")?;
    let (text, _) = text.split_once("```").context("it does not end")?;
    let mut objects = kustomized(text)?;
    let (role, binding) = (find(&objects, "Role")?, find(&objects, "RoleBinding")?);
    assert_eq!(role["metadata"]["namespace"], "payments");
    assert_eq!(role["rules"][0]["resourceNames"], json!(["checkout"]));
    assert_eq!(binding["metadata"]["namespace"], "payments");
    assert_eq!(binding["subjects"][0]["namespace"], "tidegate");
    ensure!(
        find(&objects, "Deployment")?["metadata"]["namespace"] == "tidegate",
        "the server has moved"
    );
    with_their_namespaces(&mut objects);
    Kubernetes::start().await?.apply(&objects)
}

/// Everything else below `deploy` that is applied as it lies there, each to a cluster of its own.
#[tokio::test]
async fn the_roles_and_the_examples_are_taken_as_they_are_shipped() -> Result<()> {
    for example in ["weekly-replicas", "blue-green"] {
        let objects = kustomize::build(&shipped("examples").join(example))?;
        let cluster = Kubernetes::start().await?;
        cluster.apply(&objects).with_context(|| example.to_owned())?;
    }
    let mut files = vec![
        shipped("kustomize/secret.example.yaml"),
        shipped("examples/weekly-replicas/ingress.yaml"),
    ];
    files.extend(rights()?.iter().map(|folder| folder.join("role.yaml")));
    let cluster = Kubernetes::start().await?;
    for file in files {
        let mut objects = kustomize::documents(&file)?;
        with_their_namespaces(&mut objects);
        cluster.apply(&objects).with_context(|| file.display().to_string())?;
    }
    Ok(())
}
