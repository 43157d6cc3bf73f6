//! What a person does with a browser: starts in the chat, presses the buttons that the pages show, and is told why not.
//!
//! Presses only what stands in a page, with what stands beside it. Refuses the API: a page that works by another way is no page.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::house::{House, json_of};
use crate::telling::{FLAG, PLAN, plan};

/// Nothing here takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser in which somebody is signed in.
struct Browser<'a> {
    house: &'a House,
    cookie: String,
}

/// A form as it stands in a page.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The form of `page` whose button says `verb`.
    fn with_button(page: &str, verb: &str) -> Result<Self> {
        let forms = Regex::new(r#"(?s)<form[^>]* method="post" action="([^"]*)">(.*?)</form>"#)?;
        let button = format!(r#"name="verb" value="{verb}""#);
        let hidden = Regex::new(r#"<input type="hidden" name="([^"]*)" value="([^"]*)">"#)?;
        let found = forms.captures_iter(page).find(|form| form[2].contains(&button));
        let form = found.with_context(|| format!("no button {verb} in {page}"))?;
        let hidden = hidden.captures_iter(form.get(2).map_or("", |inside| inside.as_str()));
        let mut fields: Vec<_> = hidden.map(|field| (field[1].to_owned(), field[2].to_owned())).collect();
        fields.push(("verb".to_owned(), verb.to_owned()));
        Ok(Self {
            action: form[1].to_owned(),
            fields,
        })
    }

    fn saying(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The revision that its page showed.
    fn seen(&self) -> Result<u64> {
        let seen = self.fields.iter().find(|(name, _)| name == "seen");
        Ok(seen.context("the form has no revision")?.1.parse()?)
    }
}

impl Browser<'_> {
    async fn page(&self, path: &str) -> Result<String> {
        let answer = self.house.get(path).header("cookie", &self.cookie).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        Ok(answer.text().await?)
    }

    async fn send(&self, path: &str, fields: &[(String, String)]) -> Result<Response> {
        let request = self.house.post(path).header("cookie", &self.cookie);
        let request = request.header("sec-fetch-site", "same-origin");
        Ok(request.form(fields).send().await?)
    }

    /// The status and the page that a press is answered with.
    async fn press(&self, form: &Form) -> Result<(StatusCode, String)> {
        let answer = self.send(&form.action, &form.fields).await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Says something in the chat, and gives the chat as it is shown then.
    async fn say(&self, text: &str) -> Result<String> {
        let answer = self.send("/chat", &[("text".to_owned(), text.to_owned())]).await?;
        ensure!(answer.status() == StatusCode::SEE_OTHER, "{}", answer.status());
        assert_eq!(answer.headers()["location"], "/chat#say");
        self.page("/chat").await
    }
}

/// A page says no in a banner: the code, why, and what to do next.
fn assert_refused(page: &str, code: &str, hint: &str) {
    let banner = page.split("class=\"banner").nth(1).unwrap_or_default();
    let banner = banner.split("</div>").next().unwrap_or_default();
    assert!(
        banner.contains(&format!("<code>{code}</code>")),
        "{code} is not in {banner:?}"
    );
    assert!(
        banner.contains(&format!("<span class=\"hint\">{hint}")),
        "{hint:?} is not in {banner:?}"
    );
}

async fn flag(house: &House) -> Result<Value> {
    let context = json!({ "context": { "targetingKey": "ana" } });
    let path = format!("/ofrep/v1/evaluate/flags/{FLAG}");
    Ok(json_of(house.post(&path).json(&context).send().await?).await)
}

async fn until_weight(house: &House, weight: &str) -> Result<()> {
    wait::until(&format!("the flag is at {weight}"), PATIENCE, async || {
        let flag = flag(house).await?;
        ensure!(flag["metadata"]["weight"] == weight, "{flag}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_starts_in_the_chat_and_rolls_back_with_the_button() -> Result<()> {
    let plans = Scratch::new("pages")?;
    plans.write("checkout.yaml", plan(&[]).to_string())?;
    let house = House::with(&[("/plans", json!([plans.path().join("*.yaml")]))]).await;
    let admin = Browser {
        cookie: house.sign_in(&house.admin()).await,
        house: &house,
    };
    let viewer = Browser {
        cookie: house.sign_in(&house.token("the-viewer", &[]).await).await,
        house: &house,
    };
    let refused = viewer.say(&format!("start {PLAN}")).await?;
    ensure!(refused.contains("R301"), "the chat says why not: {refused}");
    let chat = admin.say(&format!("start {PLAN}")).await?;
    let id = format!("{PLAN}-1");
    ensure!(chat.contains(&id), "the chat answers: {chat}");
    until_weight(&house, "50%").await?;
    let path = format!("/r/{id}");
    wait::until("it bakes", PATIENCE, async || {
        let page = admin.page(&path).await?;
        ensure!(page.contains("BAKING"), "{page}");
        Ok(())
    })
    .await?;

    // Who may not is told so, whatever form is sent; who looks at an old page is shown the new one.
    let pause = Form::with_button(&admin.page(&path).await?, "pause")?;
    let (status, page) = viewer.press(&pause).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_refused(&page, "R301", "");
    let (status, page) = admin.press(&pause).await?;
    assert_eq!(status, StatusCode::OK, "{page}");
    let resume = Form::with_button(&page, "resume")?;
    ensure!(resume.seen()? > pause.seen()?, "the page shows the new revision");
    let old = Form::with_button(&page, "resume")?.saying("seen", &pause.seen()?.to_string());
    let (status, page) = admin.press(&old).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{page}");
    assert_refused(&page, "R401", "Look at the present state, then decide again.");
    ensure!(page.contains("PAUSED"), "nothing was done: {page}");
    let forged = Form::with_button(&page, "resume")?.saying("seen", "the newest");
    let (status, page) = admin.press(&forged).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{page}");
    assert_refused(&page, "R104", "Load the page again");
    assert_eq!(flag(&house).await?["metadata"]["weight"], "50%");

    let page = admin.page(&path).await?;
    let question = Regex::new(r#"href="(/r/[^"]*/confirm/rollback)""#)?;
    let question = question
        .captures(&page)
        .with_context(|| format!("no ROLLBACK in {page}"))?;
    let rollback = Form::with_button(&admin.page(&question[1]).await?, "rollback")?;
    let (status, answered) = admin.press(&rollback.saying("reason", "errors <b>")).await?;
    assert_eq!(status, StatusCode::OK, "{answered}");
    until_weight(&house, "0%").await?;
    assert_eq!(flag(&house).await?["value"], false);
    let over = wait::until("the page says that it is over", PATIENCE, async || {
        let page = admin.page(&path).await?;
        ensure!(page.contains("ROLLED BACK"), "{page}");
        Ok(page)
    })
    .await?;
    ensure!(over.contains("errors &lt;b&gt;"), "why stands in the log: {over}");
    ensure!(
        Form::with_button(&over, "rollback").is_err() && Form::with_button(&over, "pause").is_err(),
        "what is over has no buttons"
    );
    Ok(())
}
