//! Owns the two databases behind one face: connections, transactions, and the running of statements on either.
//! Refuses to know any table.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, Executor, FromRow, Transaction};

use super::error::StoreError;
use super::sql::{Many, Markers, Statement, groups};
use super::value::{Value, arguments};
use crate::failpoint;

/// A row of either engine: any tuple of integers, texts and bytes.
pub(super) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static {}

/// The open database.
#[derive(Clone, Debug)]
pub(super) enum Engine {
    /// One connection that writes, several that read.
    Sqlite {
        /// Exactly one connection: SQLite has one writer, and waiting here is fair.
        writer: SqlitePool,
        /// Read-only connections.
        readers: SqlitePool,
    },
    /// One pool for everything.
    Postgres(PgPool),
}

impl Engine {
    /// Begins a transaction that will write.
    pub(super) async fn begin(&self) -> Result<Session, StoreError> {
        let session = match self {
            // A transaction that begins by reading cannot become a writer safely; this one is a writer from the start.
            Self::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Session::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Session::Postgres),
        };
        session.map_err(StoreError::database("begin a transaction"))
    }

    /// Whether everybody who writes waits for the same connection.
    pub(super) fn has_one_writer(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }

    async fn reader(&self) -> Result<Reader, StoreError> {
        let reader = match self {
            Self::Sqlite { readers, .. } => readers.acquire().await.map(Reader::Sqlite),
            Self::Postgres(pool) => pool.acquire().await.map(Reader::Postgres),
        };
        reader.map_err(StoreError::database("get a connection"))
    }

    /// Every row that a reading statement finds, outside any transaction.
    pub(super) async fn rows<T: Row>(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<T>, StoreError> {
        self.reader().await?.link().rows(statement, values).await
    }

    /// The one row that a reading statement finds, if any.
    pub(super) async fn row<T: Row>(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Runs one writing statement in a transaction of its own; answers how many rows it touched.
    pub(super) async fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut session = self.begin().await?;
        let touched = session.execute(statement, values).await?;
        session.commit(statement.tries).await?;
        Ok(touched)
    }

    /// Prepares a text without running it.
    pub(super) async fn prepare(&self, sqlite: String, postgres: String) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite { writer, .. } => {
                let mut connection = writer.acquire().await?;
                connection.prepare(AssertSqlSafe(sqlite).into_sql()).await.map(drop)
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                connection.prepare(AssertSqlSafe(postgres).into_sql()).await.map(drop)
            }
        }
    }

    /// Waits until nobody uses a connection, and closes them all.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// `AssertSqlSafe` for the texts of [`Many`]: they are made of constants and markers only.
trait IntoSql {
    fn into_sql(self) -> sqlx::SqlStr;
}

impl IntoSql for AssertSqlSafe<String> {
    fn into_sql(self) -> sqlx::SqlStr {
        sqlx::SqlSafeStr::into_sql_str(self)
    }
}

enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(connection) => Link::Sqlite(connection),
            Self::Postgres(connection) => Link::Postgres(connection),
        }
    }
}

/// A transaction that writes. Dropped without a commit, it is undone.
pub(super) enum Session {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Session {
    fn link(&mut self) -> Link<'_> {
        match self {
            Self::Sqlite(transaction) => Link::Sqlite(transaction),
            Self::Postgres(transaction) => Link::Postgres(transaction),
        }
    }

    /// Every row that a statement finds or returns.
    pub(super) async fn rows<T: Row>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        self.link().rows(statement, values).await
    }

    /// The one row that a statement finds or returns, if any.
    pub(super) async fn row<T: Row>(
        &mut self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Runs a statement; answers how many rows it touched.
    pub(super) async fn execute(&mut self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.link().execute(statement, values).await
    }

    /// Runs a statement over many rows; `values` holds their columns one after the other.
    pub(super) async fn execute_many(&mut self, many: &Many, values: &[Value<'_>]) -> Result<(), StoreError> {
        for (text, values) in self.split(many, values) {
            self.link().execute_text(many.tries, text, values).await?;
        }
        Ok(())
    }

    /// As [`Self::execute_many`], for a statement that returns rows.
    pub(super) async fn rows_many<T: Row>(&mut self, many: &Many, values: &[Value<'_>]) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        for (text, values) in self.split(many, values) {
            rows.extend(self.link().rows_text(many.tries, text, values).await?);
        }
        Ok(rows)
    }

    /// The texts for a statement over many rows, each with its share of the values.
    fn split<'v, 'a>(&self, many: &Many, mut values: &'v [Value<'a>]) -> Vec<(sqlx::SqlStr, &'v [Value<'a>])> {
        let markers = match self {
            Self::Sqlite(_) => Markers::InTurn,
            Self::Postgres(_) => Markers::Numbered,
        };
        groups(values.len() / many.columns)
            .map(|rows| {
                let (share, rest) = values.split_at(rows * many.columns);
                values = rest;
                (AssertSqlSafe(many.text(rows, markers)).into_sql(), share)
            })
            .collect()
    }

    /// Makes it durable.
    pub(super) async fn commit(self, tried: &'static str) -> Result<(), StoreError> {
        failpoint::commit!("before", tried);
        let committed = match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        };
        failpoint::commit!("after", tried);
        committed.map_err(StoreError::database(tried))
    }

    /// Undoes it now, rather than when the connection is used next.
    pub(super) async fn undo(self) -> Result<(), StoreError> {
        let undone = match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        };
        undone.map_err(StoreError::database("undo a transaction"))
    }
}

/// One connection of either engine.
enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Runs the same expression on either connection, with the arguments in its form.
macro_rules! on_either {
    ($link:expr, $values:expr, |$connection:ident, $arguments:ident| $run:expr) => {
        match $link {
            Link::Sqlite($connection) => {
                let $arguments = arguments::<Sqlite>($values).map_err(encode)?;
                $run
            }
            Link::Postgres($connection) => {
                let $arguments = arguments::<Postgres>($values).map_err(encode)?;
                $run
            }
        }
    };
}

fn encode(error: BoxDynError) -> StoreError {
    StoreError::Database {
        tried: "encode an argument",
        source: Arc::new(sqlx::Error::Encode(error)),
    }
}

impl Link<'_> {
    fn text(&self, statement: &Statement) -> sqlx::SqlStr {
        sqlx::SqlSafeStr::into_sql_str(match self {
            Self::Sqlite(_) => statement.sqlite,
            Self::Postgres(_) => statement.postgres,
        })
    }

    async fn rows<T: Row>(self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<T>, StoreError> {
        let text = self.text(statement);
        self.rows_text(statement.tries, text, values).await
    }

    async fn execute(self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let text = self.text(statement);
        self.execute_text(statement.tries, text, values).await
    }

    async fn rows_text<T: Row>(
        self,
        tried: &'static str,
        text: sqlx::SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        on_either!(self, values, |connection, arguments| {
            sqlx::query_as_with::<_, T, _>(text, arguments)
                .fetch_all(connection)
                .await
                .map_err(StoreError::database(tried))
        })
    }

    async fn execute_text(
        self,
        tried: &'static str,
        text: sqlx::SqlStr,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        on_either!(self, values, |connection, arguments| {
            sqlx::query_with(text, arguments)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
                .map_err(StoreError::database(tried))
        })
    }
}
