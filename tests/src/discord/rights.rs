//! Who may do what on the server: its roles, its owner, what its channel overwrites, and who is timed out.
//!
//! Says it over the API as Discord does, and holds every call of the application against it.

use serde_json::{Value, json};

use super::{APP, BOT, Discord, GUILD, PERMISSIONS, open};

/// The role that the application brought along.
pub const ROLE: &str = "771825006014889997";
/// Whoever made the server.
const FOUNDER: &str = "80351110224678912";
const ADMINISTRATOR: u64 = 1 << 3;
/// Where the bits of [`PERMISSIONS`] stand.
const BITS: [u64; 6] = [1 << 10, 1 << 11, 1 << 38, 1 << 35, 1 << 14, 1 << 16];
/// What is left to somebody who is timed out: to see and to read.
const LEFT: u64 = 1 << 10 | 1 << 16;

/// A line of the page "Permissions" of the channel.
#[derive(Clone, Debug)]
struct Overwrite {
    /// A role or a member.
    of: String,
    allow: u64,
    deny: u64,
}

#[derive(Debug)]
pub(super) struct Rights {
    everyone: u64,
    role: u64,
    owner: &'static str,
    overwrites: Vec<Overwrite>,
    timed_out_until: Option<String>,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            everyone: 0,
            role: bits(&PERMISSIONS),
            owner: FOUNDER,
            overwrites: Vec::new(),
            timed_out_until: None,
        }
    }
}

fn bits(permissions: &[&str]) -> u64 {
    let bit = |name: &&str| {
        let at = PERMISSIONS.iter().position(|known| known == name);
        assert!(
            at.is_some() || *name == "ADMINISTRATOR",
            "{name} is no permission that is known here"
        );
        at.map_or(ADMINISTRATOR, |at| BITS[at])
    };
    permissions.iter().map(bit).sum()
}

impl Rights {
    /// From now on the role of the application gives it only this, and nothing else matters.
    pub(super) fn permit(&mut self, permissions: &[&str]) {
        *self = Self {
            role: bits(permissions),
            ..Self::default()
        };
    }

    /// What the application may do in the channel.
    fn now(&self) -> u64 {
        let given = self.everyone | self.role;
        if self.owner == BOT || given & ADMINISTRATOR != 0 {
            return u64::MAX;
        }
        let stages = [GUILD, ROLE, BOT];
        let overwritten = stages.iter().fold(given, |given, stage| {
            let stage = self.overwrites.iter().filter(|it| it.of == *stage);
            stage.fold(given, |given, it| given & !it.deny | it.allow)
        });
        let left = if self.timed_out_until.is_some() { LEFT } else { u64::MAX };
        overwritten & left
    }

    pub(super) fn may(&self, permission: &str) -> bool {
        let bit = bits(&[permission]);
        self.now() & bit == bit
    }

    /// `permission_overwrites` of the channel.
    pub(super) fn overwrites(&self) -> Value {
        let kind = |of: &str| u8::from(of == BOT);
        let all = self.overwrites.iter().map(|it| {
            json!({ "id": it.of, "type": kind(&it.of), "allow": it.allow.to_string(), "deny": it.deny.to_string() })
        });
        all.collect::<Vec<_>>().into()
    }

    /// `GET /guilds/{id}`.
    pub(super) fn guild(&self) -> Value {
        let role = |id: &str, name: &str, permissions: u64, tags: Value| {
            json!({
                "id": id, "name": name, "permissions": permissions.to_string(), "position": 0, "color": 0, "hoist": false,
                "managed": !tags.is_null(), "mentionable": false, "flags": 0, "icon": null, "tags": tags,
            })
        };
        json!({
            "id": GUILD, "name": "Acme", "owner_id": self.owner, "features": [], "premium_tier": 0, "nsfw_level": 0,
            "roles": [
                role(GUILD, "@everyone", self.everyone, Value::Null),
                role(ROLE, "Tidegate", self.role, json!({ "bot_id": BOT, "integration_id": APP })),
                role("771825006014889000", "Admins", ADMINISTRATOR, Value::Null),
            ],
        })
    }

    /// `GET /guilds/{id}/members/{bot}`. The role of everybody is not in the list.
    pub(super) fn member(&self) -> Value {
        json!({
            "user": { "id": BOT, "bot": true, "username": "tidegate" }, "roles": [ROLE], "nick": null, "flags": 0,
            "joined_at": "2026-01-05T08:00:00.000000+00:00", "deaf": false, "mute": false, "pending": false,
            "communication_disabled_until": self.timed_out_until,
        })
    }
}

impl Discord {
    /// From now on the channel allows and denies this to everybody ([`GUILD`]), to the role or to the bot.
    pub fn overwrite(&self, of: &str, allow: &[&str], deny: &[&str]) {
        let overwrite = Overwrite {
            of: of.to_owned(),
            allow: bits(allow),
            deny: bits(deny),
        };
        open(&self.book).rights.overwrites.push(overwrite);
    }

    /// From now on everybody may do this on the server.
    pub fn permit_everybody(&self, permissions: &[&str]) {
        open(&self.book).rights.everyone = bits(permissions);
    }

    /// From now on the server belongs to the bot.
    pub fn owned_by_the_bot(&self) {
        open(&self.book).rights.owner = BOT;
    }

    /// The bot is timed out until then, which has not come yet.
    pub fn time_out(&self, until: &str) {
        open(&self.book).rights.timed_out_until = Some(until.to_owned());
    }
}
