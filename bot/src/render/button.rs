//! Owns a button as people understand it: what stands on it, what it carries, what is asked before it counts.
//! Refuses to know a platform: each draws it in its own way.

use std::borrow::Cow;

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What it is called when it comes back.
    pub action: &'static str,
    /// What it carries.
    pub value: String,
    /// What stands on it.
    pub label: Cow<'static, str>,
    /// What a screen reader says.
    pub aloud: String,
    /// Whether it can be pressed now.
    pub possible: bool,
    /// Whether it must not be pressed by mistake.
    pub dangerous: bool,
    /// What is asked once more.
    pub confirm: Option<Confirm>,
    /// The page that it opens.
    pub link: Option<String>,
}

/// What is asked before a button counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The question.
    pub title: String,
    /// What will happen.
    pub text: String,
    /// Yes.
    pub yes: &'static str,
    /// No.
    pub no: &'static str,
}
