//! Owns the life of everything that a hook starts: this runs in a process of its own, between the server and the program.
//! When its standard input closes, because the server wants it or has died, nothing of the tree is left alive; nor is it when
//! the program ends and leaves something behind.
//! Refuses to lose a process: whoever leaves the tree is adopted, and found again.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// The hidden subcommand that becomes a supervisor.
pub const SUBCOMMAND: &str = "hook-supervisor";

/// How long a tree may take to end by itself when it is told to.
const GRACE: Duration = Duration::from_secs(1);
/// How long it is killed again and again.
const KILLED_FOR: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The exit codes that shells use for a program that is no program, and for one that is not there.
const NOT_RUNNABLE: u8 = 126;

enum Word {
    Ended(std::io::Result<ExitStatus>),
    Abandoned,
}

/// Runs a program to its end and answers its exit code; of one that a signal ended, 128 and the signal.
pub fn supervise(argv: &[OsString]) -> u8 {
    adopt();
    let Some((program, arguments)) = argv.split_first() else {
        return NOT_RUNNABLE;
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}: {error}", program.to_string_lossy());
            return NOT_RUNNABLE;
        }
    };
    let group = child.id();
    let (words, heard) = mpsc::channel();
    let abandoned = words.clone();
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
        let _ = abandoned.send(Word::Abandoned);
    });
    std::thread::spawn(move || {
        let _ = words.send(Word::Ended(child.wait()));
    });
    match heard.recv() {
        Ok(Word::Ended(Ok(status))) => {
            end_all(group, Duration::ZERO, &heard);
            code(status)
        }
        Ok(Word::Ended(Err(_)) | Word::Abandoned) | Err(_) => {
            end_all(group, GRACE, &heard);
            code(ExitStatus::from_raw(Signal::KILL.as_raw()))
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// From now on whoever loses its parent below us becomes our child, and nobody gets away by a double fork.
#[cfg(target_os = "linux")]
fn adopt() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(not(target_os = "linux"))]
fn adopt() {}

/// Ends everything below us: politely for a while, then not.
fn end_all(group: u32, grace: Duration, timer: &mpsc::Receiver<Word>) {
    let began = Instant::now();
    let mut told = false;
    loop {
        let living = below(group);
        if living.is_empty() || began.elapsed() > grace + KILLED_FOR {
            return;
        }
        let politely = began.elapsed() < grace;
        if !(politely && told) {
            let signal = if politely { Signal::TERM } else { Signal::KILL };
            for pid in living {
                let _ = rustix::process::kill_process(pid, signal);
            }
            told = true;
        }
        // Nothing has to come: this is how long a look waits for the next one.
        if let Err(RecvTimeoutError::Disconnected) = timer.recv_timeout(LOOK_EVERY) {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

/// The living processes below this one, however deep.
#[cfg(target_os = "linux")]
fn below(_group: u32) -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let all = processes();
    let mut found = vec![own];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|process| process.parent == parent)
                .map(|process| process.pid),
        );
        at += 1;
    }
    let lives = |pid: &i32| all.iter().any(|process| process.pid == *pid && process.lives);
    found
        .into_iter()
        .skip(1)
        .filter(lives)
        .filter_map(Pid::from_raw)
        .collect()
}

/// Where there is no `/proc`, the group of the program stands for its tree.
#[cfg(not(target_os = "linux"))]
fn below(group: u32) -> Vec<Pid> {
    let group = i32::try_from(group).ok().and_then(Pid::from_raw);
    let lives = |pid: &Pid| rustix::process::test_kill_process_group(*pid).is_ok();
    let Some(group) = group.filter(lives) else {
        return Vec::new();
    };
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    vec![group]
}

#[cfg(target_os = "linux")]
struct Process {
    pid: i32,
    parent: i32,
    /// Whether it is more than an entry that waits for its parent.
    lives: bool,
}

#[cfg(target_os = "linux")]
fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let read = entries.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name stands in parentheses and may hold anything, also parentheses.
        let (_, rest) = stat.rsplit_once(')')?;
        let mut words = rest.split_whitespace();
        let state = words.next()?;
        let parent = words.next()?.parse().ok()?;
        Some(Process {
            pid,
            parent,
            lives: !matches!(state, "Z" | "X" | "x"),
        })
    });
    read.collect()
}
