//! Starting the binary, watching it, killing it.
//!
//! What is always true: stderr goes to a file, so a killed process leaves what it said; a [`Run`] that is dropped is
//! killed, so a failing test leaves no process behind.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Nothing the tests start may run longer than this; a hang is a failure with a name.
const RUN_TIME_MAX: Duration = Duration::from_secs(240);

/// The binary with these arguments, without kill points inherited from outside.
pub(crate) fn millpond<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millpond"));
    command
        .args(args)
        .env_remove("MILLPOND_KILL_POINT")
        .env_remove("MILLPOND_LOG")
        .env_remove("MILLPOND_FORMAT")
        .stdin(Stdio::null());
    command
}

/// What a finished process left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From its start to its end.
    pub(crate) took: Duration,
}

impl Finished {
    /// Exit code, or `None` when a signal ended the process.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended the process.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }
}

/// Runs `command` to its end.
#[allow(
    clippy::disallowed_methods,
    reason = "measures another process; decides nothing inside one"
)]
pub(crate) fn finished(command: &mut Command) -> Finished {
    let started = Instant::now();
    let output = command.output().expect("the binary that cargo built starts");
    Finished {
        status: output.status,
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        took: started.elapsed(),
    }
}

/// A process under way.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    started: Instant,
}

impl Run {
    /// Starts `command`; `scratch` is a folder for what it writes to stdout and stderr.
    #[allow(
        clippy::disallowed_methods,
        reason = "measures another process; decides nothing inside one"
    )]
    pub(crate) fn start(mut command: Command, scratch: &Path) -> Run {
        let (stdout, stderr) = (scratch.join("stdout"), scratch.join("stderr"));
        let child = command
            .stdout(File::create(&stdout).expect("scratch is writable"))
            .stderr(File::create(&stderr).expect("scratch is writable"))
            .spawn()
            .expect("the binary that cargo built starts");
        Run {
            child,
            stdout,
            stderr,
            started: Instant::now(),
        }
    }

    /// Sends SIGKILL `after` its start, unless the process ends by itself before; returns how it ended.
    pub(crate) fn kill_after(mut self, after: Duration) -> Finished {
        while self.started.elapsed() < after {
            if self.child.try_wait().expect("our own child").is_some() {
                return self.collect();
            }
            pause(Duration::from_millis(1).min(after.saturating_sub(self.started.elapsed())));
        }
        self.child.kill().expect("our own child");
        self.collect()
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(mut self) -> Finished {
        while self.child.try_wait().expect("our own child").is_none() {
            if self.started.elapsed() > RUN_TIME_MAX {
                self.child.kill().expect("our own child");
                let left = self.collect();
                panic!("still running after {RUN_TIME_MAX:?}; it said:\n{}", left.stderr);
            }
            pause(Duration::from_millis(2));
        }
        self.collect()
    }

    /// Waits until the process has written `text` to stderr; it must still run then.
    pub(crate) fn wait_until_said(&mut self, text: &str) {
        loop {
            let said = std::fs::read_to_string(&self.stderr).expect("stderr is UTF-8");
            if said.contains(text) {
                return;
            }
            let ended = self.child.try_wait().expect("our own child").is_some();
            assert!(
                !ended && self.started.elapsed() < RUN_TIME_MAX,
                "never said {text:?}, but:\n{said}"
            );
            pause(Duration::from_millis(1));
        }
    }

    fn collect(mut self) -> Finished {
        let status = self.child.wait().expect("our own child");
        Finished {
            status,
            stdout: std::fs::read_to_string(&self.stdout).expect("stdout is UTF-8"),
            stderr: std::fs::read_to_string(&self.stderr).expect("stderr is UTF-8"),
            took: self.started.elapsed(),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().expect("our own child");
            self.child.wait().expect("our own child");
        }
    }
}

/// Real time passes here on purpose: the process under test lives in it.
#[allow(
    clippy::disallowed_methods,
    reason = "the moment of a kill is a moment of another process's real time"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
