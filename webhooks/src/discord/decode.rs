//! Owns Discord's wire format: an interaction, as its documentation and serenity's models describe it.
//! Refuses to need more than it uses: of the message, the member and the channel around it only ids are looked at, so a
//! field that Discord adds or drops there silences nobody.

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serenity::model::application::{
    CommandData, CommandDataOption, CommandDataOptionValue, ComponentInteractionData, ComponentInteractionDataKind,
    InteractionType,
};
use serenity::model::id::{ApplicationId, GuildId, InteractionId, UserId};

use super::proof::Signed;
use super::{Form, Heard, Spoken, What};
use crate::decode::Malformed;
use crate::text::{brief, without_nul};

/// What every interaction carries, as far as anything is done about it.
#[derive(Deserialize)]
pub(super) struct Interaction {
    id: InteractionId,
    application_id: ApplicationId,
    r#type: InteractionType,
    guild_id: Option<GuildId>,
    #[serde(default)]
    channel_id: Value,
    member: Option<Member>,
    token: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Member {
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: UserId,
}

impl Interaction {
    pub(super) fn read(signed: &Signed) -> Result<Self, Malformed> {
        serde_json::from_slice(&signed.body).map_err(|error| Malformed(brief(&error)))
    }

    /// The application that it is for.
    pub(super) fn application(&self) -> String {
        self.application_id.to_string()
    }

    /// The server it came from; none for direct messages.
    pub(super) fn guild(&self) -> Option<String> {
        self.guild_id.map(|guild| guild.to_string())
    }

    /// Whether Discord only asks if somebody is there.
    pub(super) fn is_ping(&self) -> bool {
        self.r#type == InteractionType::Ping
    }

    /// What somebody did.
    pub(super) fn heard(self, proof: [u8; 32], at: Timestamp) -> Result<Heard, Malformed> {
        let missing = |what: &str| Malformed(format!("`{what}` is missing"));
        let member = self.member.ok_or_else(|| missing("member"))?;
        let guild = self.guild_id.ok_or_else(|| missing("guild_id"))?;
        let what = match self.r#type {
            InteractionType::Command => What::Command(spoken(&data::<CommandData>(self.data)?)?),
            InteractionType::Autocomplete => complete(&data(self.data)?)?,
            InteractionType::Component => press(data(self.data)?)?,
            InteractionType::Modal => What::Submit(data::<Submitted>(self.data)?.into()),
            other => {
                return Err(Malformed(format!(
                    "nothing is done about interactions of type {other:?}"
                )));
            }
        };
        Ok(Heard {
            proof,
            at,
            id: self.id.to_string(),
            guild: guild.to_string(),
            place: self.channel_id.as_str().map(|id| without_nul(id.to_owned())),
            user: member.user.id.to_string(),
            token: SecretString::from(self.token),
            what,
        })
    }
}

fn data<T: DeserializeOwned>(data: Value) -> Result<T, Malformed> {
    serde_json::from_value(data).map_err(|error| Malformed(format!("`data`: {}", brief(&error))))
}

fn press(data: ComponentInteractionData) -> Result<What, Malformed> {
    match data.kind {
        ComponentInteractionDataKind::Button => Ok(What::Press {
            button: without_nul(data.custom_id),
        }),
        ComponentInteractionDataKind::StringSelect { mut values } if values.len() == 1 => Ok(What::Choose {
            list: without_nul(data.custom_id),
            value: without_nul(values.remove(0)),
        }),
        _ => Err(Malformed(
            "nothing but buttons and lists for one choice is ever posted".to_owned(),
        )),
    }
}

/// A form that came back. serenity's models know fields in rows alone; Discord puts each into a label of its own.
#[derive(Deserialize)]
struct Submitted {
    custom_id: String,
    #[serde(default)]
    components: Vec<Around>,
}

/// What stands around fields: a label around one, a row around several. Words stand there alone.
#[derive(Deserialize)]
struct Around {
    component: Option<Field>,
    #[serde(default)]
    components: Vec<Field>,
}

/// A field: of a text its value, of a list what was chosen.
#[derive(Deserialize)]
struct Field {
    custom_id: String,
    value: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

impl From<Submitted> for Form {
    fn from(submitted: Submitted) -> Self {
        let around = submitted.components.into_iter();
        let fields = around.flat_map(|around| around.component.into_iter().chain(around.components));
        let filled_in = |field: Field| {
            let value = field.value.or_else(|| field.values.into_iter().next())?;
            Some((without_nul(field.custom_id), without_nul(value)))
        };
        Self {
            name: without_nul(submitted.custom_id),
            fields: fields.filter_map(filled_in).collect(),
        }
    }
}

/// The sub-command and its options. Groups of sub-commands are never registered.
fn sub_command(data: &CommandData) -> Result<(&str, &[CommandDataOption]), Malformed> {
    match data.options.as_slice() {
        [] => Ok(("", &[])),
        [one] => match &one.value {
            CommandDataOptionValue::SubCommand(options) => Ok((&one.name, options)),
            _ => Err(Malformed("a command without its sub-command".to_owned())),
        },
        _ => Err(Malformed("a command with several sub-commands".to_owned())),
    }
}

fn spoken(data: &CommandData) -> Result<Spoken, Malformed> {
    let (verb, options) = sub_command(data)?;
    let options = options.iter().map(|option| {
        let value = match &option.value {
            CommandDataOptionValue::String(text) => text.clone(),
            CommandDataOptionValue::Autocomplete { value, .. } => value.clone(),
            CommandDataOptionValue::Integer(number) => number.to_string(),
            CommandDataOptionValue::Boolean(switch) => switch.to_string(),
            other => return Err(Malformed(format!("an option of kind {:?}", other.kind()))),
        };
        Ok((without_nul(option.name.clone()), without_nul(value)))
    });
    Ok(Spoken {
        verb: without_nul(verb.to_owned()),
        options: options.collect::<Result<_, _>>()?,
    })
}

fn complete(data: &CommandData) -> Result<What, Malformed> {
    let focused = data.autocomplete();
    let focused = focused.ok_or_else(|| Malformed("no option is being typed".to_owned()))?;
    Ok(What::Complete {
        focused: without_nul(focused.name.to_owned()),
        typed: without_nul(focused.value.to_owned()),
        spoken: spoken(data)?,
    })
}
