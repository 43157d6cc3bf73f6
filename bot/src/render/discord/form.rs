//! Owns a form in Discord, a window with a few fields that somebody fills in, bounded as Discord bounds it.
//! Refuses to be longer than Discord shows: whoever makes one has a place for each of its fields, or asks in another way.

use serde_json::{Value, json};

use super::{CUSTOM_ID, Markup, custom_id, literal};

/// The most fields beside the words above them: a form has five places.
pub const MOST_FIELDS: usize = 4;
/// The most characters of the headline, of what stands over a field and of what explains it, of what is filled in.
const TITLE: usize = 45;
const LABEL: usize = 45;
const ABOUT: usize = 100;
const VALUE: usize = 200;
const LONG_VALUE: usize = 1_000;
/// The most characters of the words above the fields.
pub const WORDS: usize = 2_000;

/// A window with words and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it does when it comes back.
    pub action: &'static str,
    /// What it carries.
    pub value: String,
    /// The headline.
    pub title: String,
    /// The words above the fields.
    pub words: Markup,
    /// The fields, no more than [`MOST_FIELDS`].
    pub fields: Vec<Field>,
}

/// A field for text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called when it comes back.
    pub name: String,
    /// What stands over it.
    pub label: String,
    /// What explains it.
    pub about: String,
    /// Whether the form cannot be sent off without it.
    pub required: bool,
    /// What stands in it from the start.
    pub value: String,
    /// Whether it has several lines.
    pub long: bool,
}

impl Form {
    /// As Discord opens it; `None` where its name, or something of a field, would be too long to come back whole.
    pub fn drawn(&self) -> Option<Value> {
        let id = custom_id(self.action, &self.value);
        let fits = id.len() <= CUSTOM_ID && self.fields.iter().all(Field::fits);
        let words = json!({ "type": 10, "content": self.words.as_str() });
        let fields = self.fields.iter().take(MOST_FIELDS).map(Field::drawn);
        let components: Vec<Value> = std::iter::once(words).chain(fields).collect();
        (fits && self.fields.len() <= MOST_FIELDS)
            .then(|| json!({ "custom_id": id, "title": literal(&self.title, TITLE), "components": components }))
    }
}

impl Field {
    /// The most characters that it takes.
    fn most(&self) -> usize {
        if self.long { LONG_VALUE } else { VALUE }
    }

    /// Whether what stands in it is sent off as it was.
    fn fits(&self) -> bool {
        self.name.len() <= CUSTOM_ID && self.value.chars().count() <= self.most()
    }

    /// serenity's builders put fields into rows, which Discord keeps for old forms alone; a label is the present way.
    fn drawn(&self) -> Value {
        let style = if self.long { 2 } else { 1 };
        let mut input = json!({
            "type": 4, "custom_id": self.name, "style": style, "required": self.required, "max_length": self.most(),
        });
        if !self.value.is_empty() {
            input["value"] = self.value.as_str().into();
        }
        let mut label = json!({ "type": 18, "label": literal(&self.label, LABEL), "component": input });
        if !self.about.is_empty() {
            label["description"] = literal(&self.about, ABOUT).into();
        }
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: &str, fields: usize) -> Form {
        let field = Field {
            name: "input:version".to_owned(),
            label: "v".repeat(60),
            about: String::new(),
            required: true,
            value: "2".repeat(VALUE),
            long: false,
        };
        Form {
            action: "start",
            value: value.to_owned(),
            title: "Start ".repeat(20),
            words: Markup::text("@everyone", WORDS),
            fields: vec![field; fields],
        }
    }

    #[test]
    fn a_form_is_cut_to_what_discord_shows() {
        let drawn = form("checkout", 4).drawn().unwrap();
        assert_eq!(drawn["custom_id"], "v1:start:checkout");
        let long = |pointer: &str| drawn.pointer(pointer).unwrap().as_str().unwrap().chars().count();
        assert_eq!((long("/title"), long("/components/1/label")), (TITLE, LABEL));
        assert_eq!(
            long("/components/1/component/value"),
            VALUE,
            "what was said is never cut"
        );
        assert_eq!(drawn["components"][0]["content"], "\\@everyone");
    }

    #[test]
    fn a_form_that_could_not_come_back_whole_is_not_opened() {
        assert_eq!(form(&"x".repeat(100), 1).drawn(), None);
        assert_eq!(form("checkout", 5).drawn(), None);
        let mut longer = form("checkout", 1);
        longer.fields[0].value.push('2');
        assert_eq!(longer.drawn(), None);
    }
}
