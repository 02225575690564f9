//! This program as a child: started, listened to, told something, killed.
//!
//! Always true: what a child writes goes to files, so a killed one leaves what it said; one that is dropped is killed, and all of them end when their stdin does, so
//! nothing is left behind when a test fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millpond_log::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

use crate::settings::PATIENCE;

/// Numbers the files of children.
static CHILDREN: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Child {
    process: std::process::Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Exit code of a job that failed by itself; its reason is on stderr.
pub(crate) const FAILED: u8 = 7;

/// The command that starts this program as a child.
pub(crate) fn command(args: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command
        .arg("--child")
        .args(args)
        .env_remove("MILLPOND_KILL_POINT")
        .env_remove("MILLPOND_SABOTAGE");
    command
}

impl Child {
    pub(crate) fn start(mut command: Command, scratch: &Path) -> Child {
        let number = CHILDREN.fetch_add(1, Ordering::Relaxed);
        let (stdout, stderr) = (
            scratch.join(format!("stdout-{number}")),
            scratch.join(format!("stderr-{number}")),
        );
        let process = command
            .stdin(Stdio::piped())
            .stdout(File::create(&stdout).expect("scratch is writable"))
            .stderr(File::create(&stderr).expect("scratch is writable"))
            .spawn()
            .expect("this program starts");
        Child {
            process,
            stdout,
            stderr,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Lines it wrote to stdout so far that begin so, without their beginning.
    pub(crate) fn said(&self, beginning: &str) -> Vec<String> {
        let said = std::fs::read_to_string(&self.stdout).expect("stdout is UTF-8");
        // The last line may not be whole yet.
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        let lines = whole.lines().filter_map(|line| line.strip_prefix(beginning));
        lines.map(|rest| rest.trim().to_owned()).collect()
    }

    pub(crate) fn complaints(&self) -> String {
        std::fs::read_to_string(&self.stderr).expect("stderr is UTF-8")
    }

    /// Waits until it has said `count` lines that begin so; `Err` when it has ended before, with what it complained of.
    pub(crate) async fn wait_for(&mut self, beginning: &str, count: usize) -> Result<String, String> {
        let clock = SystemClock::new();
        loop {
            let ended = self.has_ended();
            if let Some(line) = self.said(beginning).into_iter().nth(count - 1) {
                return Ok(line);
            }
            if ended {
                return Err(self.complaints());
            }
            if clock.monotonic() > PATIENCE {
                return Err(format!("never said {beginning:?}: {}", self.complaints()));
            }
            clock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// A line for its stdin. A child that is gone does not hear it, which whoever waits for its answer notices.
    pub(crate) fn tell(&mut self, line: &str) {
        if let Some(stdin) = &mut self.process.stdin {
            writeln!(stdin, "{line}").ok();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has an id"), signal).expect("our own child takes signals");
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("our own child").is_some()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// Waits for its end, at most so long; `None` when it still runs then.
    pub(crate) async fn ended_within(&mut self, most: Duration) -> Option<ExitStatus> {
        let clock = SystemClock::new();
        loop {
            if let Some(status) = self.process.try_wait().expect("our own child") {
                return Some(status);
            }
            if clock.monotonic() >= most {
                return None;
            }
            clock.sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

/// RocksDB gives each database an identity when it is created; a wiped and rebuilt one would have another.
#[derive(Default)]
pub(crate) struct Identities(BTreeMap<PathBuf, String>);

impl Identities {
    /// Every database below `dir` must be the one it was born as, and none may be gone.
    pub(crate) fn check(&mut self, dir: &Path) {
        for (database, identity) in databases(dir) {
            let born_with = self.0.entry(database.clone()).or_insert_with(|| identity.clone());
            assert_eq!(
                *born_with,
                identity,
                "the state in {} was replaced",
                database.display()
            );
        }
        for database in self.0.keys() {
            assert!(database.exists(), "the state in {} is gone", database.display());
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

fn databases(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may vanish between listing and reading only if somebody deletes state, which the next check would see.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "IDENTITY")
                && folder.join("CURRENT").exists()
            {
                // CURRENT ends a database's birth: killed between the two, RocksDB begins again and takes a new identity.
                let identity = std::fs::read_to_string(&path).expect("IDENTITY is text");
                if !identity.is_empty() {
                    found.push((folder.clone(), identity));
                }
            }
        }
    }
    found
}
