//! What the store promises, on SQLite and on PostgreSQL: the same functions run against both.

mod alerts;
mod cards;
mod commitments;
mod filing;
mod flags;
mod inbox;
mod lease;
mod log;
mod migrations;
mod opening;
pub(crate) mod outbox;
mod prune;
mod rollouts;
mod starts;
mod tokens;
pub(crate) mod world;

/// Makes two tests of each function: one for each engine.
macro_rules! on_both {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod on_sqlite {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::store_contract::world::World::sqlite()?).await
            })+
        }
        mod on_postgres {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::store_contract::world::World::postgres().await?).await
            })+
        }
    };
}
use on_both;
