//! Owns who is who: every person with their accounts and with what the server lets them do.
//! Refuses two people behind one account: a command would be somebody's guess.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_rollout::{PersonId, Role};

use super::section::{Section, brief};
use super::{discord, slack};

/// Names that Tidegate uses for itself.
const RESERVED: [&str; 2] = ["admin", "tidegate"];

/// Somebody whom Tidegate knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name that plans, commands and the log use.
    pub id: PersonId,
    /// The name that people read.
    pub name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// The member id in Slack, `U…`.
    pub slack: Option<String>,
    /// The user id in Discord, a number.
    pub discord: Option<String>,
    /// The user id in PagerDuty, `P…`.
    pub pagerduty: Option<String>,
    /// What the server lets them do.
    pub roles: BTreeSet<Role>,
}

/// Everybody whom Tidegate knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(BTreeMap<PersonId, Person>);

impl People {
    /// The person by that id.
    pub fn get(&self, id: &PersonId) -> Option<&Person> {
        self.0.get(id)
    }

    /// The person behind a member id of Slack.
    pub fn in_slack(&self, member: &str) -> Option<&Person> {
        self.iter().find(|person| person.slack.as_deref() == Some(member))
    }

    /// The person behind a user id of Discord.
    pub fn in_discord(&self, user: &str) -> Option<&Person> {
        self.iter().find(|person| person.discord.as_deref() == Some(user))
    }

    /// Everybody, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Person> {
        self.0.values()
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut people = Self::default();
        let mut accounts = BTreeSet::new();
        let read = section.each("people", |section| {
            let person = read_person(section)?;
            for (key, account) in accounts_of(&person) {
                if !accounts.insert((key, account.to_lowercase())) {
                    section.fault(key, "already belongs to another person");
                }
            }
            Some(person)
        });
        for person in read.into_iter().flatten() {
            if people.0.contains_key(&person.id) {
                section.fault("people", format_args!("`{}` is listed twice", person.id));
            }
            people.0.insert(person.id.clone(), person);
        }
        people
    }
}

fn accounts_of(person: &Person) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("email", &person.email),
        ("slack", &person.slack),
        ("discord", &person.discord),
        ("pagerduty", &person.pagerduty),
    ]
    .into_iter()
    .filter_map(|(key, account)| Some((key, account.as_deref()?)))
}

fn read_person(section: &mut Section<'_>) -> Option<Person> {
    let id = section.text("id");
    let person = Person {
        id: PersonId::new(id.clone().unwrap_or_default()),
        name: section.text("name").or_else(|| id.clone()).unwrap_or_default(),
        email: section.text("email"),
        slack: section.text("slack"),
        discord: section.text("discord"),
        pagerduty: section.text("pagerduty"),
        roles: section
            .list::<HumanRole>("roles")
            .into_iter()
            .map(|role| role.0)
            .collect(),
    };
    let Some(id) = id else {
        section.fault("id", "is missing");
        return None;
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(fits) {
        section.fault("id", "must be up to 64 of `a-z`, `0-9`, `-`, `_` and `.`");
    }
    if RESERVED.contains(&id.as_str()) {
        section.fault("id", format_args!("`{id}` is Tidegate's own name; choose another"));
    }
    if person
        .slack
        .as_deref()
        .is_some_and(|account| !slack::is_id(account, &['U', 'W']))
    {
        section.fault("slack", "must be the member id, such as `U012AB3CD`, not a name");
    }
    if person
        .discord
        .as_deref()
        .is_some_and(|account| !discord::is_id(account))
    {
        section.fault("discord", "must be the numeric user id, not a name");
    }
    Some(person)
}

/// A role that a person can have; those of programs come with their tokens.
struct HumanRole(Role);

impl std::str::FromStr for HumanRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of_people = || Role::ALL.into_iter().filter(|role| !role.is_for_programs());
        of_people().find(|role| role.word() == text).map(Self).ok_or_else(|| {
            let shown = brief(text);
            let words: Vec<_> = of_people().map(Role::word).collect();
            format!("`{shown}` is no role of a person; possible: {}", words.join(", "))
        })
    }
}
