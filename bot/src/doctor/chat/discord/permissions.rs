//! Owns what the application may do in a channel: reckoned from the roles of its bot and the overwrites of the channel, in the order
//! that Discord documents, and who takes or withholds what it lacks.
//! Refuses to try it out by posting, and to be silenced by what Discord adds to its answers: only what is used is read.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serenity::model::Permissions;
use serenity::model::channel::{PermissionOverwrite, PermissionOverwriteType};
use serenity::model::id::{GuildId, RoleId, UserId};

use crate::render::one_line;

/// What docs/discord.md asks for, as Discord's own pages call it.
const NEEDED: [(Permissions, &str); 6] = [
    (Permissions::VIEW_CHANNEL, "View Channel"),
    (Permissions::SEND_MESSAGES, "Send Messages"),
    (Permissions::SEND_MESSAGES_IN_THREADS, "Send Messages in Threads"),
    (Permissions::CREATE_PUBLIC_THREADS, "Create Public Threads"),
    (Permissions::EMBED_LINKS, "Embed Links"),
    (Permissions::READ_MESSAGE_HISTORY, "Read Message History"),
];

/// The bot on one server.
pub(super) struct Bot {
    id: UserId,
    is_owner: bool,
    /// The role that everybody has.
    everyone: RoleId,
    /// All of its roles, that of everybody among them.
    roles: Vec<Role>,
    timed_out_until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Role {
    id: RoleId,
    name: String,
    permissions: Permissions,
}

#[derive(Deserialize)]
struct Guild {
    id: GuildId,
    owner_id: UserId,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Member {
    roles: Vec<RoleId>,
    communication_disabled_until: Option<Timestamp>,
}

/// A permission that the bot lacks in a channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) permission: &'static str,
    pub(super) because: Because,
}

/// Who takes a permission away, or nobody who gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// No role of the bot has it, and the channel gives it nobody.
    NoRole,
    /// The channel denies it to everybody.
    Everyone,
    /// The channel denies it to a role of the bot.
    Role(String),
    /// The channel denies it to the bot itself.
    Itself,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRole => f.write_str("no role gives it"),
            Self::Everyone => f.write_str("the channel denies it to everybody"),
            Self::Role(name) => write!(f, "the channel denies it to the role `{name}`"),
            Self::Itself => f.write_str("the channel denies it to the bot itself"),
        }
    }
}

impl Bot {
    /// What Discord says of a server and of its member `id`.
    ///
    /// # Errors
    /// When one of them does not look like it.
    pub(super) fn of(id: &str, guild: &Value, member: &Value) -> anyhow::Result<Self> {
        let (guild, member) = (Guild::deserialize(guild)?, Member::deserialize(member)?);
        let id = id.parse::<UserId>()?;
        let everyone = RoleId::new(guild.id.get());
        let mut roles = guild.roles;
        roles.retain(|role| role.id == everyone || member.roles.contains(&role.id));
        Ok(Self {
            id,
            is_owner: guild.owner_id == id,
            everyone,
            roles,
            timed_out_until: member.communication_disabled_until,
        })
    }

    /// Whether no channel can take anything from it.
    fn may_all(&self) -> bool {
        let is_admin = |role: &Role| role.permissions.contains(Permissions::ADMINISTRATOR);
        self.is_owner || self.roles.iter().any(is_admin)
    }

    /// Until when it may not speak on the whole server.
    pub(super) fn is_timed_out(&self, now: Timestamp) -> Option<Timestamp> {
        self.timed_out_until.filter(|until| *until > now && !self.may_all())
    }

    /// What it lacks of all that is needed in a channel with these overwrites.
    pub(super) fn lacks(&self, channel: &Value) -> Vec<Lack> {
        if self.may_all() {
            return Vec::new();
        }
        let overwrites = channel.get("permission_overwrites").and_then(Value::as_array);
        let overwrites = overwrites.into_iter().flatten();
        // One of a kind that is not known yet concerns no role and no member.
        let overwrites: Vec<_> = overwrites
            .filter_map(|it| PermissionOverwrite::deserialize(it).ok())
            .collect();
        let lack = |(needed, permission): (Permissions, &'static str)| {
            let because = self.withheld(needed, &overwrites)?;
            Some(Lack { permission, because })
        };
        NEEDED.into_iter().filter_map(lack).collect()
    }

    /// Why it lacks one permission; nothing when it has it. The later speaks the last word: all roles together, then the
    /// channel for everybody, for the roles (to allow outweighs to deny), and for the bot itself.
    fn withheld(&self, needed: Permissions, overwrites: &[PermissionOverwrite]) -> Option<Because> {
        let is_given = self.roles.iter().any(|role| role.permissions.contains(needed));
        let mut because = (!is_given).then_some(Because::NoRole);
        let of_roles = |is_everyone: bool| {
            overwrites.iter().filter_map(move |it| match it.kind {
                PermissionOverwriteType::Role(id) if (id == self.everyone) == is_everyone => {
                    self.roles.iter().find(|role| role.id == id).map(|role| (it, role))
                }
                _ => None,
            })
        };
        for (everyone, _) in of_roles(true) {
            because = decided(because, needed, everyone, Because::Everyone);
        }
        let mut is_allowed = false;
        for (overwrite, role) in of_roles(false) {
            is_allowed |= overwrite.allow.contains(needed);
            because = decided(
                because,
                needed,
                overwrite,
                Because::Role(one_line(&role.name).into_owned()),
            );
        }
        because = because.filter(|_| !is_allowed);
        let own = overwrites.iter();
        for own in own.filter(|it| it.kind == PermissionOverwriteType::Member(self.id)) {
            because = decided(because, needed, own, Because::Itself);
        }
        because
    }
}

fn decided(
    before: Option<Because>,
    needed: Permissions,
    overwrite: &PermissionOverwrite,
    denied: Because,
) -> Option<Because> {
    if overwrite.allow.contains(needed) {
        None
    } else if overwrite.deny.contains(needed) {
        Some(denied)
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SEND: Permissions = Permissions::SEND_MESSAGES;

    fn all() -> Permissions {
        NEEDED.iter().fold(Permissions::empty(), |all, (it, _)| all | *it)
    }

    /// The bot 9 of the server 1, with the roles 2 and 3; the role 4 is none of its.
    fn bot(everyone: Permissions, second: Permissions) -> Bot {
        let role =
            |id: &str, name: &str, may: Permissions| json!({ "id": id, "name": name, "permissions": may, "color": 0 });
        let none = Permissions::empty();
        let roles = [
            role("1", "@everyone", everyone),
            role("2", "gate", second),
            role("3", "muted", none),
            role("4", "admins", Permissions::ADMINISTRATOR),
        ];
        let guild = json!({ "id": "1", "owner_id": "8", "roles": roles });
        let until = "2026-03-01T12:00:00.000000+00:00";
        let member = json!({ "roles": ["2", "3"], "communication_disabled_until": until });
        Bot::of("9", &guild, &member).unwrap()
    }

    fn channel(overwrites: &[(u8, &str, Permissions, Permissions)]) -> Value {
        let all = overwrites.iter();
        let all = all.map(|(kind, id, allow, deny)| json!({ "type": kind, "id": id, "allow": allow, "deny": deny }));
        json!({ "permission_overwrites": all.collect::<Vec<_>>() })
    }

    /// Why it may not send; all else it may.
    fn why(bot: &Bot, overwrites: &[(u8, &str, Permissions, Permissions)]) -> Option<Because> {
        let lacks = bot.lacks(&channel(overwrites));
        assert!(lacks.iter().all(|it| it.permission == "Send Messages"), "{lacks:?}");
        lacks.into_iter().next().map(|lack| lack.because)
    }

    #[test]
    fn what_no_role_gives_is_named_by_itself() {
        let none = Permissions::empty();
        for (needed, name) in NEEDED {
            let lacks = bot(all() - needed, none).lacks(&channel(&[]));
            let because = Because::NoRole;
            assert_eq!(
                lacks,
                [Lack {
                    permission: name,
                    because
                }]
            );
            assert_eq!(bot(all() - needed, needed).lacks(&channel(&[])), []);
        }
        assert_eq!(bot(none, none).lacks(&json!({})).len(), 6);
    }

    #[test]
    fn a_channel_speaks_the_last_word_and_for_the_bot_itself_the_very_last() {
        let none = Permissions::empty();
        let bot = bot(all(), none);
        let everyone = (0, "1", none, SEND);
        assert_eq!(why(&bot, &[everyone]), Some(Because::Everyone));
        assert_eq!(why(&bot, &[(0, "2", SEND, none), everyone]), None);
        let muted = (0, "3", none, SEND);
        assert_eq!(why(&bot, &[muted]), Some(Because::Role("muted".to_owned())));
        // Among roles to allow outweighs to deny, in either order.
        assert_eq!(why(&bot, &[muted, (0, "2", SEND, none)]), None);
        assert_eq!(why(&bot, &[(0, "2", SEND, none), muted]), None);
        assert_eq!(why(&bot, &[(1, "9", SEND, none), muted, everyone]), None);
        let itself = (1, "9", none, SEND);
        assert_eq!(why(&bot, &[itself, (0, "2", SEND, none)]), Some(Because::Itself));
        // Other people, other roles, and whatever comes after roles and members.
        assert_eq!(
            why(
                &bot,
                &[(1, "8", none, SEND), (0, "4", none, SEND), (7, "9", none, SEND)]
            ),
            None
        );
    }

    #[test]
    fn an_administrator_and_the_owner_lose_nothing() {
        let denied = channel(&[(1, "9", Permissions::empty(), all())]);
        let admin = bot(Permissions::empty(), Permissions::ADMINISTRATOR);
        assert_eq!(admin.lacks(&denied), []);
        let mut owner = bot(Permissions::empty(), Permissions::empty());
        assert_eq!(owner.lacks(&denied).len(), 6);
        owner.is_owner = true;
        assert_eq!(owner.lacks(&denied), []);
    }

    #[test]
    fn who_is_timed_out_may_not_speak_until_then() {
        let bot = |may| bot(may, Permissions::empty());
        let until: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let before = until - jiff::SignedDuration::from_secs(1);
        assert_eq!(bot(all()).is_timed_out(before), Some(until));
        assert_eq!(bot(all()).is_timed_out(until), None);
        assert_eq!(bot(Permissions::ADMINISTRATOR).is_timed_out(before), None);
    }
}
