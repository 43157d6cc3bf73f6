//! Owns talking to a running server: where it is, how we prove ourselves, and what its answers mean for the exit code.
//! Refuses to know any rule of rollouts: the server decides, this only carries.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Exit, Failure};
use crate::chat::Answer;
use crate::secret;

/// How the server is found and asked.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerArgs {
    /// Where the server listens.
    #[arg(
        long,
        env = "TIDEGATE_SERVER",
        default_value = "http://127.0.0.1:9797",
        global = true
    )]
    server: String,
    /// A file with the token that proves who you are; else TIDEGATE_TOKEN is the token itself, else TIDEGATE_TOKEN_FILE
    /// names the file.
    // Not read by clap: an explicit flag wins over both variables. The token is no flag: it would be in every process list.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

/// A connection to one server.
pub(super) struct Server {
    base: String,
    token: Option<SecretString>,
    client: reqwest::Client,
}

impl ServerArgs {
    /// Reads the token and makes the connection.
    pub(super) fn connect(&self) -> Result<Server, Failure> {
        let token = token(self.token_file.clone(), |name| std::env::var(name).ok())?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the command line speaks to the one server its user names"
        )]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|fault| Failure::new(Exit::Failed, format!("could not make an HTTP client: {fault}")))?;
        Ok(Server {
            base: self.server.trim_end_matches('/').to_owned(),
            token,
            client,
        })
    }
}

/// The token of the file that the flag names, else that of the environment. A blank variable counts as none.
fn token(flag: Option<PathBuf>, environment: impl Fn(&str) -> Option<String>) -> Result<Option<SecretString>, Failure> {
    let variable = |name| {
        environment(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    if flag.is_none()
        && let Some(token) = variable("TIDEGATE_TOKEN")
    {
        return Ok(Some(SecretString::from(token)));
    }
    let Some(path) = flag.or_else(|| variable("TIDEGATE_TOKEN_FILE").map(PathBuf::from)) else {
        return Ok(None);
    };
    let token = secret::read(&path).map_err(|fault| Failure::new(Exit::Usage, format!("no token: {fault}")))?;
    Ok(Some(SecretString::from(token.expose_secret().trim())))
}

impl Server {
    /// `GET path` as a document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// `POST path` with a document; the answer as a document.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        self.send(request).await
    }

    /// `DELETE path`.
    pub(super) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(self.client.delete(format!("{}{path}", self.base))).await
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        let answer = request
            .send()
            .await
            .map_err(|fault| self.unreachable(&fault.without_url()))?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(|fault| self.unreachable(&fault.without_url()))?;
        if status.is_success() || status == StatusCode::CONFLICT {
            // No content reads as nothing.
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            return serde_json::from_slice(body).map_err(|fault| {
                Failure::new(
                    Exit::Unreachable,
                    format!("{} answered something else than Tidegate: {fault}", self.base),
                )
            });
        }
        Err(self.problem(status, &body))
    }

    fn unreachable(&self, fault: &reqwest::Error) -> Failure {
        Failure::new(
            Exit::Unreachable,
            format!("cannot reach {}: {:#}", self.base, anyhow::anyhow!("{fault}")),
        )
        .hint("Is the server running? Name another one with --server or TIDEGATE_SERVER.")
    }

    /// A problem document, or whatever stands there instead.
    fn problem(&self, status: StatusCode, body: &[u8]) -> Failure {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
        let message = text("detail")
            .or_else(|| text("title"))
            .unwrap_or_else(|| format!("{} answered {status}", self.base));
        let failure = Failure::new(exit_of(status), message);
        let failure = match text("code") {
            Some(code) => failure.code(code),
            None => failure,
        };
        match text("hint") {
            Some(hint) => failure.hint(hint),
            None if status == StatusCode::UNAUTHORIZED => {
                failure.hint("Give a token with --token-file, TIDEGATE_TOKEN_FILE or TIDEGATE_TOKEN.")
            }
            None => failure,
        }
    }
}

fn exit_of(status: StatusCode) -> Exit {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
        StatusCode::CONFLICT => Exit::Stale,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Exit::Unreachable,
        _ if status.is_server_error() => Exit::Unreachable,
        _ => Exit::Usage,
    }
}

/// What a refusal means for the exit code.
pub(super) fn refused(answer: &Answer) -> Failure {
    use tidegate_rollout::Code;
    let exit = match answer.code {
        Some(Code::R101 | Code::R102 | Code::R103 | Code::R104 | Code::R106) => Exit::Usage,
        Some(Code::R105) => Exit::Invalid,
        Some(Code::R401) => Exit::Stale,
        Some(_) | None => Exit::Refused,
    };
    let code = answer.code.map_or_else(|| "R000".to_owned(), |code| code.to_string());
    let mut failure = Failure::new(exit, answer.text.clone()).code(code);
    failure.hint = answer.hint.clone();
    failure.retry_after_s = answer.retry_after_s.and_then(|seconds| u64::try_from(seconds).ok());
    failure
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(token: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{token}").expect("written");
        file
    }

    #[test]
    fn a_flag_wins_over_the_environment() {
        let (flag, other) = (file("of-the-flag"), file("of-the-variable"));
        let other = other.path().display().to_string();
        let found = |flag: Option<&std::path::Path>, variables: &[(&str, &str)]| {
            let environment = |name: &str| {
                let variable = variables.iter().find(|(known, _)| *known == name);
                variable.map(|(_, value)| (*value).to_owned())
            };
            let token = token(flag.map(PathBuf::from), environment);
            token.map(|token| token.map(|token| token.expose_secret().to_owned()))
        };
        let both = [("TIDEGATE_TOKEN", "itself"), ("TIDEGATE_TOKEN_FILE", other.as_str())];
        assert_eq!(found(Some(flag.path()), &both), Ok(Some("of-the-flag".to_owned())));
        assert_eq!(found(None, &both), Ok(Some("itself".to_owned())));
        assert_eq!(found(None, &both[1..]), Ok(Some("of-the-variable".to_owned())));
        assert_eq!(found(None, &[("TIDEGATE_TOKEN", " ")]), Ok(None));
        assert_eq!(found(None, &[]), Ok(None));
        let missing = found(Some(std::path::Path::new("/no/such/token")), &both);
        assert_eq!(missing.map_err(|failure| failure.exit), Err(Exit::Usage));
    }
}
