//! Owns running a program as a hook: below the one directory, with the variables that are allowed, its output bounded.
//! Refuses a shell, a program outside, the environment of the server, and to leave anything running that it started.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tidegate_rollout::hook::{Ended, HookEnd, Output};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::{Allowed, ended, failed, tree, unknown};

/// How long a tree may take to die before it is left to the system.
const DIES_WITHIN: Duration = Duration::from_secs(10);
/// How long the rest of the output is awaited once everything is dead.
const DRAINED_WITHIN: Duration = Duration::from_secs(2);
/// Variables that everybody may read, so that they are no secrets.
const PLAIN: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "SHELL", "TERM"];
/// A value that is shorter would be found everywhere.
const SHORTEST_SECRET: usize = 6;

/// Runs the program that `argv` names, and waits for its end.
pub async fn run(allowed: Allowed, argv: Vec<String>, facts: BTreeMap<String, String>, timeout: Duration) -> HookEnd {
    let (directory, program) = match program(&allowed, &argv) {
        Ok(found) => found,
        Err(why) => return failed(why),
    };
    let began = Instant::now();
    let mut command = supervised(&program);
    command
        .args(argv.iter().skip(1))
        .env_clear()
        .envs(allowed.environment.iter().map(|(name, value)| (name, value)))
        .envs(facts.iter().map(|(name, value)| (name, value.replace('\0', ""))))
        .current_dir(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("it could not be started: {error}")),
    };
    let secrets = secrets(&allowed);
    let longest = secrets.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
    let capture = Arc::new(Mutex::new(Capture::keeping(Output::KEPT + longest)));
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| tokio::spawn(gather(pipe, Arc::clone(&capture)))),
        child
            .stderr
            .take()
            .map(|pipe| tokio::spawn(gather(pipe, Arc::clone(&capture)))),
    ];
    let (how, why) = wait(&mut child, timeout).await;
    let took = began.elapsed();
    for reader in readers.into_iter().flatten() {
        let _ = tokio::time::timeout(DRAINED_WITHIN, reader).await;
    }
    let output = capture.lock().unwrap_or_else(PoisonError::into_inner).output(&secrets);
    ended(how, why, Some(took), output)
}

/// The program that a hook names, if it lies where the configuration says; symbolic links are followed first.
///
/// # Errors
/// What stands in the way, in words.
pub fn program(allowed: &Allowed, argv: &[String]) -> Result<(PathBuf, PathBuf), String> {
    let Some(directory) = &allowed.directory else {
        return Err("the server's configuration allows no commands; `hooks.directory` says where they lie".to_owned());
    };
    let directory = directory
        .canonicalize()
        .map_err(|error| format!("`hooks.directory` cannot be read: {error}"))?;
    let named = argv.first().map(Path::new).unwrap_or(Path::new(""));
    let shown = named.display();
    let program = directory
        .join(named)
        .canonicalize()
        .map_err(|error| format!("there is no `{shown}` below `hooks.directory`: {error}"))?;
    if named.is_absolute() || !program.starts_with(&directory) {
        return Err(format!("`{shown}` does not lie below `hooks.directory`"));
    }
    if !program.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    Ok((directory, program))
}

/// Our own program, which starts `program` and sees to it that nothing of it outlives us.
fn supervised(program: &Path) -> Command {
    // The file may have been replaced since we started; what runs is still there under this name.
    let own = Path::new("/proc/self/exe");
    let own = if own.exists() {
        own.to_owned()
    } else {
        std::env::current_exe().unwrap_or_default()
    };
    let mut command = Command::new(own);
    command.args([OsStr::new(tree::SUBCOMMAND), OsStr::new("--"), program.as_os_str()]);
    command
}

/// Waits for the end, or makes one: when its pipe closes, the supervisor kills the whole tree. That also happens when this
/// future is dropped, and when the process dies.
async fn wait(child: &mut Child, timeout: Duration) -> (Ended, String) {
    let lifeline = child.stdin.take();
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = tokio::time::sleep(timeout) => None,
    };
    match ended {
        Some(Ok(status)) => told(status),
        Some(Err(error)) => {
            let end = unknown(format!("its end could not be learned: {error}"));
            (end.how, end.why)
        }
        None => {
            drop(lifeline);
            if tokio::time::timeout(DIES_WITHIN, child.wait()).await.is_err() {
                let _ = child.start_kill();
            }
            let limit = tidegate_rollout::Period::millis(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
            (
                Ended::Failed,
                format!("killed after {limit}, with everything that it had started"),
            )
        }
    }
}

fn told(status: ExitStatus) -> (Ended, String) {
    match status.code() {
        Some(0) => (Ended::Passed, "exit code 0".to_owned()),
        Some(code) => (Ended::Failed, format!("exit code {code}")),
        None => (Ended::Unknown, format!("its supervisor was killed: {status}")),
    }
}

/// The last of what was printed, and how much there was.
#[derive(Debug)]
struct Capture {
    tail: VecDeque<u8>,
    keeps: usize,
    total: u64,
}

impl Capture {
    fn keeping(keeps: usize) -> Self {
        Self {
            tail: VecDeque::new(),
            keeps,
            total: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let fresh = &bytes[bytes.len().saturating_sub(self.keeps)..];
        let room = self.keeps - fresh.len();
        let surplus = self.tail.len().saturating_sub(room);
        self.tail.drain(..surplus);
        self.tail.extend(fresh);
    }

    /// As text, with the names of secrets in place of their values. Where something was cut off, the first bytes could be
    /// the end of a secret, so they go too.
    fn output(&self, secrets: &[(String, String)]) -> Output {
        let (front, back) = self.tail.as_slices();
        let bytes = [front, back].concat();
        let mut cut = self.total - bytes.len() as u64;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        for (name, value) in secrets {
            text = text.replace(value.as_str(), &format!("[{name}]"));
        }
        if cut > 0 {
            let longest = secrets.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
            let start = (0..=text.len().min(longest))
                .rev()
                .find(|at| text.is_char_boundary(*at));
            let start = start.unwrap_or(0);
            cut += start as u64;
            text.drain(..start);
        }
        Output::of(&text, cut)
    }
}

async fn gather(mut pipe: impl AsyncRead + Unpin, capture: Arc<Mutex<Capture>>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        capture
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(&buffer[..read]);
    }
}

/// What was given to the program and must not come back.
fn secrets(allowed: &Allowed) -> Vec<(String, String)> {
    let telling = |(name, value): &&(String, String)| !PLAIN.contains(&name.as_str()) && value.len() >= SHORTEST_SECRET;
    allowed.environment.iter().filter(telling).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_is_printed_only_the_end_is_kept() {
        let mut capture = Capture::keeping(Output::KEPT);
        for chunk in [b"begin".as_slice(), &[b'x'; 100_000], b"\nthe end\n"] {
            capture.add(chunk);
            assert!(capture.tail.len() <= Output::KEPT);
        }
        let output = capture.output(&[]);
        assert!(output.tail.ends_with("x\nthe end"), "{}", output.tail.len());
        assert!(output.cut > 96_000 && !output.tail.contains("begin"));
    }

    #[test]
    fn a_secret_does_not_come_back_whole_or_in_half() {
        let secrets = [("PGPASSWORD".to_owned(), "hunter2-hunter2".to_owned())];
        let mut capture = Capture::keeping(40);
        capture.add(b"+ psql password=hunter2-hunter2 host=db");
        assert_eq!(capture.output(&secrets).tail, "+ psql password=[PGPASSWORD] host=db");
        capture.add(b" and so on to the last");
        let tail = capture.output(&secrets).tail;
        assert!(!tail.contains("hunter2") && tail.ends_with("to the last"), "{tail}");
    }

    #[test]
    fn a_program_lies_below_the_directory_however_it_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let outside = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(directory.path().join("in.sh"), "").expect("a file");
        std::os::unix::fs::symlink(outside.path(), directory.path().join("out.sh")).expect("a link");
        let allowed = Allowed {
            directory: Some(directory.path().to_owned()),
            ..Allowed::default()
        };
        let tried = |name: &str| program(&allowed, &[name.to_owned()]);
        assert!(tried("in.sh").is_ok());
        for outside in ["out.sh", "../in.sh", "/bin/sh", "none.sh", "", "."] {
            let why = tried(outside).expect_err(outside);
            assert!(
                why.contains("hooks.directory") || why.contains("no file"),
                "{outside}: {why}"
            );
        }
        let nowhere = program(&Allowed::default(), &["in.sh".to_owned()]).expect_err("no directory");
        assert!(nowhere.contains("allows no commands"), "{nowhere}");
    }
}
