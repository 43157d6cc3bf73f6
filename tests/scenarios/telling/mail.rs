//! Mail, read back from a mail server: what people find in their box, what is tried again, and what is said of an address
//! that nobody has.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::mail::{Mail, MailServer};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::{Gate, PATIENCE};

const FROM: &str = "Tidegate <gate@tide.example>";

fn sender(server: &MailServer) -> (&'static str, Value) {
    let email = json!({ "server": server.address(), "tls": "off", "from": FROM });
    ("/email", email)
}

fn says_it_was_taken_back(mail: &Mail) -> bool {
    mail.text.as_deref().is_some_and(|text| text.contains("was taken back"))
}

fn to(addresses: &[&str]) -> Value {
    json!({ "email": { "to": addresses } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_is_one_conversation_and_every_mail_says_it_twice() -> Result<()> {
    let server = MailServer::start().await?;
    let external = ("/web/external_url", json!("https://tidegate.example/"));
    let people = ["Ana Lopez <ana@example.com>", "news@example.com"];
    let gate = Gate::with(&[("stakeholders", to(&people))], &[sender(&server), external]).await?;
    let id = gate.start().await?;
    gate.say(&format!("rollback {id} \"<b>errors</b> & more\"")).await?;
    let last = server.mail("the last mail", PATIENCE, says_it_was_taken_back).await?;
    let mails = server.mails()?;
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.header("subject")).collect();
    let title = format!("New checkout to production ({id})");
    ensure!(
        subjects[0] == title && subjects[1..].iter().all(|subject| *subject == format!("Re: {title}")),
        "{subjects:?}"
    );
    let first = mails[0].header("message-id").to_owned();
    ensure!(first == format!("<{id}.stakeholders@tide.example>"), "{first}");
    for mail in &mails {
        ensure!(mail.to == ["ana@example.com", "news@example.com"], "{mail:?}");
        ensure!(mail.kind == "multipart/alternative", "{mail:?}");
        ensure!(
            mail.header("from") == FROM && mail.header("auto-submitted") == "auto-generated",
            "{mail:?}"
        );
        ensure!(!mail.header("date").is_empty(), "{mail:?}");
    }
    for mail in &mails[1..] {
        ensure!(
            mail.header("in-reply-to") == first && mail.header("references") == first,
            "{mail:?}"
        );
    }
    let mut ids: Vec<&str> = mails.iter().map(|mail| mail.header("message-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() == mails.len(), "every mail has a name of its own: {ids:?}");
    ensure!(
        last.header("importance") == "high" && mails[0].header("importance").is_empty(),
        "{mails:?}"
    );
    let (text, html) = (last.text.unwrap_or_default(), last.html.unwrap_or_default());
    ensure!(text.contains("<b>errors</b> & more"), "{text}");
    ensure!(
        html.contains("&lt;b&gt;errors&lt;/b&gt; &amp; more") && !html.contains("<b>errors"),
        "{html}"
    );
    let page = format!("https://tidegate.example/r/{id}");
    ensure!(
        text.contains(&page) && html.contains(&format!("href=\"{page}\"")),
        "{text}\n{html}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_ones_own_is_around_every_mail() -> Result<()> {
    let (server, templates) = (MailServer::start().await?, Scratch::new("frame")?);
    std::fs::create_dir(templates.path().join("email"))?;
    templates.write("email/frame.hbs", "<h2>Ours: {{headline}}</h2>")?;
    let directory = ("/templates", json!({ "directory": templates.path() }));
    let channels = [("stakeholders", to(&["ana@example.com"]))];
    let gate = Gate::with(&channels, &[sender(&server), directory]).await?;
    let id = gate.start().await?;
    gate.say(&format!("rollback {id} errors")).await?;
    server.mail("the last mail", PATIENCE, says_it_was_taken_back).await?;
    for mail in server.mails()? {
        let (text, html) = (mail.text.unwrap_or_default(), mail.html.unwrap_or_default());
        let headline = text.lines().next().unwrap_or_default();
        ensure!(html.trim() == format!("<h2>Ours: {headline}</h2>"), "{text}\n{html}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_not_take_now_it_gets_later_under_the_same_name() -> Result<()> {
    let server = MailServer::start().await?;
    server.answer("*", "451 4.3.0 come back later")?;
    let gate = Gate::with(&[("stakeholders", to(&["ana@example.com"]))], &[sender(&server)]).await?;
    let id = gate.start().await?;
    gate.say(&format!("rollback {id} errors")).await?;
    gate.until_state(&id, "ROLLED BACK").await?;
    ensure!(server.mails()?.is_empty(), "traffic did not wait for the mail");
    server.answer("*", "")?;
    let mail = server
        .mail("the page comes all the same", PATIENCE, says_it_was_taken_back)
        .await?;
    ensure!(mail.header("message-id").starts_with(&format!("<{id}.")), "{mail:?}");
    ensure!(gate.api("/api/v1/dead-letters").await?["count"] == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_nobody_has_keeps_the_mail_from_nobody_else_and_is_told() -> Result<()> {
    let server = MailServer::start().await?;
    server.answer("gone@example.com", "550 5.1.1 no such user here")?;
    let people = ["gone@example.com", "ana@example.com"];
    let gate = Gate::with(&[("stakeholders", to(&people))], &[sender(&server)]).await?;
    gate.start().await?;
    let letters = wait::until("the letter is dead", PATIENCE, async || {
        let letters = gate.api("/api/v1/dead-letters").await?;
        ensure!(letters["count"].as_u64().unwrap_or(0) >= 1, "{letters}");
        Ok(letters)
    })
    .await?;
    let why = letters["dead_letters"][0]["why"].as_str().unwrap_or_default();
    ensure!(why.contains("gone@example.com") && why.contains("550"), "{letters}");
    let got = server
        .mail("ana has it", PATIENCE, |mail| {
            mail.to.contains(&"ana@example.com".to_owned())
        })
        .await?;
    ensure!(!got.to.contains(&"gone@example.com".to_owned()), "{got:?}");
    Ok(())
}
