//! The real `tidegate serve`, with a configuration of its own in a folder of its own.
//!
//! Owns its start, its death, its return on the same storage, and the calls a user makes to it. Knows nothing of its inside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::built::Build;
use crate::http;
use crate::kubernetes::{MOUNTED, Pod};
use crate::ports::Port;
use crate::process::{Launch, Program};
use crate::scrape;
use crate::scratch::Scratch;

/// A start takes a fraction of a second; a busy machine gets more.
const START: Duration = Duration::from_secs(30);

/// What the Alertmanager receiver `default` asks for.
pub const RECEIVER_TOKEN: &str = "the-token-of-the-receiver";

/// A server that has not been started yet. Its address is known already, so that the senders can be told.
#[derive(Debug)]
pub struct Setup {
    build: Build,
    port: Port,
    scratch: Scratch,
    settings: Value,
    variables: Vec<(String, String)>,
    /// What it finds where a pod has the files of its service account.
    mounted: Option<PathBuf>,
}

impl Setup {
    /// A server on SQLite with one receiver, `default`, and nobody to ask back. It polls often, as the tests are in a hurry.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn new() -> Result<Self> {
        let (scratch, port) = (Scratch::new("tidegate")?, Port::reserve()?);
        std::fs::create_dir(scratch.path().join("plans")).context("could not make the folder of the plans")?;
        let token = scratch.write("receiver.token", RECEIVER_TOKEN)?;
        let settings = json!({
            "web": { "listen_address": port.address().to_string() },
            "storage": { "path": scratch.path().join("data") },
            "log": { "format": "json" },
            "plans": [scratch.path().join("plans/*.yaml")],
            "receivers": { "alertmanager": { "default": { "bearer_file": token } } },
            "alerts": { "poll_every": "500ms", "poll_timeout": "400ms" },
        });
        Ok(Self {
            build: Build::Shipped,
            port,
            scratch,
            settings,
            variables: Vec::new(),
            mounted: None,
        })
    }

    /// Adds a plan, the text of its file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plan(self, name: &str, text: &str) -> Result<Self> {
        self.scratch.write(&format!("plans/{name}.yaml"), text)?;
        Ok(self)
    }

    /// Lays settings over those that are there; a table is merged, everything else replaced.
    #[must_use]
    pub fn with(mut self, settings: Value) -> Self {
        lay_over(&mut self.settings, settings);
        self
    }

    /// Alertmanagers to ask back, by their URLs.
    #[must_use]
    pub fn peers(self, urls: &[String]) -> Self {
        self.with(json!({ "receivers": { "alertmanager": { "default": { "peers": urls } } } }))
    }

    /// Writes a secret into a file of its own and lays the settings over that name it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn secret_file(self, name: &str, secret: &str, settings: impl FnOnce(PathBuf) -> Value) -> Result<Self> {
        let file = self.scratch.write(name, secret)?;
        Ok(self.with(settings(file)))
    }

    /// Remembers in this PostgreSQL database.
    ///
    /// # Errors
    /// When the URL cannot be put into its file.
    pub fn postgres(self, url: &str) -> Result<Self> {
        self.secret_file(
            "postgres.url",
            url,
            |file| json!({ "storage": { "postgres_url_file": file } }),
        )
    }

    /// Runs the build that stops at named points.
    #[must_use]
    pub fn build(mut self, build: Build) -> Self {
        self.build = build;
        self
    }

    /// Sets an environment variable of the server.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it as in a pod, with the files of a service account in a view of the file system of its own. Only root may.
    #[must_use]
    pub fn in_pod(mut self, pod: &Pod) -> Self {
        self.mounted = Some(pod.files().to_owned());
        let variables = pod.variables().into_iter();
        self.variables
            .extend(variables.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Where `path` will be.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.port.url())
    }

    /// Where Alertmanager posts to, with [`RECEIVER_TOKEN`].
    #[must_use]
    pub fn webhook(&self) -> String {
        self.url("/webhooks/alertmanager")
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// Carries the end of its log.
    pub async fn start(self) -> Result<Tidegate> {
        let mut tidegate = self.install()?;
        tidegate.start_again().await?;
        Ok(tidegate)
    }

    /// The program, where it is to run.
    fn program(&self) -> Result<Launch> {
        let program = self.build.program()?;
        let Some(files) = &self.mounted else {
            return Ok(Launch::new(program));
        };
        // Nobody else sees what is mounted, and it goes with the program.
        let script =
            "mount -t tmpfs none /var/run && mkdir -p \"$1\" && mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
        let inside = Launch::new("unshare").args(["--mount", "--propagation=private", "--", "sh", "-ec", script]);
        Ok(inside.arg(files).arg(MOUNTED).arg(program))
    }

    /// Writes its configuration, and leaves the start to [`Tidegate::start_again`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn install(self) -> Result<Tidegate> {
        self.scratch.write("tidegate.yml", self.settings.to_string())?;
        Ok(Tidegate {
            program: None,
            client: http::client()?,
            setup: self,
        })
    }
}

/// A server, running or killed.
#[derive(Debug)]
pub struct Tidegate {
    // Stopped before its folder goes.
    program: Option<Program>,
    setup: Setup,
    client: Client,
}

impl Tidegate {
    /// Starts it after it was killed or has stopped, on the same address and storage, and waits until it is ready.
    ///
    /// # Errors
    /// When it runs, or does not come up; carries the end of its log.
    pub async fn start_again(&mut self) -> Result<()> {
        self.start_within(START).await
    }

    /// The same, with more patience: where there is much to take up again.
    ///
    /// # Errors
    /// As [`Tidegate::start_again`].
    pub async fn start_within(&mut self, patience: Duration) -> Result<()> {
        self.launch_again()?;
        let (client, ready) = (self.client.clone(), self.url("/-/ready"));
        self.program()?
            .ready(patience, async || http::answers(&client, &ready).await)
            .await
    }

    /// Starts it as [`Tidegate::start_again`] does, and waits for nothing.
    ///
    /// # Errors
    /// When it runs or cannot be started.
    pub fn launch_again(&mut self) -> Result<()> {
        self.program = Some(self.launch()?);
        Ok(())
    }

    fn launch(&mut self) -> Result<Program> {
        if let Some(running) = &mut self.program
            && running.exited()?.is_none()
        {
            bail!("the server is still running");
        }
        let configuration = self.setup.scratch.path().join("tidegate.yml");
        let mut launch = self
            .setup
            .program()?
            .arg("serve")
            .arg(format!("--config.file={}", configuration.display()));
        for (name, value) in &self.setup.variables {
            launch = launch.env(name, value);
        }
        launch.start("tidegate", &self.setup.scratch)
    }

    /// Sets or, with nothing, removes an environment variable for the next start.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.setup.variables.retain(|(known, _)| known != name);
        self.setup
            .variables
            .extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it had already exited.
    pub fn kill(&mut self) -> Result<()> {
        self.program()?.kill()
    }

    /// SIGTERM, and waits until it is gone.
    ///
    /// # Errors
    /// When it had already exited, or does not go.
    pub async fn stop(&mut self) -> Result<std::process::ExitStatus> {
        self.program()?.signal(Signal::TERM)?;
        self.program()?.exit(START).await
    }

    /// The process, to signal it or to wait for its end.
    ///
    /// # Errors
    /// When it was never started.
    pub fn program(&mut self) -> Result<&mut Program> {
        self.program.as_mut().context("the server was never started")
    }

    /// Where `path` is.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.setup.url(path)
    }

    /// Where Alertmanager posts to, with [`RECEIVER_TOKEN`].
    #[must_use]
    pub fn webhook(&self) -> String {
        self.setup.webhook()
    }

    /// The folder with its configuration, its plans, its log and its data.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.setup.scratch
    }

    /// The file with the administrator's token, which the first start writes.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.scratch().path().join("data/admin.token")
    }

    /// The administrator's token.
    ///
    /// # Errors
    /// When there is none.
    pub fn token(&self) -> Result<String> {
        let token = std::fs::read_to_string(self.token_file()).context("there is no administrator's token")?;
        Ok(token.trim().to_owned())
    }

    /// GETs `path` as the administrator.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let request = self.client.get(self.url(path)).bearer_auth(self.token()?);
        answer_of(request).await
    }

    /// POSTs `body` to `path` as the administrator.
    ///
    /// # Errors
    /// When there is no answer, or it is not JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let request = self.client.post(self.url(path)).bearer_auth(self.token()?).json(body);
        answer_of(request).await
    }

    /// What a scrape says of `name`, as [`scrape::sum`] does.
    ///
    /// # Errors
    /// When there is no answer, or a value is no number.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>> {
        let answer = self.client.get(self.url("/metrics")).send().await;
        let answer = answer.context("the scrape was not answered")?;
        ensure!(
            answer.status().is_success(),
            "the scrape was answered {}",
            answer.status()
        );
        scrape::sum(&answer.text().await.context("the scrape broke off")?, name, labels)
    }

    /// Delivers a body as Alertmanager does, and returns the status of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deliver(&self, body: impl Into<reqwest::Body>) -> Result<StatusCode> {
        let request = self.client.post(self.webhook()).bearer_auth(RECEIVER_TOKEN);
        let answer = request
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await;
        Ok(answer.context("the delivery was not answered")?.status())
    }

    /// Evaluates a boolean flag over OFREP as anybody on this machine may.
    ///
    /// # Errors
    /// When there is no such flag, or no answer.
    pub async fn flag(&self, key: &str, targeting_key: &str) -> Result<bool> {
        let url = self.url(&format!("/ofrep/v1/evaluate/flags/{key}"));
        let body = json!({ "context": { "targetingKey": targeting_key } });
        let (status, answer) = answer_of(self.client.post(url).json(&body)).await?;
        ensure!(status.is_success(), "the flag answered {status}: {answer}");
        answer["value"]
            .as_bool()
            .with_context(|| format!("no boolean in {answer}"))
    }

    /// Runs the command line against this server as the administrator, with `-o json`; returns its exit code and what it
    /// printed on standard output.
    ///
    /// # Errors
    /// When it cannot be started or was killed.
    pub async fn command(&self, arguments: &[&str]) -> Result<(i32, String)> {
        self.command_as(&self.token_file(), arguments).await
    }

    /// As [`Tidegate::command`], for whoever has the token in this file.
    ///
    /// # Errors
    /// When it cannot be started or was killed.
    pub async fn command_as(&self, token_file: &Path, arguments: &[&str]) -> Result<(i32, String)> {
        let output = tokio::process::Command::new(self.setup.build.program()?)
            .args(["-o", "json"])
            .args(arguments)
            .env_remove("TIDEGATE_TOKEN")
            .env("TIDEGATE_SERVER", self.url(""))
            .env("TIDEGATE_TOKEN_FILE", token_file)
            .kill_on_drop(true)
            .output()
            .await
            .context("could not start the command line")?;
        let code = output.status.code().context("the command line was killed")?;
        Ok((
            code,
            String::from_utf8(output.stdout).context("the command line printed no text")?,
        ))
    }
}

async fn answer_of(request: reqwest::RequestBuilder) -> Result<(StatusCode, Value)> {
    let answer = request.send().await.context("there was no answer")?;
    let status = answer.status();
    let body = answer.text().await.context("the answer broke off")?;
    if body.is_empty() {
        return Ok((status, Value::Null));
    }
    let value = serde_json::from_str(&body).with_context(|| format!("{status}, and not JSON: {body}"))?;
    Ok((status, value))
}

fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}
