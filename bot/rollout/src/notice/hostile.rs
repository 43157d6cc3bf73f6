//! Owns every notice with one text in each place that takes a text from outside, and the worst such text.
//! Refuses to choose the places by hand: whatever takes a text gets it, so that a new field is never forgotten.

use serde_json::Value;

use super::{HOSTILE, Notice};

/// What some surface could take for more than text: mentions of two platforms, markup, a template, the end of a script, a line of
/// a mail's head, control characters, and those by which Tidegate itself marks where people are named.
pub const WORST: &str = "<!channel><@U1> @everyone <@&1> **b** `c` [x](https://evil.example) {{secrets.token}} \
     </script><img src=x onerror=alert(1)> \"q\"\r\nBcc: eve@evil.example\n# big\u{202e}\u{0}\u{e000}ana\u{e001}";

/// The names that are ours: they are made of what the plan's reader lets through, or mean something to templates.
const OURS: [&str; 5] = ["id", "rollout", "kind", "zone", "roles"];

impl Notice {
    /// The samples, with `text` in every place that takes one.
    pub fn samples_saying(text: &str) -> Vec<Self> {
        Self::samples().iter().map(|sample| sample.saying(text)).collect()
    }

    fn saying(&self, text: &str) -> Self {
        let mut said = self.clone();
        // What cannot be written down has no text to be replaced.
        let whole = serde_json::to_value(self).unwrap_or_default();
        for place in texts(&whole, String::new()) {
            let mut changed = serde_json::to_value(&said).unwrap_or_default();
            if let Some(found) = changed.pointer_mut(&place) {
                let was = found.as_str().unwrap_or_default().replace(HOSTILE, "");
                *found = format!("{was}{text}").into();
            }
            // A moment, a length of time or a share does not take just any text.
            if let Ok(taken) = serde_json::from_value(changed) {
                said = taken;
            }
        }
        said
    }
}

/// Where texts stand, as JSON pointers.
fn texts(value: &Value, place: String) -> Vec<String> {
    match value {
        Value::String(_) => vec![place],
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .flat_map(|(n, item)| texts(item, format!("{place}/{n}")))
                .collect()
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
            fields
                .flat_map(|(name, field)| texts(field, format!("{place}/{name}")))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_every_notice_is_the_worst() {
        for worst in Notice::samples_saying(WORST) {
            let whole = serde_json::to_value(&worst).unwrap();
            let tame: Vec<String> = texts(&whole, String::new())
                .into_iter()
                .filter(|place| !whole.pointer(place).and_then(Value::as_str).unwrap().contains(WORST))
                .collect();
            let typed = |place: &String| {
                let value = whole.pointer(place).and_then(Value::as_str).unwrap();
                value.parse::<jiff::Timestamp>().is_ok()
                    || value.parse::<crate::Period>().is_ok()
                    || value.parse::<crate::Weight>().is_ok()
            };
            assert!(tame.iter().all(typed), "{}: {tame:?}", worst.kind.word());
            assert!(worst.about.title.contains(WORST) && worst.about.environment.contains(WORST));
        }
    }
}
