//! Owns what several rollouts share: freezes, and the budget of automatic rollbacks. Each change moves a generation.
//! Refuses to let two rollouts act on the same facts when one of them changes those facts.

use jiff::Timestamp;
use tidegate_rollout::surroundings::Freeze;
use tidegate_rollout::{DeliveryId, Entry};

use super::Store;
use super::engine::Session;
use super::error::StoreError;
use super::inbox::settle_cause;
use super::sql::statements;
use super::value::{self, Value, count};

statements! {
    ENSURE: "name an environment" =
        "INSERT INTO environments (name, generation) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING";
    READ: "read an environment" =
        "SELECT e.generation, e.frozen,
                (SELECT COUNT(*) FROM automatic_rollbacks AS a WHERE a.environment = e.name AND a.at >= $2)
         FROM environments AS e WHERE e.name = $1";
    LOCK: "lock an environment" =
        "UPDATE environments SET generation = generation WHERE name = $1";
    GUARD: "guard an environment" =
        "UPDATE environments SET generation = generation + $3 WHERE name = $1 AND generation = $2";
    FREEZE: "freeze or thaw an environment" =
        "UPDATE environments SET generation = generation + 1, frozen = $2
         WHERE name = $1 AND (frozen IS NOT NULL OR CAST($2 AS TEXT) IS NOT NULL)";
    SPEND: "spend an automatic rollback" =
        "INSERT INTO automatic_rollbacks (environment, rollout, at) VALUES ($1, $2, $3)";
    FROZEN: "list what is frozen" =
        "SELECT name, frozen FROM environments WHERE frozen IS NOT NULL ORDER BY name";
}

/// What the rollouts of an environment share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Moves with every change below. A step that was decided on an older one is not saved.
    pub generation: u64,
    /// Set while every change is frozen.
    pub freeze: Option<Freeze>,
    /// Automatic rollbacks since the beginning of the window.
    pub automatic_rollbacks: u32,
}

/// How a freeze or a thaw went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Froze {
    /// It is durable.
    Done,
    /// There was nothing to thaw.
    WasNot,
    /// What asked for it was settled before, and nothing was done.
    SettledBefore,
}

type Row = (i64, Option<String>, i64);

impl Environment {
    fn read(name: &str, row: Option<Row>) -> Result<Self, StoreError> {
        let Some((generation, freeze, rollbacks)) = row else {
            return Ok(Self::default());
        };
        let freeze = freeze
            .map(|text| value::open("environments", name, "frozen", &text))
            .transpose()?;
        Ok(Self {
            generation: count(generation),
            freeze,
            automatic_rollbacks: u32::try_from(count(rollbacks)).unwrap_or(u32::MAX),
        })
    }
}

impl Store {
    /// What the rollouts of `name` share; the budget is counted since `window_since`.
    ///
    /// # Errors
    /// When the database does not answer, or the row cannot be read.
    pub async fn environment(&self, name: &str, window_since: Timestamp) -> Result<Environment, StoreError> {
        let row = self.engine().row(&READ, &[name.into(), window_since.into()]).await?;
        Environment::read(name, row)
    }

    /// Freezes an environment, or thaws it, and writes `said` into the server's log. With a `cause`, the arrival that
    /// asked for it is settled in the same commit.
    ///
    /// # Errors
    /// When it could not be saved.
    pub async fn set_freeze(
        &self,
        name: &str,
        freeze: Option<&Freeze>,
        said: &Entry,
        cause: Option<&DeliveryId>,
    ) -> Result<Froze, StoreError> {
        let sealed = freeze.map(|freeze| value::seal("a freeze", freeze)).transpose()?;
        let mut session = self.engine().begin().await?;
        if !settle_cause(&mut session, cause).await? {
            session.undo().await?;
            return Ok(Froze::SettledBefore);
        }
        ensure(&mut session, name).await?;
        let values = [name.into(), sealed.as_deref().into()];
        if session.execute(&FREEZE, &values).await? == 0 {
            session.undo().await?;
            return Ok(Froze::WasNot);
        }
        super::log::append(&mut session, super::log::SERVER, std::slice::from_ref(said)).await?;
        session.commit("commit a freeze").await?;
        Ok(Froze::Done)
    }

    /// Every frozen environment.
    ///
    /// # Errors
    /// When the database does not answer, or a row cannot be read.
    pub async fn freezes(&self) -> Result<Vec<(String, Freeze)>, StoreError> {
        let rows: Vec<(String, String)> = self.engine().rows(&FROZEN, &[]).await?;
        rows.into_iter()
            .map(|(name, text)| {
                let freeze = value::open("environments", &name, "frozen", &text)?;
                Ok((name, freeze))
            })
            .collect()
    }
}

/// Makes sure that the environment has a row to guard.
pub(super) async fn ensure(session: &mut Session, name: &str) -> Result<(), StoreError> {
    session.execute(&ENSURE, &[name.into()]).await.map(drop)
}

/// Reads the facts for a start; they stand still until the transaction ends.
pub(super) async fn lock(
    session: &mut Session,
    name: &str,
    window_since: Timestamp,
) -> Result<Environment, StoreError> {
    ensure(session, name).await?;
    session.execute(&LOCK, &[name.into()]).await?;
    let row = session.row(&READ, &[name.into(), window_since.into()]).await?;
    Environment::read(name, row)
}

/// Holds the environment at `generation` until the transaction ends, and moves it on if the step changes what others
/// rely on; `false` when it has moved already.
pub(super) async fn guard(session: &mut Session, name: &str, generation: u64, moves: bool) -> Result<bool, StoreError> {
    let values = [name.into(), generation.into(), Value::from(moves)];
    Ok(session.execute(&GUARD, &values).await? == 1)
}

/// Freezes by a rollout's own decision. The guard holds the row; that the generation moves once more does no harm.
pub(super) async fn freeze_by_step(session: &mut Session, name: &str, freeze: &Freeze) -> Result<(), StoreError> {
    let sealed = value::seal("a freeze", freeze)?;
    session
        .execute(&FREEZE, &[name.into(), Value::from(&sealed)])
        .await
        .map(drop)
}

/// Counts an automatic rollback.
pub(super) async fn spend(session: &mut Session, name: &str, rollout: &str, at: Timestamp) -> Result<(), StoreError> {
    session
        .execute(&SPEND, &[name.into(), rollout.into(), at.into()])
        .await
        .map(drop)
}
