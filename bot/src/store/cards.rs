//! Owns where the card of each rollout stands in each channel, and which generation of the rollout it shows.
//! Refuses two writers at one card: an older picture must never come after a newer one.

use jiff::Timestamp;
use tidegate_rollout::{Period, RolloutId};

use super::Store;
use super::error::StoreError;
use super::outbox::later;
use super::sql::statements;
use super::value::count;

statements! {
    CLAIM: "claim a card" =
        "INSERT INTO cards (rollout, channel, claimed_by, claimed_until, attempts) VALUES ($1, $2, $3, $4, 1)
         ON CONFLICT (rollout, channel) DO UPDATE SET claimed_by = excluded.claimed_by,
           claimed_until = excluded.claimed_until, attempts = cards.attempts + 1
         WHERE cards.claimed_until <= $5
         RETURNING place, message, generation, attempts";
    FIND: "find a card" =
        "SELECT place, message, generation, attempts FROM cards WHERE rollout = $1 AND channel = $2";
    SHOWN: "note what a card shows" =
        "UPDATE cards SET place = $4, message = $5, generation = $6, shown_at = $7, attempts = 0, claimed_until = 0
         WHERE rollout = $1 AND channel = $2 AND claimed_by = $3";
    POSTPONE: "postpone a card" =
        "UPDATE cards SET claimed_until = $4 WHERE rollout = $1 AND channel = $2 AND claimed_by = $3";
    LOST: "note that a card is gone" =
        "UPDATE cards SET message = NULL, attempts = 0, claimed_until = 0
         WHERE rollout = $1 AND channel = $2 AND claimed_by = $3";
    AT: "find the cards at a place" =
        "SELECT c.rollout, c.message FROM cards AS c JOIN rollouts AS r ON r.id = c.rollout
         WHERE c.message = $1 OR (c.place = $1 AND c.message IS NOT NULL AND r.is_final = 0)
         ORDER BY c.rollout";
    STALE: "find cards that are out of date" =
        "SELECT c.rollout, c.channel FROM cards AS c JOIN rollouts AS r ON r.id = c.rollout
         WHERE c.message IS NOT NULL AND c.claimed_until <= $1
           AND (c.generation < r.generation OR (r.is_final = 0 AND c.shown_at < $2))
         ORDER BY c.claimed_until, c.shown_at LIMIT $3";
}

/// The card of a rollout in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRow {
    /// Where it was posted, in the platform's words.
    pub place: String,
    /// The platform's name for its message; `None` before it was posted.
    pub message: Option<String>,
    /// The generation of the rollout that it shows.
    pub generation: u64,
    /// How often somebody began to write it since it was last written, this time included.
    pub attempts: u64,
}

/// Which card: a rollout, and a channel by its name in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct CardKey<'a> {
    /// The rollout.
    pub rollout: &'a RolloutId,
    /// The channel.
    pub channel: &'a str,
}

/// What a place on a platform has to do with rollouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is the thread below the card of this one, which may be over.
    ThreadOf(RolloutId),
    /// It is a channel in which the cards of these stand, which are not over; or any place, of none.
    CardsOf(Vec<RolloutId>),
}

type Row = (String, Option<String>, i64, i64);

impl Store {
    /// Takes a card for writing, whether it exists or not; `None` while somebody else writes it.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn claim_card(
        &self,
        key: CardKey<'_>,
        by: &str,
        now: Timestamp,
        claim_for: Period,
    ) -> Result<Option<CardRow>, StoreError> {
        let until = later(now, claim_for);
        let values = [
            key.rollout.as_str().into(),
            key.channel.into(),
            by.into(),
            until.into(),
            now.into(),
        ];
        let mut session = self.engine().begin().await?;
        let row: Option<Row> = session.row(&CLAIM, &values).await?;
        session.commit("commit the claim of a card").await?;
        Ok(row.map(read))
    }

    /// The card as it stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn card(&self, key: CardKey<'_>) -> Result<Option<CardRow>, StoreError> {
        let values = [key.rollout.as_str().into(), key.channel.into()];
        let row: Option<Row> = self.engine().row(&FIND, &values).await?;
        Ok(row.map(read))
    }

    /// The card was written, and shows `generation` now; `false` when the claim had run out and somebody else has it.
    ///
    /// # Errors
    /// When it could not be saved; it is written again then.
    pub async fn card_shown(
        &self,
        key: CardKey<'_>,
        by: &str,
        (place, message): (&str, &str),
        generation: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = [
            key.rollout.as_str().into(),
            key.channel.into(),
            by.into(),
            place.into(),
            message.into(),
            generation.into(),
            now.into(),
        ];
        Ok(self.engine().execute(&SHOWN, &values).await? == 1)
    }

    /// It did not work this time; nobody tries before `until`.
    ///
    /// # Errors
    /// When it could not be saved; the claim runs out by itself then.
    pub async fn postpone_card(&self, key: CardKey<'_>, by: &str, until: Timestamp) -> Result<(), StoreError> {
        let values = [key.rollout.as_str().into(), key.channel.into(), by.into(), until.into()];
        self.engine().execute(&POSTPONE, &values).await.map(drop)
    }

    /// Somebody deleted its message; the next one who has something to say posts a new one.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn card_lost(&self, key: CardKey<'_>, by: &str) -> Result<(), StoreError> {
        let values = [key.rollout.as_str().into(), key.channel.into(), by.into()];
        self.engine().execute(&LOST, &values).await.map(drop)
    }

    /// What a place has to do with rollouts. A thread is called as the message that it hangs on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn whereabouts(&self, place: &str) -> Result<Whereabouts, StoreError> {
        let rows: Vec<(String, String)> = self.engine().rows(&AT, &[place.into()]).await?;
        if let Some((rollout, _)) = rows.iter().find(|(_, message)| message == place) {
            return Ok(Whereabouts::ThreadOf(RolloutId::new(rollout.as_str())));
        }
        let mut rollouts: Vec<RolloutId> = rows.into_iter().map(|(rollout, _)| RolloutId::new(rollout)).collect();
        rollouts.dedup();
        Ok(Whereabouts::CardsOf(rollouts))
    }

    /// Cards that show less than what is saved, or of rollouts under way and shown before `before`; the longest first, and
    /// after those the ones that could not be written when they were tried last, so that they keep no others waiting.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stale_cards(
        &self,
        now: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(RolloutId, String)>, StoreError> {
        let values = [now.into(), before.into(), limit.into()];
        let rows: Vec<(String, String)> = self.engine().rows(&STALE, &values).await?;
        Ok(rows
            .into_iter()
            .map(|(rollout, channel)| (RolloutId::new(rollout), channel))
            .collect())
    }
}

fn read((place, message, generation, attempts): Row) -> CardRow {
    CardRow {
        place,
        message,
        generation: count(generation),
        attempts: count(attempts),
    }
}
