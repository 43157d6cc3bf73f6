//! Owns saying things by mail: one message to a mail server for each notice, one conversation for each rollout.
//! Refuses to say a thing twice to those who sort by its id: a repeated attempt carries the same `Message-ID`.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use futures_util::future::join_all;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{self, extension::ClientId};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use tidegate_rollout::Notice;
use tidegate_rollout::notice::{About, NoticeKind};
use tidegate_rollout::plan::Hears;
use url::Url;

use super::{ChannelError, Message, page_of};
use crate::config::{self, MailTls};

/// A mail server may take so long for each of its answers; the attempt as a whole is bounded by whoever asks for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// The way to the mail server.
pub type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Some addresses that get mail.
pub struct EmailChannel {
    /// Its name in the configuration.
    pub name: String,
    /// Whom to.
    pub to: Vec<Mailbox>,
    /// Who it is from.
    pub from: Mailbox,
    /// The way to the mail server.
    pub transport: Transport,
    /// Where the pages are, if people outside can reach them.
    pub pages: Option<Url>,
}

/// The way to the server that the configuration names.
///
/// # Errors
/// When no encrypted connection can be prepared.
pub fn transport(email: &config::Email) -> anyhow::Result<Transport> {
    let tls = || TlsParameters::new(email.host.clone()).context("prepare TLS for the mail server");
    let tls = match email.tls {
        MailTls::StartTls => Tls::Required(tls()?),
        MailTls::Tls => Tls::Wrapper(tls()?),
        MailTls::Off => Tls::None,
    };
    let mut builder = Transport::builder_dangerous(&email.host)
        .port(email.port)
        .tls(tls)
        .hello_name(ClientId::default())
        .timeout(Some(ANSWER_WITHIN));
    if let Some((user, password)) = &email.login {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    Ok(builder.build())
}

impl EmailChannel {
    /// Sends it once. Where one of several addresses is refused for good, the others get it all the same, and the message
    /// is told as refused, with that address.
    pub(super) async fn say(&self, message: &Message) -> Result<(), ChannelError> {
        let mail = self.mail(message).map_err(|source| self.later(source))?;
        let error = match self.transport.send(mail.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !is_final(&error) {
            return Err(self.later(error.into()));
        }
        if self.to.len() == 1 {
            return Err(self.never(error.to_string()));
        }
        self.one_by_one(&mail).await
    }

    async fn one_by_one(&self, mail: &lettre::Message) -> Result<(), ChannelError> {
        let bytes = mail.formatted();
        let sent = self.to.iter().map(|to| self.to_one(to, &bytes));
        let refused: Vec<String> = join_all(sent).await.into_iter().filter_map(Result::err).collect();
        if refused.is_empty() {
            return Ok(());
        }
        // Never again, also where one of them might work later: the others would get it twice.
        Err(self.never(refused.join("; ")))
    }

    async fn to_one(&self, to: &Mailbox, bytes: &[u8]) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", to.email);
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.email.clone()]);
        let envelope = envelope.map_err(|error| said(&error))?;
        let sent = self.transport.send_raw(&envelope, bytes).await;
        sent.map(drop).map_err(|error| said(&error))
    }

    fn mail(&self, message: &Message) -> anyhow::Result<lettre::Message> {
        let notice = &message.notice;
        let page = self.pages.as_ref().and_then(|pages| page_of(pages, notice));
        let letter = message.frame.letter(notice, &message.text, page.as_ref())?;
        let ids = self.ids(notice);
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .date(SystemTime::from(notice.at))
            .message_id(Some(ids.own))
            .subject(letter.subject)
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        if let Some(first) = ids.first {
            mail = mail.in_reply_to(first.clone()).references(first);
        }
        if notice.kind.loudness() == Hears::Pages {
            mail = mail.raw_header(header("Importance", "high"));
        }
        mail.multipart(MultiPart::alternative_plain_html(letter.text, letter.html))
            .context("put the mail together")
    }

    /// The names of the mail and of the one that begins the conversation. They follow from the notice, so that every
    /// attempt and every replica says the same.
    fn ids(&self, notice: &Notice) -> Ids {
        let domain = self.from.email.domain();
        let place: String = self.name.chars().filter(char::is_ascii_alphanumeric).collect();
        let named = |name: &str| format!("<{name}.{place}@{domain}>");
        let rollout = notice.about.rollout.as_str();
        let first = named(rollout);
        if matches!(notice.kind, NoticeKind::Started { .. }) {
            return Ids {
                own: first,
                first: None,
            };
        }
        Ids {
            own: named(notice.id.as_str()),
            first: (rollout != About::SERVER).then_some(first),
        }
    }

    fn later(&self, source: anyhow::Error) -> ChannelError {
        ChannelError::Later {
            channel: self.name.clone(),
            source,
        }
    }

    fn never(&self, why: String) -> ChannelError {
        ChannelError::Never {
            channel: self.name.clone(),
            why,
        }
    }
}

struct Ids {
    own: String,
    first: Option<String>,
}

/// A header in words of our own.
fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Whether no second attempt can help: the server says no to the message or to an address. What it says about who we are
/// (`53x`) may be mended, and the mail is not to blame.
fn is_final(error: &smtp::Error) -> bool {
    let about_us = error.status().is_some_and(|code| code.to_string().starts_with("53"));
    error.is_permanent() && !about_us
}
