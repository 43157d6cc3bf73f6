//! Owns hooks and probes over HTTP: one request, and the comparison of its answer with what the plan expects.
//! Refuses hosts that the configuration does not allow, and to call something failed of which it cannot know.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;
use tidegate_rollout::ActionId;
use tidegate_rollout::hook::{Ended, HookEnd, Output};
use tidegate_rollout::plan::{self, Expect, HttpCall};
use url::Url;

use super::{ended, failed};
use crate::net::{self, Net};

/// No more of an answer is read.
const ANSWER: usize = 256 << 10;

/// Sends the request and judges the answer. `action` names it, so that who receives it twice can tell.
pub async fn run(
    net: Net,
    call: HttpCall,
    action: ActionId,
    facts: BTreeMap<String, String>,
    timeout: Duration,
) -> HookEnd {
    let url: Url = match call.url.parse() {
        Ok(url) => url,
        Err(error) => return failed(format!("`{}` is no address: {error}", call.url)),
    };
    let method = match call.method {
        plan::Method::Get => Method::GET,
        plan::Method::Post => Method::POST,
        plan::Method::Put => Method::PUT,
        plan::Method::Delete => Method::DELETE,
    };
    let began = Instant::now();
    let request = match net.request(method, &url, timeout) {
        Ok(request) => request,
        Err(refused) => return failed(refused.to_string()),
    };
    let mut request = request.header("idempotency-key", action.as_str());
    if call.method != plan::Method::Get {
        let body = call.body.unwrap_or_else(|| default_body(&facts));
        request = request.header("content-type", "application/json").body(body);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => {
            // What was never connected to has done nothing; anything else may have.
            let how = if error.is_connect() || call.method == plan::Method::Get {
                Ended::Failed
            } else {
                Ended::Unknown
            };
            let error = anyhow::Error::new(error.without_url());
            return ended(
                how,
                format!("no answer: {error:#}"),
                Some(began.elapsed()),
                Output::default(),
            );
        }
    };
    let status = answer.status();
    let body = match net::read(answer, ANSWER).await {
        Ok(body) => body,
        Err(error) => {
            let why = format!("it answered {status}, and {error}");
            return ended(Ended::Failed, why, Some(began.elapsed()), Output::default());
        }
    };
    let text = String::from_utf8_lossy(&body);
    let output = Output::of(&text, 0);
    let (how, why) = match judge(&call.expect, status.as_u16(), &text) {
        Ok(()) => (Ended::Passed, format!("it answered {status}")),
        Err(why) => (Ended::Failed, why),
    };
    ended(how, why, Some(began.elapsed()), output)
}

/// The facts of the rollout as JSON, under their names in lower case: `rollout_phase`.
fn default_body(facts: &BTreeMap<String, String>) -> String {
    let all = facts
        .iter()
        .map(|(name, value)| (name.to_lowercase(), Value::from(value.as_str())));
    Value::Object(all.collect()).to_string()
}

/// Whether an answer is what was expected; else what is not.
fn judge(expect: &Expect, status: u16, body: &str) -> Result<(), String> {
    let fits = match expect.status {
        Some(expected) => status == expected,
        None => (200..300).contains(&status),
    };
    if !fits {
        let expected = expect
            .status
            .map_or_else(|| "200 to 299".to_owned(), |expected| expected.to_string());
        return Err(format!("it answered {status} instead of {expected}"));
    }
    if expect.json.is_empty() {
        return Ok(());
    }
    let value: Value = serde_json::from_str(body).map_err(|error| format!("its answer is no JSON: {error}"))?;
    for (pointer, expected) in &expect.json {
        let found = value.pointer(pointer);
        let said = match found {
            None => return Err(format!("its answer has nothing at `{pointer}`")),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        if said != *expected {
            let shown: String = said.chars().take(100).collect();
            return Err(format!(
                "its answer says `{shown}` at `{pointer}` instead of `{expected}`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_was_expected_or_what_is_not_is_said() {
        let expect = Expect {
            status: Some(200),
            json: [("/db/version", "14"), ("/ok", "true"), ("/name", "green")]
                .map(|(pointer, value)| (pointer.to_owned(), value.to_owned()))
                .into(),
        };
        let well = r#"{"db":{"version":14},"ok":true,"name":"green"}"#;
        assert_eq!(judge(&expect, 200, well), Ok(()));
        let wrong = [
            (503, well, "it answered 503 instead of 200"),
            (200, "green", "its answer is no JSON"),
            (200, r#"{"db":{},"ok":true}"#, "its answer has nothing at `/db/version`"),
            (
                200,
                r#"{"db":{"version":13},"ok":true}"#,
                "says `13` at `/db/version` instead of `14`",
            ),
        ];
        for (status, body, why) in wrong {
            let said = judge(&expect, status, body).expect_err(why);
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(judge(&Expect::default(), 204, ""), Ok(()));
        assert!(judge(&Expect::default(), 302, "").is_err());
    }
}
