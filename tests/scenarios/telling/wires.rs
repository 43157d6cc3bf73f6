//! What mail, PagerDuty, a signed webhook and the web chat are given for every notice: as it always was, and with the worst text in
//! every place still nothing but text. Slack and Discord have theirs beside their other wires.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate::channel::email::{self, EmailChannel};
use tidegate::channel::feed::Feed;
use tidegate::channel::pagerduty::PagerDuty;
use tidegate::channel::webhook::Webhook;
use tidegate::channel::{Channel, Message};
use tidegate::clock;
use tidegate::config::Sources;
use tidegate::net::{HostRule, Net};
use tidegate::render::{Form, Renderer};
use tidegate::secret::SecretUrl;
use tidegate_rollout::Notice;
use tidegate_tests::mail::MailServer;
use tidegate_tests::notices::{self, Wires};
use tidegate_tests::pagerduty::{self, ROUTING_KEY};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use url::Url;

use super::SECRET;

fn renderer() -> Renderer {
    Renderer::new(None).expect("they are built in")
}

fn pages() -> Url {
    "https://tidegate.example/".parse().expect("it is one")
}

/// The one HTTP client, with a way to this address alone.
fn net(url: &Url) -> Result<Net> {
    Ok(Net::new(HostRule::of(url).into_iter().collect())?)
}

/// Says a notice on a channel; the words that it was given.
async fn say(channel: &Channel, renderer: &Renderer, notice: &Notice) -> Result<String> {
    let text = renderer.render(notice, channel.form())?;
    channel
        .say(&Message::new(notice.clone(), text.clone()), clock::now())
        .await
        .with_context(|| notice.kind.word())?;
    Ok(text)
}

/// A channel that sends mail to two addresses over `server`.
fn mailbox(server: &MailServer) -> Result<Channel> {
    let scratch = Scratch::new("wires")?;
    let settings =
        json!({ "email": { "server": server.address(), "tls": "off", "from": "Tidegate <gate@tide.example>" } });
    let sources = Sources {
        file: Some(scratch.write("tidegate.yml", settings.to_string())?),
        ..Sources::default()
    };
    let config = sources.load()?;
    let email = config.email.as_ref().context("it is configured")?;
    Ok(Channel::Email(EmailChannel {
        name: "stakeholders".to_owned(),
        to: vec!["ana@example.com".parse()?, "news@example.com".parse()?],
        from: email.from.clone(),
        transport: email::transport(email)?,
        pages: Some(pages()),
    }))
}

/// The names of the tags of a page, in order.
fn tags(html: &str) -> Vec<&str> {
    let name = |tag: &str| tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!');
    html.split('<')
        .skip(1)
        .map(|tag| &tag[..name(tag).unwrap_or(tag.len())])
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_notice_is_the_mail_it_always_was_and_the_worst_text_is_text() -> Result<()> {
    let (server, renderer) = (MailServer::start().await?, renderer());
    let channel = mailbox(&server)?;
    let mut wires = Wires::default();
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let word = worst.kind.word();
        say(&channel, &renderer, &calm).await?;
        say(&channel, &renderer, &worst).await?;
        let mails = server.mails()?;
        let [.., calm, mail] = mails.as_slice() else {
            anyhow::bail!("{word}: {} mails came", mails.len());
        };
        ensure!(
            mail.to == ["ana@example.com", "news@example.com"],
            "{word}: {:?}",
            mail.to
        );
        ensure!(
            mail.headers.keys().eq(calm.headers.keys()),
            "{word}: {:?}",
            mail.headers
        );
        let forged = |value: &String| value.contains(['\r', '\n']);
        ensure!(!mail.headers.values().any(forged), "{word}: {:?}", mail.headers);
        let (text, html) = (mail.text.as_deref(), mail.html.as_deref());
        let (text, html) = (text.context("no text")?, html.context("no HTML")?);
        notices::is_text(text, calm.text.as_deref().unwrap_or_default()).context(word)?;
        ensure!(
            tags(html) == tags(calm.html.as_deref().unwrap_or_default()),
            "{word}: {html}"
        );
        let places = ["href=\"https://tidegate.example/r/checkout-17\"", "href=\""];
        let [ours, links] = places.map(|place| html.matches(place).count());
        ensure!(links == ours, "{word}: a link from outside: {html}");
        let calm = calm.html.as_deref().unwrap_or_default();
        notices::is_text(html, calm).with_context(|| format!("{word}, as HTML"))?;
        // What divides its parts is drawn anew for every mail.
        let mut headers = mail.headers.clone();
        headers.insert("content-type".to_owned(), mail.kind.clone());
        wires.add(&worst, &json!({ "headers": headers, "text": text, "html": html }));
    }
    insta::assert_snapshot!("email", wires.text());
    Ok(())
}

#[tokio::test]
async fn every_notice_is_the_webhook_it_always_was_and_the_worst_text_is_text() -> Result<()> {
    let (sink, renderer) = (Sink::start().await?, renderer());
    let url: Url = sink.url("/hook").parse()?;
    let channel = Channel::Webhook(Webhook {
        name: "ours".to_owned(),
        secret: SECRET.to_owned().into(),
        net: net(&url)?,
        url: SecretUrl::new(url),
    });
    let mut wires = Wires::default();
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let word = worst.kind.word();
        say(&channel, &renderer, &worst).await?;
        let delivery = sink.deliveries().pop().context("it was posted")?;
        delivery.is_signed_with(SECRET)?;
        let body = delivery.json()?;
        let text = body["text"].as_str().context("no text")?;
        notices::is_text(text, &renderer.render(&calm, Form::Text)?).context(word)?;
        let read: Notice = serde_json::from_value(body["data"].clone())?;
        // Who is in which role stays inside.
        let mut told = worst.clone();
        told.about.roles.clear();
        ensure!(
            !worst.about.roles.is_empty() && read == told,
            "{word}: the facts are not what they were: {body}"
        );
        let head = delivery.headers.get("webhook-id").context("no id")?;
        ensure!(head == worst.id.as_str(), "{word}: {head:?}");
        wires.add(&worst, &body);
    }
    insta::assert_snapshot!("webhook", wires.text());
    Ok(())
}

fn service(events_url: Url) -> Result<Channel> {
    Ok(Channel::PagerDuty(PagerDuty {
        name: "oncall".to_owned(),
        routing_key: ROUTING_KEY.to_owned().into(),
        net: net(&events_url)?,
        events_url,
        pages: Some(pages()),
    }))
}

/// The keys of a document, all the way down.
fn keys(document: &Value) -> Vec<String> {
    match document {
        Value::Object(fields) => {
            let below = |(key, value): (&String, &Value)| {
                let inner = keys(value).into_iter().map(move |inner| format!("{key}.{inner}"));
                std::iter::once(key.clone()).chain(inner).collect::<Vec<_>>()
            };
            fields.iter().flat_map(below).collect()
        }
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[tokio::test]
async fn every_notice_is_the_page_it_always_was_and_the_worst_text_is_text() -> Result<()> {
    let (sink, judge, renderer) = (Sink::start().await?, pagerduty::PagerDuty::start().await?, renderer());
    sink.answer_with(StatusCode::ACCEPTED);
    let (wire, judged) = (service(sink.url("/").parse()?)?, service(judge.url().parse()?)?);
    let (mut wires, mut pages) = (Wires::default(), 0);
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let word = worst.kind.word();
        let sent = async |notice: &Notice| -> Result<Vec<Value>> {
            let before = sink.deliveries().len();
            say(&wire, &renderer, notice).await?;
            sink.deliveries()[before..]
                .iter()
                .map(|delivery| delivery.json())
                .collect()
        };
        let (calm, events) = (sent(&calm).await?, sent(&worst).await?);
        say(&judged, &renderer, &worst).await?;
        ensure!(calm.iter().map(keys).eq(events.iter().map(keys)), "{word}: {events:?}");
        for (event, calm) in events.iter().zip(&calm) {
            if event["event_action"] == "trigger" {
                pages += 1;
                let text = |event: &Value, place: &str| event.pointer(place).and_then(Value::as_str).map(str::to_owned);
                for place in ["/payload/summary", "/payload/custom_details/text"] {
                    let (worst, calm) = (text(event, place), text(calm, place));
                    notices::is_text(&worst.unwrap_or_default(), &calm.unwrap_or_default())
                        .with_context(|| format!("{word}{place}"))?;
                }
                let links = event["links"].as_array().map_or(0, Vec::len);
                ensure!(links <= 1, "{word}: {event}");
            }
            wires.add(&worst, event);
        }
    }
    ensure!(
        pages > 10 && judge.refused().is_empty(),
        "{pages} pages, {:?}",
        judge.refused()
    );
    insta::assert_snapshot!("pagerduty", wires.text());
    Ok(())
}

#[tokio::test]
async fn every_notice_is_the_line_of_the_chat_it_always_was_and_the_worst_text_is_text() -> Result<()> {
    let (feed, renderer) = (std::sync::Arc::new(Feed::default()), renderer());
    let channel = Channel::Chat(std::sync::Arc::clone(&feed));
    let mut wires = Wires::default();
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let word = worst.kind.word();
        say(&channel, &renderer, &worst).await?;
        let (all, _) = feed.after(0);
        let line = all.last().context("there is no line")?;
        notices::is_text(&line.text, &renderer.render(&calm, Form::Text)?).context(word)?;
        let unseen = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        ensure!(!line.text.contains(unseen), "{word}: {:?}", line.text);
        wires.add(&worst, &serde_json::to_value(line)?);
    }
    insta::assert_snapshot!("chat", wires.text());
    Ok(())
}
