//! Storage in PostgreSQL: not made yet, well, not ours to write, unsafe, gone.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tidegate::store::{Storage, Store};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;

use super::house::run;

/// The one finding about the database at `url`, and how the program ended.
async fn look(scratch: &Scratch, url: &str) -> Result<(i32, Value)> {
    let url = scratch.write("postgres.url", url)?;
    let settings = json!({ "storage": { "path": scratch.path(), "postgres_url_file": url } });
    let file = scratch
        .write("tidegate.yml", settings.to_string())?
        .display()
        .to_string();
    let output = run(&["doctor", "-o", "json", "--only", "storage", "--config.file", &file]).await?;
    let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let code = output.status.code().context("it was killed")?;
    Ok((code, answer["result"]["checks"][0].clone()))
}

#[tokio::test]
async fn a_database_is_told_apart_from_one_that_a_start_could_not_use() -> Result<()> {
    let (mut server, scratch) = (Postgres::start().await?, Scratch::new("doctor")?);
    let url = server.create_database().await?;
    let says = |finding: &Value| finding["says"].as_str().unwrap_or_default().to_owned();
    let (code, finding) = look(&scratch, &url).await?;
    assert_eq!((code, &finding["level"]), (0, &json!("ok")), "{finding}");
    assert!(says(&finding).contains("the first start makes it"), "{finding}");

    Store::open(&Storage::postgres(url.clone().into())).await?.close().await;
    let (code, finding) = look(&scratch, &url).await?;
    assert_eq!((code, &finding["level"]), (0, &json!("ok")), "{finding}");
    assert!(says(&finding).ends_with("fsync on, tables up to date"), "{finding}");

    let mut connection = PgConnection::connect(&url).await?;
    for sql in [
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    ] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    connection.close().await?;
    let (user, rest) = url.split_once('@').context("no user")?;
    let scheme = user.split_once("://").context("no scheme")?.0;
    let (code, finding) = look(&scratch, &format!("{scheme}://reader@{rest}")).await?;
    assert_eq!((code, &finding["code"]), (8, &json!("storage.read-only")), "{finding}");

    server.stop().await?;
    let (code, finding) = look(&scratch, &url).await?;
    assert_eq!(
        (code, &finding["code"]),
        (8, &json!("storage.unreachable")),
        "{finding}"
    );
    assert!(
        finding["fix"]
            .as_str()
            .is_some_and(|fix| fix.contains("Start the database")),
        "{finding}"
    );
    Ok(())
}
