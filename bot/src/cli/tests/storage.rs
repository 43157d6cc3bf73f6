//! What `serve` and `log verify` say when they cannot use their configuration or their storage.

use super::{call, json};

/// A configuration file, and what a command line with it says.
fn configured(text: &str, line: &[&str]) -> (u8, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegate.yml");
    std::fs::write(&file, text.replace("HERE", &folder.path().display().to_string())).expect("written");
    std::fs::create_dir_all(folder.path().join("templates/rolled-back")).expect("a folder");
    std::fs::write(folder.path().join("templates/rolled-back/text.hbs"), "{{#if").expect("written");
    let flag = format!("--config.file={}", file.display());
    call(&[line, &[flag.as_str()]].concat())
}

#[test]
fn a_server_that_cannot_start_names_every_fault_in_every_form() {
    let faulty = "web: { listen_address: nowhere }\nstorage: { keep: never }\n";
    for line in [
        &["serve"][..],
        &["serve", "-q"],
        &["serve", "--dry-run"],
        &["log", "verify", "-q"],
    ] {
        let (exit, _, stderr) = configured(faulty, line);
        assert_eq!(exit, 3, "{line:?}");
        assert!(
            stderr.contains("web.listen_address: ") && stderr.contains("storage.keep: "),
            "{line:?}: {stderr}"
        );
    }
    let (_, stdout, stderr) = configured(faulty, &["serve", "-o", "json"]);
    let faults = json(&stdout)["faults"].clone();
    assert_eq!(stderr, "");
    assert_eq!(faults[0]["path"], "web.listen_address");
    assert_eq!(faults[1]["path"], "storage.keep");
}

#[test]
fn a_broken_template_stops_the_start_as_the_check_says_it_would() {
    let text = "storage: { path: HERE/data }\ntemplates: { directory: HERE/templates }\n";
    for line in [&["serve"][..], &["serve", "--dry-run"]] {
        let (exit, _, stderr) = configured(text, line);
        assert_eq!(exit, 3, "{stderr}");
        assert!(stderr.contains("rolled-back/text.hbs"), "{stderr}");
    }
}

#[test]
fn a_database_that_does_not_answer_ends_the_start_with_8() {
    let text = "storage: { path: HERE/data, postgres_url_file: HERE/url }\n";
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("url");
    std::fs::write(&url, "postgres://tidegate@127.0.0.1:9/tidegate").expect("written");
    let text = text.replace("HERE/url", &url.display().to_string());
    for line in [&["serve"][..], &["log", "verify"]] {
        let (exit, _, stderr) = configured(&text, line);
        assert_eq!(exit, 8, "{stderr}");
        assert!(stderr.contains("could not connect to PostgreSQL"), "{stderr}");
    }
}

#[test]
fn a_log_that_is_not_there_is_not_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    let path = format!("--storage.path={}", nowhere.display());
    let (exit, stdout, stderr) = call(&["log", "verify", &path]);
    assert_eq!((exit, stdout.as_str()), (3, ""), "{stderr}");
    assert!(stderr.contains("there is no database of Tidegate in"), "{stderr}");
    assert!(!nowhere.exists(), "it was made");

    // An empty file is a database to SQLite, and none of ours.
    std::fs::write(folder.path().join(crate::store::Storage::FILE), "").expect("written");
    let path = format!("--storage.path={}", folder.path().display());
    assert_eq!(call(&["log", "verify", &path]).0, 3);
    std::fs::write(
        folder.path().join(crate::store::Storage::FILE),
        "this is a letter, not a database".repeat(99),
    )
    .expect("written");
    assert_eq!(call(&["log", "verify", &path]).0, 3);
}
