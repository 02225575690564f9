//! A broker process: started on a free port, killed, started again where clients still look for it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running `millpond start`; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    data: PathBuf,
    address: String,
    /// Kept, so that the process may go on writing.
    _stdout: BufReader<ChildStdout>,
}

impl Broker {
    /// Starts one on `data` and a free port; returns when it serves.
    pub(crate) fn start(data: &Path) -> Broker {
        Self::start_at(data, "127.0.0.1:0")
    }

    fn start_at(data: &Path, address: &str) -> Broker {
        let mut child = Command::new(env!("CARGO_BIN_EXE_millpond"))
            .args(["start", "--kafka", address, "--data"])
            .arg(data)
            .env_remove("MILLPOND_KILL_POINT")
            .env_remove("MILLPOND_CRASH_KILLS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary that cargo built starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("stdout is UTF-8");
        let address = line
            .trim_end()
            .strip_prefix("ready kafka=")
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("expected `ready kafka=HOST:PORT`, the broker said {line:?}"))
            .to_owned();
        Broker {
            child,
            data: data.to_owned(),
            address,
            _stdout: stdout,
        }
    }

    /// Where it serves.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// SIGKILL, and a new process on the same files and port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        *self = Self::start_at(&self.data, &self.address);
    }

    fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        if self.child.kill().is_ok() {
            self.child.wait().expect("it is our child");
        }
    }
}
