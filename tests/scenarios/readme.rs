//! The first five minutes, as the README writes them: its own blocks, in its order, with the real Prometheus and Alertmanager, up
//! to the alert that shuts the gate. Whoever changes the page changes this test.
//!
//! Only the ports are others, since tests run side by side, and `cargo build` hands out the program that is built already.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use tidegate_rollout::command::{USAGES, Usage};
use tidegate_tests::built::Build;
use tidegate_tests::paths::repository;
use tidegate_tests::ports::Port;
use tidegate_tests::process::{Launch, installed};
use tidegate_tests::scratch::Scratch;

/// It takes half a minute, or one and a half when Prometheus was faster up than Alertmanager.
const PATIENCE: Duration = Duration::from_secs(240);

const SECTION: &str = "## Five minutes with your own Prometheus\n";

/// A block of the page: its language and its text.
struct Block {
    language: String,
    text: String,
}

/// Every block of the section, as its reader copies it: without the indentation of the list around it.
fn blocks() -> Result<Vec<Block>> {
    let page = std::fs::read_to_string(repository().join("README.md")).context("read the README")?;
    let (_, section) = page.split_once(SECTION).context("the section has another title")?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let fence = Regex::new(r"(?ms)^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$")?;
    let block = |found: regex::Captures<'_>| {
        let lines = found["text"].lines();
        let lines: Vec<&str> = lines
            .map(|line| line.strip_prefix(&found["indent"]).unwrap_or(line))
            .collect();
        Block {
            language: found["language"].to_owned(),
            text: lines.join("\n") + "\n",
        }
    };
    Ok(fence.captures_iter(section).map(block).collect())
}

/// The page as a script: commands as they stand, files written under the name in their first line. It ends at the first command
/// that fails.
fn script(blocks: &[Block]) -> Result<String> {
    let mut script = "set -euo pipefail\n".to_owned();
    for Block { language, text } in blocks {
        match language.as_str() {
            "sh" => script.push_str(text),
            "yaml" => {
                let name = text.lines().next().and_then(|line| line.strip_prefix("# "));
                let name = name.context("the first line of a file says its name")?;
                script.push_str(&format!("cat > {name} <<'END OF FILE'\n{text}END OF FILE\n"));
            }
            other => bail!("nobody knows what to do with a block of `{other}`"),
        }
    }
    Ok(script)
}

/// A folder with a `cargo` that builds nothing: what it is asked for is there already.
fn cargo(scratch: &Scratch) -> Result<std::path::PathBuf> {
    let folder = scratch.path().join("bin");
    std::fs::create_dir(&folder)?;
    let stub = format!(
        "#!/bin/sh\n[ \"$*\" = 'build --locked' ] || {{ echo \"unexpected: cargo $*\"; exit 101; }}\n\
         mkdir -p target/debug && ln -s '{}' target/debug/tidegate\n",
        Build::Shipped.program()?.display()
    );
    let file = scratch.write("bin/cargo", stub)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Puts a port of ours in the place of each of the page's.
fn with_ports(script: &str, ports: &[(&str, Port)]) -> Result<String> {
    ports.iter().try_fold(script.to_owned(), |script, (written, port)| {
        let number = Regex::new(&format!(r"\b{written}\b"))?;
        ensure!(number.is_match(&script), "the page does not mention the port {written}");
        Ok(number.replace_all(&script, port.number().to_string()).into_owned())
    })
}

#[tokio::test]
async fn its_five_minutes_end_with_a_real_alert_that_shuts_the_gate() -> Result<()> {
    for (program, package) in [
        ("prometheus", "prometheus"),
        ("prometheus-alertmanager", "prometheus-alertmanager"),
    ] {
        installed(program, package)?;
    }
    let (scratch, server) = (Scratch::new("readme")?, Port::reserve()?);
    let address = server.address();
    let ports = [
        ("9797", server),
        ("9190", Port::reserve()?),
        ("9193", Port::reserve()?),
        ("9198", Port::reserve()?),
    ];
    let script = with_ports(&script(&blocks()?)?, &ports)?;
    let script = scratch.write("five-minutes.sh", script)?;
    let clone = scratch.path().join("clone");
    std::fs::create_dir(&clone)?;
    let path = format!(
        "{}:{}",
        cargo(&scratch)?.display(),
        std::env::var("PATH").unwrap_or_default()
    );

    let began = Instant::now();
    let mut reader = Launch::new("/bin/bash")
        .arg("-c")
        .arg(r#"cd "$0" && . "$1""#)
        .args([&clone, &script])
        .env("PATH", path)
        // The port of the page is the default, which no file of the page says.
        .env("TIDEGATE_WEB__LISTEN_ADDRESS", address.to_string())
        .env("TIDEGATE_SERVER", format!("http://{address}"))
        .start("reader", &scratch)?;
    let ended = reader.exit(PATIENCE).await;
    let seen = reader.log()?;
    let ended = ended.with_context(|| format!("the reader saw:\n{seen}"))?;
    ensure!(ended.success(), "{ended}; the reader saw:\n{seen}");

    let (before, after) = seen
        .split_once("exit code 5\n")
        .with_context(|| format!("no rollback:\n{seen}"))?;
    ensure!(before.contains("\"value\":true"), "nobody was let in:\n{seen}");
    ensure!(
        after.contains("alert CheckoutErrorRateHigh fires"),
        "another reason:\n{seen}"
    );
    let users = after.lines().filter(|line| line.contains("\"value\":"));
    let users: Vec<&str> = users.map(str::trim).collect();
    ensure!(users == ["40 \"value\":false"], "{users:?}");
    println!("counted: the five minutes of the README took {:.1?}", began.elapsed());
    Ok(())
}

/// The verbs as people read them are the verbs as they are understood.
#[test]
fn the_table_of_verbs_is_the_grammar() -> Result<()> {
    let page = std::fs::read_to_string(repository().join("README.md")).context("read the README")?;
    let (_, table) = page
        .split_once("| verb | arguments | what it does |\n|---|---|---|\n")
        .context("no table")?;
    let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected: Vec<String> = USAGES.iter().map(row).collect();
    ensure!(rows == expected, "it should read:\n{}", expected.join("\n"));
    Ok(())
}

fn row(usage: &Usage) -> String {
    let arguments = match usage.arguments.replace('|', "\\|") {
        none if none.is_empty() => none,
        some => format!("`{some}`"),
    };
    format!("| `{}` | {arguments} | {} |", usage.verb, usage.says)
}
