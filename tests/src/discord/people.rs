//! What people on the server do: send commands, type, press buttons. Each becomes a request signed as Discord's, and its
//! answer is judged and shown as Discord would.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ed25519_dalek::{Signer as _, SigningKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{APP, Book, CHANNEL, Discord, GUILD, Occasion, Posted, commands, forms, judge, milliseconds, snowflake};
use crate::paths;

/// What Discord's key for the application is made from.
pub const SEED: [u8; 32] = [7; 32];
/// What a stranger's key is made from.
pub const STRANGER: [u8; 32] = [9; 32];

/// A request, signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The time that is signed along, in seconds.
    pub timestamp: String,
    /// 128 hexadecimal digits.
    pub signature: String,
    /// The interaction.
    pub body: String,
    /// The token with which its answer is edited.
    pub token: String,
}

/// How a request was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The body, where there is one.
    pub body: Value,
    /// How long it took.
    pub took: Duration,
    /// The token with which it is edited.
    pub token: String,
}

/// The signature as Discord makes it.
#[must_use]
pub fn sign(seed: [u8; 32], timestamp: &str, body: &str) -> String {
    let key = SigningKey::from_bytes(&seed);
    hex::encode(key.sign(format!("{timestamp}{body}").as_bytes()).to_bytes())
}

/// The signature as PyNaCl makes it, with the public key that goes with it.
///
/// # Errors
/// When PyNaCl is not installed or fails.
pub async fn by_pynacl(seed: [u8; 32], timestamp: &str, body: &str) -> Result<(String, String)> {
    let python = paths::target()?.join("python/bin/python");
    ensure!(
        python.is_file(),
        "{} is missing: run `./tests/run prepare`",
        python.display()
    );
    let script = paths::repository().join("tests/discord/sign.py");
    let output = Command::new(python)
        .arg(script)
        .args([&hex::encode(seed), timestamp, body])
        .output()
        .await;
    let output = output.context("could not start Python")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "PyNaCl failed: {complaint}");
    let said = String::from_utf8(output.stdout)?;
    let (key, signature) = said.trim().split_once(' ').context("it printed no pair")?;
    Ok((key.to_owned(), signature.to_owned()))
}

impl Signed {
    /// The same, signed by PyNaCl.
    ///
    /// # Errors
    /// When it is not installed or fails.
    pub async fn by_pynacl(self) -> Result<Self> {
        let (_, signature) = by_pynacl(SEED, &self.timestamp, &self.body).await?;
        Ok(Self { signature, ..self })
    }

    /// The same body, signed for another time with another key.
    #[must_use]
    pub fn again(&self, seed: [u8; 32], seconds_ago: i64) -> Self {
        let now = i64::try_from(milliseconds() / 1_000).unwrap_or(0);
        let timestamp = (now - seconds_ago).to_string();
        Self {
            signature: sign(seed, &timestamp, &self.body),
            timestamp,
            ..self.clone()
        }
    }
}

impl Discord {
    /// The public key of the application, as its page shows it.
    #[must_use]
    pub fn public_key() -> String {
        hex::encode(SigningKey::from_bytes(&SEED).verifying_key().to_bytes())
    }

    /// Discord asks if somebody is there.
    #[must_use]
    pub fn ping(&self) -> Signed {
        let body = json!({ "application_id": APP, "id": snowflake(&mut self.book()), "token": "t", "type": 1, "version": 1,
            "user": { "id": "1", "username": "discord" }, "entitlements": [] });
        signed(&body, "t".to_owned())
    }

    /// `user` sends a sub-command with these options, as far as the commands that are registered let anybody.
    ///
    /// # Errors
    /// When they do not: there is no such verb, no such option or choice, or something required is missing.
    pub fn command(&self, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Signed> {
        let data = self.typed(verb, options, false)?;
        Ok(self.interaction(APP, Some(GUILD), user, json!({ "type": 2, "data": data })))
    }

    /// As [`Discord::command`], in the channel or in one of its threads.
    ///
    /// # Errors
    /// When there is no such place, too.
    pub fn command_at(&self, place: &str, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Signed> {
        self.is_a_place(place)?;
        let data = self.typed(verb, options, false)?;
        let more = json!({ "type": 2, "channel_id": place, "data": data });
        Ok(self.interaction(APP, Some(GUILD), user, more))
    }

    fn is_a_place(&self, place: &str) -> Result<()> {
        let known = place == CHANNEL || self.book().threads.contains_key(place);
        ensure!(known, "nobody can speak at {place}");
        Ok(())
    }

    /// A sub-command from any application and server, or from none, whatever is registered now: a client may still show what
    /// was registered before, and who can sign can make up anything.
    #[must_use]
    pub fn command_in(
        &self,
        app: &str,
        guild: Option<&str>,
        user: &str,
        verb: &str,
        options: &[(&str, &str)],
    ) -> Signed {
        let command = json!({ "id": "771825006014889984", "name": "rollout" });
        let data = commands::data(&command, verb, options, false);
        self.interaction(app, guild, user, json!({ "type": 2, "data": data }))
    }

    /// `user` types: the last of these options is the one that is being typed.
    ///
    /// # Errors
    /// As [`Discord::command`], and when nobody is asked what that option could be.
    pub fn typing(&self, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Signed> {
        let data = self.typed(verb, options, true)?;
        Ok(self.interaction(APP, Some(GUILD), user, json!({ "type": 4, "data": data })))
    }

    /// As [`Discord::typing`], in the channel or in one of its threads.
    ///
    /// # Errors
    /// When there is no such place, too.
    pub fn typing_at(&self, place: &str, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Signed> {
        self.is_a_place(place)?;
        let data = self.typed(verb, options, true)?;
        let more = json!({ "type": 4, "channel_id": place, "data": data });
        Ok(self.interaction(APP, Some(GUILD), user, more))
    }

    /// What the client of somebody on the server sends: it shows the server's commands, or else those of everywhere.
    fn typed(&self, verb: &str, options: &[(&str, &str)], typing: bool) -> Result<Value> {
        let book = self.book();
        let registered = book.registered.get(GUILD).or_else(|| book.registered.get("everywhere"));
        commands::typed(registered, verb, options, typing).map_err(|why| anyhow::anyhow!("Discord: {why}"))
    }

    /// `user` presses a button of a message, if it stands there and can be pressed.
    ///
    /// # Errors
    /// When there is no such button.
    pub fn press(&self, user: &str, message: &Posted, action: &str) -> Result<Signed> {
        self.press_in(user, &message.sent, action)
    }

    /// As [`Discord::press`], of what only that person sees.
    ///
    /// # Errors
    /// When there is no such button.
    pub fn press_in(&self, user: &str, shown: &Value, action: &str) -> Result<Signed> {
        let button = judge::button(shown, action);
        let button = button.with_context(|| format!("no `{action}` among {:?}", judge::buttons(shown)))?;
        ensure!(
            button["disabled"] != Value::Bool(true),
            "`{action}` is greyed out: {shown}"
        );
        Ok(self.press_with(user, button["custom_id"].as_str().unwrap_or_default()))
    }

    /// A press of any button, as somebody could make it up who can sign.
    #[must_use]
    pub fn press_with(&self, user: &str, custom_id: &str) -> Signed {
        let message = json!({ "id": "1", "channel_id": CHANNEL, "type": 0, "content": "", "flags": 0,
            "author": { "id": super::BOT, "bot": true, "username": "tidegate", "discriminator": "0" } });
        let more = json!({ "type": 3, "data": { "component_type": 2, "custom_id": custom_id }, "message": message });
        self.interaction(APP, Some(GUILD), user, more)
    }

    /// `user` chooses one thing from the list in a message.
    ///
    /// # Errors
    /// When no list there offers it.
    pub fn choose(&self, user: &str, shown: &Value, value: &str) -> Result<Signed> {
        let rows = shown["components"].as_array().into_iter().flatten();
        let mut lists = rows.map(|row| &row["components"][0]).filter(|one| one["type"] == 3);
        let offers = |list: &&Value| {
            let mut options = list["options"].as_array().into_iter().flatten();
            options.any(|option| option["value"] == value)
        };
        let list = lists
            .find(offers)
            .with_context(|| format!("nobody offers `{value}`: {shown}"))?;
        let data = json!({ "component_type": 3, "id": 2, "custom_id": list["custom_id"], "values": [value] });
        let message = json!({ "id": "1", "channel_id": CHANNEL, "type": 0, "content": "", "flags": 64,
            "author": { "id": super::BOT, "bot": true, "username": "tidegate", "discriminator": "0" } });
        Ok(self.interaction(
            APP,
            Some(GUILD),
            user,
            json!({ "type": 3, "data": data, "message": message }),
        ))
    }

    /// `user` sends an open form off, with these fields filled in beside what stood there.
    ///
    /// # Errors
    /// When Discord would not send it: something is missing, or too long.
    pub fn submit(&self, user: &str, form: &Value, filled_in: &[(&str, &str)]) -> Result<Signed> {
        let data = forms::filled_in(form, filled_in)?;
        Ok(self.interaction(APP, Some(GUILD), user, json!({ "type": 5, "data": data })))
    }

    /// A form that comes back, as somebody could make it up who can sign.
    #[must_use]
    pub fn submit_with(&self, user: &str, data: &Value) -> Signed {
        self.interaction(APP, Some(GUILD), user, json!({ "type": 5, "data": data }))
    }

    fn interaction(&self, app: &str, guild: Option<&str>, user: &str, more: Value) -> Signed {
        let mut book = self.book();
        let id = snowflake(&mut book);
        let token = format!("token-of-{id}");
        begin(&mut book, &token, more["type"].as_u64().unwrap_or(0));
        let person = json!({ "id": user, "username": "never-look-at-me", "global_name": "Never", "avatar": null,
            "discriminator": "0", "public_flags": 0 });
        let mut body = json!({
            "app_permissions": "442368", "application_id": app, "authorizing_integration_owners": {},
            "channel_id": CHANNEL, "context": 0, "entitlements": [], "id": id, "locale": "en-US", "token": token,
            "version": 1, "attachment_size_limit": 10_485_760,
        });
        match guild {
            Some(guild) => {
                body["guild_id"] = guild.into();
                body["guild_locale"] = "en-US".into();
                body["member"] = json!({ "user": person, "roles": [], "permissions": "2147483647", "nick": null,
                    "joined_at": "2017-03-13T19:19:14.040000+00:00", "deaf": false, "mute": false });
            }
            None => body["user"] = person,
        }
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        signed(&body, token)
    }

    /// Delivers a request to `address`, and shows its person the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn deliver(&self, address: &str, signed: &Signed) -> Result<Answered> {
        let begun = Instant::now();
        let answer = self
            .client
            .post(address)
            .header("content-type", "application/json")
            .header("x-signature-timestamp", &signed.timestamp)
            .header("x-signature-ed25519", &signed.signature)
            .header("user-agent", "Discord-Interactions/1.0 (+https://discord.com)")
            .body(signed.body.clone())
            .send()
            .await
            .context("the request was not answered")?;
        let status = answer.status();
        let body = answer.bytes().await.context("the answer broke off")?;
        let took = begun.elapsed();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        // How long it took is for the test to judge: a machine that is busy with other things breaks no promise of ours.
        if status == StatusCode::OK {
            self.hear(&signed.token, &body);
        }
        Ok(Answered {
            status,
            body,
            took,
            token: signed.token.clone(),
        })
    }

    /// What Discord makes of a first answer.
    fn hear(&self, token: &str, answer: &Value) {
        let mut book = self.book();
        let data = &answer["data"];
        let verdict = match answer["type"].as_u64() {
            Some(1) => return,
            Some(4 | 7) => judge::message(data),
            Some(5 | 6) => Ok(()),
            Some(8) => choices(data),
            Some(9) => match book.occasions.get(token).map(|occasion| occasion.kind) {
                Some(2 | 3) => forms::judge(data),
                kind => Err(format!("an interaction of type {kind:?} is answered with a form")),
            },
            _ => Err(format!("no answer that Discord knows: {answer}")),
        };
        if let Err(why) = verdict {
            return book.refused.push(format!("first answer: {why}"));
        }
        if let Some(occasion) = book.occasions.get_mut(token) {
            occasion.acknowledged = true;
            if answer["type"] == 9 {
                occasion.form = Some(data.clone());
            }
            if matches!(answer["type"].as_u64(), Some(4 | 7)) {
                occasion.shown = Some(data.clone());
            }
        }
    }
}

fn begin(book: &mut Book, token: &str, kind: u64) {
    let occasion = Occasion {
        begun: Instant::now(),
        kind,
        form: None,
        acknowledged: false,
        shown: None,
    };
    book.occasions.insert(token.to_owned(), occasion);
}

fn choices(data: &Value) -> Result<(), String> {
    let choices = data["choices"].as_array().ok_or("choices are missing")?;
    if choices.len() > 25 {
        return Err(format!("{} choices", choices.len()));
    }
    for choice in choices {
        for key in ["name", "value"] {
            let long = choice[key].as_str().unwrap_or_default().encode_utf16().count();
            if !(1..=100).contains(&long) {
                return Err(format!("a {key} of {long} characters: {choice}"));
            }
        }
    }
    Ok(())
}

fn signed(body: &Value, token: String) -> Signed {
    let unsigned = Signed {
        timestamp: String::new(),
        signature: String::new(),
        body: body.to_string(),
        token,
    };
    unsigned.again(SEED, 0)
}

impl Answered {
    /// What the person sees.
    #[must_use]
    pub fn shown(&self) -> String {
        judge::shown(&self.body["data"])
    }
}
