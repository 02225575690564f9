//! A node of ours as a user starts it, for tests that talk to it over the wire.
//!
//! What is always true: it listens on a free port and has a data directory of its own; dropping it ends the process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::process::{Finished, finished, millpond};

/// A node that serves.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// `HOST:PORT` of its Kafka listener.
    pub(crate) address: String,
    home: tempfile::TempDir,
}

impl Node {
    /// Starts a node and waits until it serves.
    pub(crate) fn start(args: &[&str]) -> Node {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut child = millpond(["start", "--kafka", "127.0.0.1:0", "--data"])
            .arg(home.path().join("data"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary that cargo built starts");
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut ready)
            .expect("one line on stdout");
        let address = ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix("kafka="))
            .unwrap_or_else(|| panic!("not the line that says it serves: {ready:?}"))
            .to_owned();
        Node { child, address, home }
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A command line that talks to this node, without settings of the person who runs the tests.
    pub(crate) fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = millpond(args);
        command
            .env("MILLPOND_BROKERS", &self.address)
            .env("MILLPOND_CONFIG_DIR", self.home.path())
            .env_remove("MILLPOND_PROFILE");
        command
    }

    /// Runs a command line to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        finished(&mut self.command(args))
    }

    /// Runs a command line that must succeed, and returns what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code(), Some(0), "{args:?}\n{}\n{}", done.stdout, done.stderr);
        done.stdout
    }

    /// Runs a command line that must succeed with `input` on stdin, and returns what it printed.
    pub(crate) fn feed(&self, input: &str, args: &[&str]) -> String {
        let file = self.home.path().join("input");
        std::fs::write(&file, input).expect("a temporary file");
        let file = std::fs::File::open(file).expect("just written");
        let done = finished(self.command(args).stdin(file));
        assert_eq!(done.code(), Some(0), "{args:?}\n{}\n{}", done.stdout, done.stderr);
        done.stdout
    }

    /// What it prints as JSON; it must succeed.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.ok(&[args, &["--format", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }
}

/// A node with a topic of one partition and ten records: keys k0 … k9, values v0 … v9.
pub(crate) fn node_with_ten() -> Node {
    // A group of one member need not wait for others to come.
    let node = Node::start(&[
        "-X",
        "num.partitions=1",
        "-X",
        "group.initial.rebalance.delay.ms=0",
    ]);
    let lines: String = (0..10).map(|n| format!("k{n} v{n}\n")).collect();
    node.feed(
        &lines,
        &[
            "produce",
            "orders",
            "--create",
            "-f",
            "%k %v\\n",
            "-H",
            "source=test",
        ],
    );
    node
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().expect("our own child");
            self.child.wait().expect("our own child");
        }
    }
}
