//! What Alertmanager, a person and a service say to the server, each call once: an answer that does not come is not asked
//! for again here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Tidegate};
use tidegate_tests::{http, wait};

use super::{ERRORS, FLAG, SERVICE};

/// The connections of the outside world to one server; they outlive its deaths.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// What the flag says about itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Served {
    /// The rollout that moved it last.
    pub(crate) rollout: String,
    /// In percent.
    pub(crate) weight: f64,
    /// What the user is answered: whether it is the new version.
    pub(crate) on: bool,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered {
    status: StatusCode,
    body: Value,
}

impl Answered {
    /// The rollout it is about.
    ///
    /// # Errors
    /// When it was refused.
    pub(crate) fn rollout(&self) -> Result<String> {
        ensure!(self.status.is_success(), "refused: {} {}", self.status, self.body);
        let rollout = self.body["rollout"].as_str().map(str::to_owned);
        rollout.with_context(|| format!("no rollout in {}", self.body))
    }
}

/// An alert as Alertmanager writes it.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) fingerprint: String,
    name: &'static str,
    service: &'static str,
    starts_at: jiff::Timestamp,
}

impl Alert {
    /// The one that never stops.
    pub(crate) fn watchdog() -> Self {
        Self::new("Watchdog", "alerting", 0)
    }

    /// The one that rolls back. `number` makes it another alert than those before.
    pub(crate) fn errors(number: u64) -> Self {
        Self::new(ERRORS, SERVICE, number)
    }

    /// One that is nobody's business.
    pub(crate) fn foreign(number: u64) -> Self {
        Self::new("DiskFull", "warehouse", number)
    }

    /// As a member of what an Alertmanager lists.
    pub(crate) fn listed(&self) -> Value {
        let mut alert = self.to_json(false);
        alert["status"] = json!({ "state": "active", "silencedBy": [], "inhibitedBy": [] });
        alert
    }

    fn new(name: &'static str, service: &'static str, number: u64) -> Self {
        Self {
            fingerprint: format!("{number:016x}"),
            name,
            service,
            starts_at: tidegate::clock::now(),
        }
    }

    /// As a member of `alerts` in a delivery.
    pub(crate) fn to_json(&self, over: bool) -> Value {
        let (status, ends_at) = match over {
            true => ("resolved", tidegate::clock::now().to_string()),
            false => ("firing", "0001-01-01T00:00:00Z".to_owned()),
        };
        let labels = json!({
            "alertname": self.name, "service": self.service, "environment": "production", "severity": "critical",
            "number": self.fingerprint,
        });
        json!({
            "status": status, "labels": labels, "annotations": {}, "startsAt": self.starts_at.to_string(),
            "endsAt": ends_at, "generatorURL": "", "fingerprint": self.fingerprint,
        })
    }
}

impl Client {
    /// To this server, which must have run once.
    pub(crate) fn of(server: &Tidegate) -> Result<Self> {
        Ok(Self {
            http: http::client()?,
            base: server.url(""),
            token: server.token()?,
        })
    }

    /// Tells that alerts fire. `Ok` is a 200.
    pub(crate) async fn fire(&self, alerts: &[Alert]) -> Result<()> {
        self.deliver(alerts.iter().map(|alert| alert.to_json(false)).collect())
            .await
    }

    /// Tells that an alert is over.
    pub(crate) async fn resolve(&self, alert: &Alert) -> Result<()> {
        self.deliver(vec![alert.to_json(true)]).await
    }

    async fn deliver(&self, alerts: Vec<Value>) -> Result<()> {
        let body = json!({
            "version": "4", "status": alerts[0]["status"], "receiver": "tidegate", "groupKey": "{}:{}",
            "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager.example", "alerts": alerts,
        });
        // On 503 Alertmanager comes again with the same body; any other answer, and none, is the caller's to judge.
        wait::until("the delivery is taken", Duration::from_secs(30), async || {
            let request = self.http.post(format!("{}/webhooks/alertmanager", self.base));
            let sent = request.bearer_auth(RECEIVER_TOKEN).json(&body).send().await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(gone) => return Ok(Err(gone.into())),
            };
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            match status {
                StatusCode::OK => Ok(Ok(())),
                StatusCode::SERVICE_UNAVAILABLE => Err(anyhow::anyhow!("{status}: {text}")),
                _ => Ok(Err(anyhow::anyhow!("a delivery was answered {status}: {text}"))),
            }
        })
        .await?
    }

    /// Delivers what nobody can read; once it is answered it is not sent again.
    pub(crate) async fn puzzle(&self) -> Result<()> {
        let request = self.http.post(format!("{}/webhooks/alertmanager", self.base));
        let request = request
            .bearer_auth(RECEIVER_TOKEN)
            .header("content-type", "application/json");
        let status = request.body("{").send().await?.status();
        ensure!(
            status == StatusCode::BAD_REQUEST,
            "half a delivery was answered {status}"
        );
        Ok(())
    }

    /// Says something under a key.
    ///
    /// Asked again while the first one is still being decided, the server says so (R402); then this waits for the answer.
    pub(crate) async fn say(&self, key: &str, said: &Value) -> Result<Answered> {
        let deciding = |answered: &Answered| answered.body.to_string().contains("being decided");
        // A server that dies meanwhile is told apart by the error of the request itself.
        wait::until("the order is decided", Duration::from_secs(10), async || {
            match self.say_once(key, said).await {
                Ok(answered) if deciding(&answered) => Err(anyhow::anyhow!("{}", answered.body)),
                outcome => Ok(outcome),
            }
        })
        .await?
    }

    /// Starts a plan as soon as health is known: in the first moments after a death, what came in before it waits to be
    /// decided, and nothing starts. A refusal is an answer that stands, so each try is an order of its own.
    pub(crate) async fn begin(&self, plan: &str, key: &mut String) -> Result<(Value, Answered)> {
        let said = json!({ "verb": "start", "plan": plan });
        let answer = wait::until("health is known", Duration::from_secs(30), async || {
            match self.say(key, &said).await {
                Ok(answer) if answer.body["code"] == "R207" => {
                    key.push('+');
                    Err(anyhow::anyhow!("{answer:?}"))
                }
                // Also when nobody is there any more.
                outcome => Ok(outcome),
            }
        });
        let answer = answer.await??;
        Ok((said, answer))
    }

    async fn say_once(&self, key: &str, said: &Value) -> Result<Answered> {
        let request = self.http.post(format!("{}/api/v1/commands", self.base));
        let request = request.bearer_auth(&self.token).header("idempotency-key", key);
        let answer = request.json(said).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("{status}, and not JSON: {text}"))?;
        Ok(Answered { status, body })
    }

    /// What people do besides rollouts: an environment is frozen and thawed, a token made and taken back.
    pub(crate) async fn keeps_house(&self) -> Result<()> {
        let freeze = json!({ "verb": "freeze", "environment": "staging", "reason": "the crash test" });
        for said in [freeze, json!({ "verb": "thaw", "environment": "staging" })] {
            let key = format!("{}-staging", said["verb"].as_str().unwrap_or_default());
            let mut answer = self.say(&key, &said).await?;
            // It was said before the server died, which came back too late for it. Whoever hears that says it again.
            if answer.body["code"] == "R408" {
                answer = self.say(&format!("{key}-again"), &said).await?;
            }
            ensure!(answer.status.is_success(), "{said}: {answer:?}");
        }
        let tokens = format!("{}/api/v1/tokens", self.base);
        let wanted = json!({ "person": "house", "roles": ["health"] });
        let made = self
            .http
            .post(&tokens)
            .bearer_auth(&self.token)
            .json(&wanted)
            .send()
            .await?;
        let (status, text) = (made.status(), made.text().await?);
        ensure!(status.is_success(), "a token: {status} {text}");
        let number = serde_json::from_str::<Value>(&text)?["number"].clone();
        let revoked = self.http.delete(format!("{tokens}/{number}")).bearer_auth(&self.token);
        let revoked = revoked.send().await?;
        ensure!(revoked.status().is_success(), "token {number}: {}", revoked.status());
        Ok(())
    }

    /// Waits for a dead letter, and has it said again.
    pub(crate) async fn says_it_again(&self, deadline: Duration) -> Result<()> {
        let letters = format!("{}/api/v1/dead-letters", self.base);
        wait::until("a dead letter waits again", deadline, async || {
            let listed = self.http.get(&letters).bearer_auth(&self.token).send();
            let listed: Value = listed.await.map_err(|gone| or_hopeless(gone.into()))?.json().await?;
            let letter = listed["dead_letters"]
                .get(0)
                .with_context(|| format!("none in {listed}"))?;
            let path = |key: &str| letter[key].as_str().with_context(|| format!("no {key} in {letter}"));
            let url = format!("{letters}/{}/{}/retry", path("notice")?, path("channel")?);
            let said = self.http.post(url).bearer_auth(&self.token).send().await;
            let said = said.map_err(|gone| or_hopeless(gone.into()))?;
            ensure!(said.status().is_success(), "{}", said.status());
            Ok(())
        })
        .await
    }

    /// What the flag serves; nothing before it was ever moved.
    pub(crate) async fn flag(&self) -> Result<Option<Served>> {
        let url = format!("{}/ofrep/v1/evaluate/flags/{FLAG}", self.base);
        let request = self
            .http
            .post(url)
            .json(&json!({ "context": { "targetingKey": "anybody" } }));
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        ensure!(status.is_success(), "the flag answered {status}: {text}");
        let body: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        let (rollout, weight) = (&body["metadata"]["rollout"], &body["metadata"]["weight"]);
        let weight = weight
            .as_str()
            .and_then(|weight| weight.strip_suffix('%')?.parse().ok());
        Ok(Some(Served {
            rollout: rollout.as_str().context("the flag names no rollout")?.to_owned(),
            weight: weight.with_context(|| format!("no weight in {body}"))?,
            on: body["value"].as_bool().context("the flag has no value")?,
        }))
    }

    /// The state of a rollout in one word.
    pub(crate) async fn state(&self, rollout: &str) -> Result<String> {
        let request = self.http.get(format!("{}/api/v1/rollouts/{rollout}", self.base));
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{rollout} answered {status}: {text}");
        let body: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        body["state"]
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("no state in {body}"))
    }

    /// Waits until the flag serves `weight` for `rollout`.
    pub(crate) async fn serves(&self, rollout: &str, weight: f64, deadline: Duration) -> Result<()> {
        wait::until(&format!("{rollout} carries {weight}%"), deadline, async || {
            let served = self
                .flag()
                .await
                .map_err(or_hopeless)?
                .context("there is no such flag")?;
            ensure!(served.rollout == rollout && served.weight == weight, "{served:?}");
            Ok(())
        })
        .await
    }

    /// Waits until `rollout` says that it is rolled back, and serves nothing.
    pub(crate) async fn rolled_back(&self, rollout: &str, deadline: Duration) -> Result<()> {
        wait::until(&format!("{rollout} is rolled back"), deadline, async || {
            let state = self.state(rollout).await.map_err(or_hopeless)?;
            let served = self.flag().await.map_err(or_hopeless)?;
            let zero = served.is_some_and(|served| served.rollout == rollout && served.weight == 0.0 && !served.on);
            ensure!(
                state == "ROLLED BACK" && zero,
                "{rollout} is {state}, and at zero: {zero}"
            );
            Ok(())
        })
        .await
    }
}

/// Whether there was no answer because nobody is there any more.
pub(crate) fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<reqwest::Error>())
}

/// Nobody waits for the answer of the dead.
pub(super) fn or_hopeless(error: anyhow::Error) -> anyhow::Error {
    if is_gone(&error) {
        wait::hopeless(format!("{error:#}"))
    } else {
        error
    }
}
