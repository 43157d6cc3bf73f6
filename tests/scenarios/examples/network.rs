//! Who an example calls and who calls it, by its own configuration, against the network policy that it is shipped with.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::built::Build;
use tidegate_tests::kubernetes::{Kubernetes, kustomize};
use tidegate_tests::process::Launch;
use url::Url;

use crate::deploy::{shipped, text};

const EXAMPLES: [&str; 2] = ["weekly-replicas", "blue-green"];

/// Somebody who is called: a host, and its port.
type Place = (String, u64);

fn objects(example: &str) -> Result<Vec<Value>> {
    kustomize::build(&shipped("examples").join(example))
}

fn find(objects: &[Value], kind: &str) -> Result<Value> {
    let found = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == "tidegate");
    found.cloned().with_context(|| format!("no {kind}"))
}

/// Every address in a configuration, however deep it stands.
fn addresses(settings: &Value, found: &mut Vec<Place>) {
    match settings {
        Value::Object(fields) => fields.values().for_each(|value| addresses(value, found)),
        Value::Array(list) => list.iter().for_each(|value| addresses(value, found)),
        Value::String(text) => {
            let url = Url::parse(text).ok().filter(|url| url.scheme().starts_with("http"));
            let place = url.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?.into())));
            found.extend(place);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Everybody whom a server with this configuration calls.
fn called(settings: &Value) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    addresses(settings, &mut places);
    if let Some(server) = settings["email"]["server"].as_str() {
        let (host, port) = server.rsplit_once(':').context("a mail server without a port")?;
        places.push((host.to_owned(), port.parse()?));
    }
    // What has a default instead of an address.
    if !settings["slack"].is_null() {
        places.push(("slack.com".to_owned(), 443));
    }
    if settings["kubernetes"]["in_cluster"] == true {
        places.push(("the Kubernetes API".to_owned(), 443));
    }
    Ok(places)
}

/// The namespace of a Service that is called by its short name; nothing for who is outside, whose name may end in `example`.
fn namespace(host: &str) -> Option<&str> {
    let (_, namespace) = host.split_once('.')?;
    let inside = !namespace.contains('.') && !["com", "example"].contains(&namespace);
    inside.then_some(namespace)
}

/// Whether the policy lets Tidegate call there, with the label on these namespaces.
fn lets_out(policy: &Value, (host, port): &Place, labelled: &[&str]) -> bool {
    let caller = json!({ "matchLabels": { "tidegate.dev/caller": "true" } });
    let rules = policy["spec"]["egress"].as_array().into_iter().flatten();
    let mut fitting = rules.filter(|rule| {
        let mut ports = rule["ports"].as_array().into_iter().flatten();
        ports.any(|it| it["protocol"] == "TCP" && it["port"] == *port)
    });
    fitting.any(|rule| match (rule["to"].as_array(), namespace(host)) {
        (None, _) => true,
        (Some(to), Some(namespace)) => {
            labelled.contains(&namespace) && to.iter().any(|to| to["namespaceSelector"] == caller)
        }
        (Some(_), None) => false,
    })
}

/// The namespace of the pods behind `host:port` inside the cluster, and the port that they listen on: a policy judges by these.
fn behind(objects: &[Value], place: &str) -> Result<(String, u64)> {
    let (host, port) = place.rsplit_once(':').context("no port")?;
    let (name, namespace) = host.split_once('.').context("no namespace")?;
    let port: u64 = port.parse()?;
    let inside = |object: &&Value| object["metadata"]["namespace"] == namespace;
    let service = objects
        .iter()
        .filter(inside)
        .find(|it| it["kind"] == "Service" && it["metadata"]["name"] == name);
    let service = service.with_context(|| format!("no Service {name}"))?;
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let target = ports.clone().find(|it| it["port"] == port).context("no such port")?["targetPort"].clone();
    let selects = &service["spec"]["selector"];
    let pods = objects
        .iter()
        .filter(inside)
        .find(|it| it["kind"] == "Deployment" && it["spec"]["template"]["metadata"]["labels"] == *selects);
    let pods = pods.with_context(|| format!("nothing stands behind {name}"))?;
    let listens = &pods["spec"]["template"]["spec"]["containers"][0]["ports"][0];
    ensure!(
        listens["name"] == target,
        "{name} sends to {target}, and {listens} listens"
    );
    let port = listens["containerPort"].as_u64().context("no port")?;
    Ok((namespace.to_owned(), port))
}

#[test]
fn what_the_plans_of_an_example_ask_is_let_out_to_the_pods_behind_it() -> Result<()> {
    let mut asked = 0;
    for example in EXAMPLES {
        let settings = kustomize::documents(&shipped(&format!("examples/{example}/tidegate.yml")))?.remove(0);
        let objects = objects(example)?;
        for place in settings["egress"]["allow"].as_array().into_iter().flatten() {
            let place = place.as_str().context("no text")?;
            let (namespace, port) = behind(&objects, place)?;
            let labels = json!({ "kubernetes.io/metadata.name": namespace });
            let policies = objects.iter().filter(|it| it["kind"] == "NetworkPolicy");
            let ours = policies.filter(|it| {
                it["metadata"]["namespace"] == "tidegate"
                    && it["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "tidegate"
            });
            let mut rules = ours.flat_map(|it| it["spec"]["egress"].as_array().into_iter().flatten());
            let lets_out = rules.any(|rule| {
                rule["to"][0]["namespaceSelector"]["matchLabels"] == labels && rule["ports"][0]["port"] == port
            });
            ensure!(
                lets_out,
                "{example}: no policy lets out to port {port} of {namespace}, for {place}"
            );
            asked += 1;
        }
    }
    ensure!(asked > 0, "no example has a probe");
    Ok(())
}

/// The namespaces that a README says to label.
fn labelled(readme: &str) -> Vec<&str> {
    let lines = readme.lines().filter_map(|line| {
        let (_, rest) = line.split_once("kubectl label namespace ")?;
        rest.strip_suffix(" tidegate.dev/caller=true")
    });
    lines.collect()
}

#[test]
fn everybody_whom_an_example_calls_is_let_out() -> Result<()> {
    for example in EXAMPLES {
        let settings = kustomize::documents(&shipped(&format!("examples/{example}/tidegate.yml")))?.remove(0);
        let policy = find(&objects(example)?, "NetworkPolicy")?;
        let readme = text(&format!("examples/{example}/README.md"))?;
        let places = called(&settings)?;
        ensure!(places.len() >= 4, "{example}: {places:?}");
        for place in &places {
            ensure!(
                lets_out(&policy, place, &labelled(&readme)),
                "{example} calls {place:?}, and its network policy does not let it"
            );
        }
        let elsewhere = ("smtp.example".to_owned(), 25);
        ensure!(
            !lets_out(&policy, &elsewhere, &labelled(&readme)),
            "everything is let out"
        );
        let unlabelled = ("alertmanager.monitoring".to_owned(), 9093);
        ensure!(!lets_out(&policy, &unlabelled, &[]), "a label is not needed");
    }
    Ok(())
}

/// Slack calls from outside: over an ingress, whose pods are let in, to the two addresses that the app is made with.
#[tokio::test]
async fn slack_finds_its_way_to_an_example_that_listens_to_it() -> Result<()> {
    for example in EXAMPLES {
        let settings = kustomize::documents(&shipped(&format!("examples/{example}/tidegate.yml")))?.remove(0);
        if settings["slack"].is_null() {
            continue;
        }
        let mut objects = objects(example)?;
        objects.extend(kustomize::documents(&shipped(&format!(
            "examples/{example}/ingress.yaml"
        )))?);
        Kubernetes::start().await?.apply(&objects)?;
        let ingress = find(&objects, "Ingress")?;
        let rule = &ingress["spec"]["rules"][0];
        let service = find(&objects, "Service")?;
        let mut paths = Vec::new();
        for path in rule["http"]["paths"].as_array().context("no paths")? {
            let backend = &path["backend"]["service"];
            assert_eq!(backend["name"], service["metadata"]["name"]);
            assert_eq!(backend["port"]["name"], service["spec"]["ports"][0]["name"]);
            paths.push(path["path"].as_str().context("no path")?);
        }
        assert_eq!(ingress["metadata"]["namespace"], service["metadata"]["namespace"]);

        // The addresses of the app that the README makes.
        let readme = text(&format!("examples/{example}/README.md"))?;
        let host = rule["host"].as_str().context("no host")?;
        let made = format!("tidegate slack manifest --url https://{host}\n");
        ensure!(readme.contains(&made), "the README does not make the app");
        let manifest = Launch::new(Build::Shipped.program()?)
            .args(["slack", "manifest", "--url"])
            .arg(format!("https://{host}"))
            .run()?;
        for path in &paths {
            ensure!(
                manifest.contains(&format!("https://{host}{path}")),
                "{path}: {manifest}"
            );
        }
        assert_eq!(
            manifest.matches(&format!("https://{host}")).count(),
            paths.len(),
            "{manifest}"
        );

        // Whoever carries the ingress is a namespace that the README labels besides that of the monitoring.
        let policy = find(&objects, "NetworkPolicy")?;
        let from = &policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"];
        assert_eq!(from["tidegate.dev/caller"], "true");
        ensure!(
            labelled(&readme).iter().any(|name| name.contains("ingress")),
            "{:?}",
            labelled(&readme)
        );
    }
    Ok(())
}
