//! The mail server: it answers, over TLS that is trusted, and believes who we are.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::built::Build;
use tidegate_tests::mail::MailServer;
use tidegate_tests::ports::Port;
use tidegate_tests::process::{Launch, installed};
use tidegate_tests::scratch::Scratch;

const PASSWORD: &str = "the-password-of-the-mail-server";

/// What `doctor --only email` finds with these settings: its level, its code, its words.
async fn look(scratch: &Scratch, email: Value, trusted: &str) -> Result<(String, String, String)> {
    let settings = json!({ "storage": { "path": scratch.path().join("data") }, "email": email });
    let file = scratch.write("tidegate.yml", settings.to_string())?;
    let output = tokio::process::Command::new(Build::Shipped.program()?)
        .args(["-o", "json", "doctor", "--only", "email", "--config.file"])
        .arg(file)
        .env("SSL_CERT_FILE", trusted)
        .kill_on_drop(true)
        .output()
        .await?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(!printed.contains(PASSWORD), "{printed}");
    let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| printed.clone())?;
    let found = &answer["result"]["checks"][0];
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    Ok((text("level"), text("code"), text("says") + " " + &text("fix")))
}

/// A certificate for this machine, and its key.
fn certificate(scratch: &Scratch) -> Result<[String; 2]> {
    let files = ["certificate.pem", "key.pem"].map(|name| scratch.path().join(name).display().to_string());
    let subject = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=CA:FALSE",
    ];
    Launch::new(installed("openssl", "openssl")?)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-out", &files[0], "-keyout", &files[1],
        ])
        .args(subject)
        .output()?;
    Ok(files)
}

#[tokio::test]
async fn a_mail_server_is_greeted_over_tls_and_signed_in_to() -> Result<()> {
    let scratch = Scratch::new("doctor-mail")?;
    let [certificate, key] = certificate(&scratch)?;
    let arguments = [
        "--certificate",
        &certificate,
        "--key",
        &key,
        "--user",
        "tidegate",
        "--password",
        PASSWORD,
    ];
    let server = MailServer::with(&arguments).await?;
    let settings = |password: &str| -> Result<Value> {
        let file = scratch.write("password", password)?;
        let login =
            json!({ "server": server.address(), "from": "t@example.com", "user": "tidegate", "password_file": file });
        Ok(login)
    };
    let (level, _, says) = look(&scratch, settings(PASSWORD)?, &certificate).await?;
    ensure!(level == "ok", "{says}");
    let (level, code, says) = look(&scratch, settings("another")?, &certificate).await?;
    ensure!(
        (level.as_str(), code.as_str()) == ("fail", "email.unreachable") && says.contains("535"),
        "{says}"
    );
    let (level, _, says) = look(&scratch, settings(PASSWORD)?, "/dev/null").await?;
    ensure!(level == "fail" && says.to_lowercase().contains("certificate"), "{says}");
    ensure!(server.mails()?.is_empty(), "nothing is sent by looking");
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_is_not_there_or_speaks_no_tls_is_told_with_the_fix() -> Result<()> {
    let scratch = Scratch::new("doctor-mail")?;
    let nobody = Port::reserve()?;
    let settings = |server: String, tls: &str| json!({ "server": server, "from": "t@example.com", "tls": tls });
    let (level, code, says) = look(&scratch, settings(nobody.address().to_string(), "off"), "/dev/null").await?;
    ensure!(
        (level.as_str(), code.as_str()) == ("fail", "email.unreachable") && says.contains("Start it"),
        "{says}"
    );
    let plain = MailServer::start().await?;
    let (level, _, says) = look(&scratch, settings(plain.address(), "starttls"), "/dev/null").await?;
    ensure!(level == "fail" && says.contains("587"), "{says}");
    let (level, _, says) = look(&scratch, settings(plain.address(), "off"), "/dev/null").await?;
    ensure!(level == "ok", "{says}");
    Ok(())
}
