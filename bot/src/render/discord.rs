//! Owns the pieces that messages in Discord are built of, bounded as Discord bounds them.
//! Refuses to let words call anybody: no message of ours parses a mention, and only who is listed beside it is called. What is
//! markup in a message is [`Markup`], which escapes every text from outside; the other places are plain text for Discord, too.

mod form;
mod markup;

use serde_json::Value;
use serenity::builder::{
    CreateActionRow, CreateAllowedMentions, CreateButton, CreateEmbed, CreateEmbedFooter,
    CreateInteractionResponseMessage, CreateMessage, CreateSelectMenu, CreateSelectMenuKind, CreateSelectMenuOption,
    EditMessage,
};
use serenity::model::application::{ButtonStyle, InteractionResponseFlags};
use serenity::model::channel::{MessageFlags, Nonce};
use serenity::model::id::UserId;

use super::button::Button;
pub use form::{Field, Form, MOST_FIELDS, WORDS};
pub use markup::Markup;
use markup::cut;

/// The most characters of a message's own text, and of the places of an embed. Discord counts the embed as a whole, too:
/// 6,000; what cards are made of stays below that together.
pub const CONTENT: usize = 2_000;
const TITLE: usize = 256;
const DESCRIPTION: usize = 2_600;
const FIELD_NAME: usize = 60;
const FIELD: usize = 800;
const FOOTER: usize = 500;
/// The most fields of an embed that are used.
const FIELDS: usize = 3;
/// The most characters on a button, of what it carries, of a name to choose, of a thread's name.
const LABEL: usize = 80;
const CUSTOM_ID: usize = 100;
const NAME: usize = 100;
/// The most characters of what stands in a list before something is chosen.
const PLACEHOLDER: usize = 150;
/// The most things to choose from.
pub const CHOICES: usize = 25;
/// The most buttons in a row.
const ROW: usize = 5;

/// What a button of ours is called when it comes back begins so; another version would begin otherwise.
const VERSION: &str = "v1:";

/// A picture with a coloured edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    /// The headline.
    pub title: String,
    /// Where the headline leads.
    pub url: Option<String>,
    /// The colour of the edge. Decoration: nothing is said by it alone.
    pub colour: u32,
    /// The text.
    pub description: Markup,
    /// Names, and what stands below them.
    pub fields: Vec<(&'static str, Markup)>,
    /// The small print; Discord reads no markup there.
    pub footer: String,
}

/// A list from which one thing is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What it does when something is chosen.
    pub action: &'static str,
    /// What stands in it before that.
    pub label: &'static str,
    /// What can be chosen; Discord shows twenty-five.
    pub options: Vec<String>,
}

/// A message: words, at most one picture, at most one list, a row of buttons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The words.
    pub content: Markup,
    /// The picture.
    pub embed: Option<Embed>,
    /// The list.
    pub list: Option<List>,
    /// The buttons.
    pub buttons: Vec<Button>,
    /// Whom it calls, by their user ids.
    pub calls: Vec<u64>,
}

impl Message {
    /// A message of words alone.
    pub fn words(content: Markup) -> Self {
        Self {
            content,
            ..Self::default()
        }
    }

    /// As it is posted. A second post under the same `nonce` within minutes changes nothing, and answers the first one.
    pub fn posted(&self, nonce: &str) -> Value {
        let mut message = CreateMessage::new()
            .content(self.content.as_str())
            .embeds(self.embeds())
            .components(self.rows())
            .allowed_mentions(self.allowed())
            .nonce(Nonce::String(nonce.to_owned()))
            .enforce_nonce(true);
        if self.embed.is_none() {
            message = message.flags(MessageFlags::SUPPRESS_EMBEDS);
        }
        json(&message)
    }

    /// As it takes the place of what a message said before.
    pub fn edited(&self) -> Value {
        let message = EditMessage::new()
            .content(self.content.as_str())
            .embeds(self.embeds())
            .components(self.rows())
            .allowed_mentions(self.allowed())
            // What stood there before may have hidden them.
            .suppress_embeds(self.embed.is_none());
        json(&message)
    }

    /// As it answers somebody, for their eyes only.
    pub fn answer(&self) -> CreateInteractionResponseMessage {
        let mut flags = InteractionResponseFlags::EPHEMERAL;
        if self.embed.is_none() {
            flags |= InteractionResponseFlags::SUPPRESS_EMBEDS;
        }
        CreateInteractionResponseMessage::new()
            .content(self.content.as_str())
            .embeds(self.embeds())
            .components(self.rows())
            .allowed_mentions(self.allowed())
            .flags(flags)
    }

    /// Nobody but these: Discord reads no mention out of the words.
    fn allowed(&self) -> CreateAllowedMentions {
        let users = self.calls.iter().filter(|user| **user != 0).copied().map(UserId::new);
        CreateAllowedMentions::new().replied_user(false).users(users)
    }

    fn embeds(&self) -> Vec<CreateEmbed> {
        self.embed.iter().map(Embed::built).collect()
    }

    fn rows(&self) -> Vec<CreateActionRow> {
        let drawn: Vec<CreateButton> = self.buttons.iter().filter_map(drawn).collect();
        let row = |row: &[CreateButton]| CreateActionRow::Buttons(row.to_vec());
        let list = self.list.iter().map(List::drawn);
        list.chain(drawn.chunks(ROW).map(row)).collect()
    }
}

impl List {
    /// Names that would be too long to come back whole are left out.
    fn drawn(&self) -> CreateActionRow {
        let fits = |name: &&String| !name.is_empty() && name.len() <= NAME;
        let option = |name: &String| CreateSelectMenuOption::new(literal(name, NAME), name);
        let options = self.options.iter().filter(fits).take(CHOICES).map(option).collect();
        let menu = CreateSelectMenu::new(custom_id(self.action, ""), CreateSelectMenuKind::String { options });
        CreateActionRow::SelectMenu(menu.placeholder(literal(self.label, PLACEHOLDER)))
    }
}

impl Embed {
    fn built(&self) -> CreateEmbed {
        let embed = CreateEmbed::new()
            .title(Markup::text(&self.title, TITLE).as_str())
            .description(self.description.within(DESCRIPTION).as_str())
            .colour(self.colour)
            .footer(CreateEmbedFooter::new(literal(&self.footer, FOOTER)));
        let embed = self.fields.iter().take(FIELDS).fold(embed, |embed, (name, value)| {
            embed.field(literal(name, FIELD_NAME), value.within(FIELD).as_str(), false)
        });
        match &self.url {
            Some(url) => embed.url(url),
            None => embed,
        }
    }
}

/// A button as Discord draws it; `None` for one whose name would be too long to come back whole.
fn drawn(button: &Button) -> Option<CreateButton> {
    let label = literal(&button.label, LABEL);
    if let Some(link) = &button.link {
        return Some(CreateButton::new_link(link).label(label));
    }
    let style = match (button.dangerous, button.confirm.is_some()) {
        (true, _) => ButtonStyle::Danger,
        (false, true) => ButtonStyle::Primary,
        (false, false) => ButtonStyle::Secondary,
    };
    fits(button).then(|| {
        CreateButton::new(custom_id(button.action, &button.value))
            .label(label)
            .style(style)
            .disabled(!button.possible)
    })
}

/// Whether a button has room for what it carries; it is left out of a message otherwise.
pub fn fits(button: &Button) -> bool {
    button.link.is_some() || custom_id(button.action, &button.value).len() <= CUSTOM_ID
}

/// What a button is called when it comes back: the version, what it does, what it carries.
fn custom_id(action: &str, value: &str) -> String {
    format!("{VERSION}{action}:{value}")
}

/// What a button does and carries, if it is one of ours.
pub fn read_custom_id(id: &str) -> Option<(&str, &str)> {
    id.strip_prefix(VERSION)?.split_once(':')
}

/// Text for a place where Discord reads no markup: a name to choose, a thread's name.
pub fn name(text: &str) -> String {
    literal(text, NAME)
}

fn literal(text: &str, most: usize) -> String {
    let shown = super::plain::one_line(text);
    // Discord refuses an empty one.
    let shown = if shown.trim().is_empty() { "–" } else { &*shown };
    cut(shown, most)
}

fn json(message: &impl serde::Serialize) -> Value {
    // Texts, numbers and lists: there is nothing that JSON could not hold.
    serde_json::to_value(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(action: &'static str, value: &str) -> Button {
        Button {
            action,
            value: value.to_owned(),
            label: "Rollback…".into(),
            aloud: String::new(),
            possible: false,
            dangerous: true,
            confirm: None,
            link: None,
        }
    }

    #[test]
    fn a_button_brings_back_what_it_was_given() {
        let id = custom_id("rollback", "checkout-17:41");
        assert_eq!(read_custom_id(&id), Some(("rollback", "checkout-17:41")));
        for strange in ["", "v1", "v1:rollback", "v2:rollback:x-1:1", "rollback:x-1:1"] {
            assert_eq!(read_custom_id(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_button_that_could_not_come_back_whole_is_left_out() {
        let message = |value: &str| Message {
            buttons: vec![button("rollback", value)],
            ..Message::words(Markup::text("x", 10))
        };
        let one = message("checkout-17:41").edited()["components"][0]["components"][0].clone();
        assert_eq!(one["custom_id"], "v1:rollback:checkout-17:41");
        assert_eq!((&one["style"], &one["disabled"]), (&Value::from(4), &Value::from(true)));
        assert_eq!(message(&"x".repeat(100)).edited()["components"], serde_json::json!([]));
    }

    #[test]
    fn nobody_is_ever_called() {
        let message = Message::words(Markup::text("@everyone", 100));
        for sent in [message.posted("n"), message.edited(), json(&message.answer())] {
            let allowed = &sent["allowed_mentions"];
            assert_eq!(allowed["parse"], serde_json::json!([]), "{sent}");
            assert_eq!(
                (&allowed["users"], &allowed["roles"]),
                (&serde_json::json!([]), &serde_json::json!([]))
            );
        }
        assert_eq!(json(&message.answer())["flags"], 64 | 4);
        assert_eq!(message.edited()["flags"], 4);
        let pictured = Message {
            embed: Some(Embed {
                title: String::new(),
                url: None,
                colour: 0,
                description: Markup::default(),
                fields: Vec::new(),
                footer: String::new(),
            }),
            ..message
        };
        assert_eq!(pictured.edited()["flags"], 0);
    }
}
