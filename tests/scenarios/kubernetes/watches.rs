//! What an API server tells whoever watches, as the official client takes it: the same by the fake and by the real one.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{Stream, TryStreamExt as _};
use kube::Client;
use kube::core::WatchEvent;
use reqwest::Method;
use serde_json::{Value, json};
use tidegate_tests::kubernetes::{Kubernetes, Readiness, TIDEGATE, WITNESS, witness};
use tidegate_tests::scratch::Scratch;
use tokio::time::timeout;

use super::house::{PATIENCE, manifest};
use super::moved::Moved as _;
use super::replicas::{self, NAMESPACE, NEW, OLD, Replicas};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/finance/deployments";
const PODS: &str = "/api/v1/namespaces/finance/pods";
/// Both versions of the service, and nothing else of the namespace.
const SELECTOR: &str = "labelSelector=app%3Dfinance-service";

async fn cluster() -> Result<(Kubernetes, Client)> {
    furnished(Kubernetes::start().await?).await
}

async fn furnished(cluster: Kubernetes) -> Result<(Kubernetes, Client)> {
    Replicas.furnish(&cluster)?;
    cluster.grant(&manifest(replicas::RIGHTS)?)?;
    let scratch = Scratch::new("kubeconfig")?;
    let client = witness::client(&cluster.kubeconfig(&scratch, WITNESS)?).await?;
    Ok((cluster, client))
}

/// From which version a watch goes on.
async fn version(cluster: &Kubernetes, path: &str) -> Result<String> {
    let (status, list) = cluster.call(WITNESS, Method::GET, path, None).await?;
    ensure!(status == 200, "{list}");
    let version = list["metadata"]["resourceVersion"].as_str();
    version.map(str::to_owned).context("the list has no version")
}

/// The next event: its word, and the object.
async fn next(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<Value>>> + Unpin),
) -> Result<(&'static str, Value)> {
    let event = timeout(PATIENCE, events.try_next())
        .await
        .context("nothing is told")??;
    Ok(match event.context("the watch has ended")? {
        WatchEvent::Added(object) => ("ADDED", object),
        WatchEvent::Modified(object) => ("MODIFIED", object),
        WatchEvent::Deleted(object) => ("DELETED", object),
        WatchEvent::Bookmark(_) => bail!("nobody asked for a bookmark"),
        WatchEvent::Error(status) => ("ERROR", serde_json::to_value(status)?),
    })
}

/// Somebody asks for so many replicas of a Deployment.
fn scale(cluster: &Kubernetes, name: &str, replicas: u32) -> Result<()> {
    let change = json!({ "spec": { "replicas": replicas } });
    cluster.patch("apps", "deployments", NAMESPACE, name, &change)
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn number(object: &Value) -> Result<u64> {
    let version = object["metadata"]["resourceVersion"].as_str().context("no version")?;
    Ok(version.parse()?)
}

#[tokio::test]
async fn every_change_of_what_is_watched_is_told_in_order_and_nothing_else() -> Result<()> {
    let (cluster, client) = cluster().await?;
    let from = version(&cluster, DEPLOYMENTS).await?;
    let mut events =
        Box::pin(witness::watch(&client, DEPLOYMENTS, &format!("{SELECTOR}&resourceVersion={from}")).await?);
    let label = |app| {
        let change = json!({ "metadata": { "labels": { "app": app } } });
        cluster.patch("apps", "deployments", NAMESPACE, OLD, &change)
    };
    scale(&cluster, "ledger", 4)?;
    scale(&cluster, NEW, 2)?;
    label("another")?;
    label("finance-service")?;
    // What controllers say of it comes in between; a change of the status is a change.
    let (mut told, mut last) = (Vec::new(), from.parse::<u64>()?);
    while told.last().is_none_or(|(word, _, _)| *word != "ADDED") {
        let (word, object) = next(&mut events).await?;
        let version = number(&object)?;
        ensure!(version > last, "{version} after {last}");
        last = version;
        ensure!(
            object["kind"] == "Deployment" && object["apiVersion"] == "apps/v1",
            "{object}"
        );
        told.push((word, name(&object).to_owned(), object));
    }
    ensure!(told.iter().all(|(_, name, _)| name != "ledger"), "{told:#?}");
    let of_new: Vec<_> = told.iter().filter(|(_, name, _)| name == NEW).collect();
    ensure!(of_new.iter().all(|(word, _, _)| *word == "MODIFIED"), "{of_new:#?}");
    ensure!(
        of_new.first().is_some_and(
            |(_, _, object)| object["spec"]["replicas"] == 2 && object["status"]["readyReplicas"].is_null()
        ),
        "{of_new:#?}"
    );
    ensure!(
        of_new
            .last()
            .is_some_and(|(_, _, object)| object["status"]["readyReplicas"] == 2),
        "{of_new:#?}"
    );
    // It is shown as it was last, when it still fitted.
    let of_old: Vec<_> = told.iter().filter(|(_, name, _)| name == OLD).collect();
    let words: Vec<&str> = of_old.iter().map(|(word, _, _)| *word).collect();
    assert_eq!(words, ["DELETED", "ADDED"]);
    ensure!(
        of_old
            .iter()
            .all(|(_, _, object)| object["metadata"]["labels"]["app"] == "finance-service"),
        "{of_old:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() -> Result<()> {
    let (cluster, client) = cluster().await?;
    let mut events = Box::pin(witness::watch(&client, DEPLOYMENTS, SELECTOR).await?);
    let mut there = Vec::new();
    for _ in 0..2 {
        let (word, object) = next(&mut events).await?;
        assert_eq!(word, "ADDED");
        there.push(name(&object).to_owned());
    }
    there.sort();
    assert_eq!(there, [OLD, NEW]);
    scale(&cluster, NEW, 1)?;
    let (word, object) = next(&mut events).await?;
    assert_eq!(
        (word, name(&object), &object["spec"]["replicas"]),
        ("MODIFIED", NEW, &json!(1))
    );
    // One object can be watched alone.
    let mut alone =
        Box::pin(witness::watch(&client, DEPLOYMENTS, &format!("fieldSelector=metadata.name%3D{OLD}")).await?);
    let (word, object) = next(&mut alone).await?;
    assert_eq!((word, name(&object)), ("ADDED", OLD));
    Ok(())
}

#[tokio::test]
async fn a_pod_is_told_when_it_is_made_and_when_it_is_ready() -> Result<()> {
    let (cluster, client) = cluster().await?;
    let selector = "labelSelector=version%3Dv2";
    let from = version(&cluster, PODS).await?;
    let mut events = Box::pin(witness::watch(&client, PODS, &format!("{selector}&resourceVersion={from}")).await?);
    cluster.readiness(NAMESPACE, NEW, Readiness::Never);
    scale(&cluster, NEW, 1)?;
    let (word, object) = next(&mut events).await?;
    assert_eq!(word, "ADDED");
    let pod = name(&object).to_owned();
    cluster.readiness(NAMESPACE, NEW, Readiness::After(Duration::from_millis(50)));
    let ready = |object: &Value| object["status"]["conditions"][0]["status"] == "True";
    loop {
        let (word, object) = next(&mut events).await?;
        assert_eq!((word, name(&object)), ("MODIFIED", &*pod));
        if ready(&object) {
            return Ok(());
        }
    }
}

/// No test can make a real API server forget something; these are its words.
#[tokio::test]
async fn a_version_that_is_forgotten_is_answered_so_and_nothing_follows() -> Result<()> {
    let (_cluster, client) = furnished(Kubernetes::fake().await?).await?;
    let mut events = Box::pin(witness::watch(&client, DEPLOYMENTS, "resourceVersion=1").await?);
    let (word, status) = next(&mut events).await?;
    let message = status["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("too old resource version: 1 ("), "{status}");
    assert_eq!(
        (word, &status["code"], &status["reason"]),
        ("ERROR", &json!(410), &json!("Expired"))
    );
    match timeout(PATIENCE, events.try_next()).await? {
        Ok(None) => Ok(()),
        other => bail!("it goes on: {other:?}"),
    }
}

/// A real API server sends bookmarks as it likes: the fake always does.
#[tokio::test]
async fn a_watch_ends_when_its_time_is_over_and_a_bookmark_says_where_to_go_on() -> Result<()> {
    let (cluster, client) = cluster().await?;
    let from = version(&cluster, DEPLOYMENTS).await?;
    let parameters = format!("resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=4");
    let events = witness::watch(&client, DEPLOYMENTS, &parameters).await?;
    let told: Vec<WatchEvent<Value>> = timeout(PATIENCE, events.try_collect()).await.context("it goes on")??;
    ensure!(told.len() <= 1 && (told.len() == 1 || !cluster.is_fake()), "{told:?}");
    for event in told {
        let WatchEvent::Bookmark(bookmark) = event else {
            bail!("{event:?}")
        };
        let bookmark = serde_json::to_value(bookmark)?;
        ensure!(
            bookmark["kind"] == "Deployment" && number(&bookmark)? >= from.parse()?,
            "{bookmark} after {from}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn whoever_may_not_or_asks_for_nonsense_is_refused() -> Result<()> {
    let (cluster, _) = cluster().await?;
    let refused = async |token, query: &str| -> Result<(u16, String)> {
        let (status, said) = cluster
            .call(token, Method::GET, &format!("{DEPLOYMENTS}?{query}"), None)
            .await?;
        Ok((status, said["message"].as_str().unwrap_or_default().to_owned()))
    };
    let (status, message) = refused(TIDEGATE, "watch=true").await?;
    ensure!(
        status == 403 && message.contains("cannot watch resource \"deployments\""),
        "{status}: {message}"
    );
    let (status, message) = refused(WITNESS, "watch=true&fieldSelector=spec.paused%3Dtrue").await?;
    ensure!(
        status == 400 && message.starts_with("\"spec.paused\" is not a known field selector: "),
        "{status}: {message}"
    );
    let (status, message) = refused(WITNESS, "watch=true&resourceVersion=latest").await?;
    ensure!(
        status >= 400 && message.starts_with("resourceVersion: Invalid value: \"latest\": "),
        "{status}: {message}"
    );
    Ok(())
}
