//! A disk that is full: what cannot be stored is answered 503, half of nothing is kept, flags go on being answered, and once there
//! is room again the rollback goes through with nobody's help.
//!
//! Owns a file system of its own, which needs the rights of root; where they are missing the scenario fails and says so.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::tidegate::Tidegate;
use tidegate_tests::wait;

use crate::crash::client::{Alert, Client};
use crate::crash::ledger::{Database, log_is_whole};
use crate::crash::{PLAN, setup};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Groups that are delivered at most until the disk is full for the database, too: its log has some room inside.
const GROUPS: u64 = 400;

/// A file system of a few megabytes, unmounted when this goes.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                "size=12m",
                "tidegate-test",
                &at.display().to_string(),
            ],
        )
        .context("this scenario needs the right to mount a file system, as root has it")?;
        Ok(Self { at: at.to_owned() })
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.at.join("ballast"))?;
        for size in [64 << 10, 4 << 10, 1] {
            while ballast.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.at.join("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A test that has failed already has more to say than this.
        let _ = run("umount", &["--lazy", &self.at.display().to_string()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} ended with {}: {said}",
        output.status
    );
    Ok(())
}

fn group(alerts: &[Value]) -> String {
    json!({
        "version": "4", "status": "firing", "receiver": "tidegate", "groupKey": "{}:{}", "truncatedAlerts": 0,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example", "alerts": alerts,
    })
    .to_string()
}

/// Ten alerts of one delivery; half of them must never be there.
fn ten(number: u64) -> (Vec<String>, String) {
    let alerts: Vec<Alert> = (0..10).map(|one| Alert::foreign(1_000 + number * 10 + one)).collect();
    let bodies: Vec<Value> = alerts.iter().map(|alert| alert.to_json(false)).collect();
    (
        alerts.into_iter().map(|alert| alert.fingerprint).collect(),
        group(&bodies),
    )
}

/// Delivers until one is refused; what was taken until then, and what was not.
async fn until_refused(server: &Tidegate) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let mut taken = BTreeSet::new();
    for number in 0..GROUPS {
        let (fingerprints, body) = ten(number);
        match server.deliver(body).await? {
            StatusCode::OK => taken.extend(fingerprints),
            StatusCode::SERVICE_UNAVAILABLE => return Ok((taken, fingerprints.into_iter().collect())),
            other => bail!("delivery {number} was answered {other}"),
        }
    }
    bail!("{GROUPS} deliveries were taken by a full disk")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_that_was_answered_200_and_rolls_back_once_there_is_room() -> Result<()> {
    let mut server = setup()?.install()?;
    let disk = SmallDisk::mount(&server.scratch().path().join("data"))?;
    server.start_again().await?;
    let client = Client::of(&server)?;
    client.fire(&[Alert::watchdog()]).await?;
    let mut key = "start".to_owned();
    let id = client.begin(PLAN, &mut key).await?.1.rollout()?;
    client.serves(&id, 10.0, PATIENCE).await?;

    disk.fill()?;
    let (taken, refused) = until_refused(&server).await?;
    // What rolls back cannot be stored either, and is not promised.
    let strike = Alert::errors(7);
    let body = group(&[strike.to_json(false)]);
    ensure!(server.deliver(body.clone()).await? == StatusCode::SERVICE_UNAVAILABLE);
    // Whoever is asked about flags answers from memory, and the process lives.
    let served = client.flag().await?.context("the flag is gone")?;
    ensure!(served.rollout == id && served.weight > 0.0, "{served:?}");

    disk.make_room()?;
    // Alertmanager comes again with the same body.
    wait::until("the alert is taken", PATIENCE, async || {
        let status = server.deliver(body.clone()).await?;
        ensure!(status == StatusCode::OK, "{status}");
        Ok(())
    })
    .await?;
    client.rolled_back(&id, PATIENCE).await?;

    let database = Database::of(&server);
    let stored: BTreeSet<String> = database
        .column("SELECT fingerprint FROM alerts")
        .await?
        .into_iter()
        .collect();
    ensure!(stored.is_superset(&taken), "answered 200, and not in the store");
    ensure!(
        stored.is_disjoint(&refused),
        "answered 503, and in the store: half of it would be"
    );
    ensure!(stored.contains(&strike.fingerprint));
    ensure!(database.column("PRAGMA integrity_check").await? == ["ok"]);
    log_is_whole(&server).await?;
    ensure!(server.stop().await?.success(), "it did not stop well");
    Ok(())
}
