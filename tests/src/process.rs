//! Real programs as children: output into a file, stopped when dropped.
//!
//! A child leads a process group of its own and, on Linux, dies with this test even if that is killed. Refuses to call a
//! program ready before a condition says so.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::scratch::Scratch;
use crate::wait;

/// How many lines of a program's output an error carries.
const TAIL: usize = 30;

/// How a program is ended when nobody needs it any more.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// SIGKILL to its whole group.
    Kill,
    /// SIGQUIT, for programs that clean up in no time and have children in groups of their own.
    Quit,
}

/// What is to be started, and how.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    user: Option<String>,
    end: End,
}

impl Launch {
    /// Of `program`, a path.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let (arguments, variables) = (Vec::new(), Vec::new());
        Self {
            program: program.into(),
            arguments,
            variables,
            user: None,
            end: End::Kill,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Runs it as another user; only root may.
    #[must_use]
    pub fn as_user(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// Ends it otherwise than by SIGKILL.
    #[must_use]
    pub fn ended_by(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Starts the program; its output goes to `<name>.log` in `scratch`, after what is there already.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self, name: &str, scratch: &Scratch) -> Result<Program> {
        let log = scratch.path().join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context("could not open the log")?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = spawn(command).with_context(|| format!("could not start {}", self.program.display()))?;
        Ok(Program {
            name: name.to_owned(),
            child,
            log,
            end: self.end,
        })
    }

    /// Runs the program to its end and returns what it printed on both streams, however it ended.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self) -> Result<String> {
        let output = self.command().stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("could not start {}", self.program.display()))?;
        Ok([output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat())
    }

    /// Runs the program to its end and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or says it failed; carries what it printed.
    pub fn run(&self) -> Result<String> {
        let output = self.command().stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("could not start {}", self.program.display()))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{} ended with {}: {printed}{complaint}",
            self.program.display(),
            output.status
        );
        Ok(printed)
    }

    fn command(&self) -> Command {
        let mut command = if cfg!(target_os = "linux") {
            let mut leash = Command::new("setpriv");
            let signal = match self.end {
                End::Kill => "KILL",
                End::Quit => "QUIT",
            };
            leash.arg("--pdeathsig").arg(signal);
            if let Some(user) = &self.user {
                leash.args(["--reuid", user, "--regid", user, "--clear-groups"]);
            }
            leash.arg("--").arg(&self.program);
            leash
        } else {
            Command::new(&self.program)
        };
        // What is set in the terminal of whoever runs the tests is none of the program's business.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.variables.iter().cloned());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}

/// A running program. Dropped, it is stopped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
    end: End,
}

impl Program {
    /// Its process id, which is also its group's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it printed so far.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("could not read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `look` succeeds; ends at once when the program has exited.
    ///
    /// # Errors
    /// Carries the end of the program's log.
    pub async fn ready(&mut self, deadline: Duration, mut look: impl AsyncFnMut() -> Result<()>) -> Result<()> {
        let what = format!("{} is ready", self.name);
        let awaited = wait::until(&what, deadline, async || {
            if let Some(status) = self.exited()? {
                return Err(wait::hopeless(format!("it exited with {status}")));
            }
            look().await
        });
        awaited
            .await
            .with_context(|| format!("the log of {} ends with:\n{}", self.name, self.tail()))
    }

    /// Whether it has exited, and how.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("could not ask for {}", self.name))
    }

    /// Waits until it exits by itself.
    ///
    /// # Errors
    /// When it still runs at the deadline.
    pub async fn exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("{} exits", self.name);
        wait::until(&what, deadline, async || self.exited()?.context("it is running")).await
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    /// When it has exited, or the system refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.exited()? {
            bail!("{} has already exited with {status}", self.name);
        }
        let group = Pid::from_child(&self.child);
        kill_process_group(group, signal).with_context(|| format!("could not signal {}", self.name))
    }

    /// SIGKILL, now, to the whole group: nothing is flushed, nothing said.
    ///
    /// # Errors
    /// When it had already exited.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child
            .wait()
            .with_context(|| format!("could not wait for {}", self.name))?;
        Ok(())
    }

    #[must_use]
    pub fn tail(&self) -> String {
        let log = self.log().unwrap_or_else(|error| format!("{error:#}"));
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let signal = match self.end {
            End::Kill => Signal::KILL,
            End::Quit => Signal::QUIT,
        };
        // The group may outlive its leader. An error means that nobody is left; the wait only collects the leader.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
        let _ = self.child.wait();
    }
}

/// The path of an installed program.
///
/// # Errors
/// Names the Debian package it comes with.
pub fn installed(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| is_file(file));
    found.with_context(|| {
        format!("{program} is not installed: run `./tests/run prepare`, or install the package {package}")
    })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Starts a child from a thread that lasts as long as this process: the system's promise to end a child with its parent
/// is about the *thread* that started it, and the threads of tests come and go.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static LAUNCHER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits for the answer only when the test is gone.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    LAUNCHER.send((command, answer)).map_err(io::Error::other)?;
    child.recv().map_err(io::Error::other)?
}
