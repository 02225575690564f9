//! Bad input, a bad disk, a bad neighbour: one clear sentence each, and nothing is lost.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::command_line::FEW_FLIGHTS;
use crate::process::{Finished, Run, finished, millpond};

/// A data directory of its own with the demo's flights in it.
struct Node {
    home: tempfile::TempDir,
}

impl Node {
    fn empty() -> Node {
        Node {
            home: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn loaded() -> Node {
        let node = Node::empty();
        let demo = node.demo(FEW_FLIGHTS, &[]);
        assert_eq!(demo.code(), Some(0), "{}\n{}", demo.stdout, demo.stderr);
        node
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn demo(&self, flights: &str, more: &[&str]) -> Finished {
        let file = self.home.path().join("flights.csv");
        std::fs::write(&file, flights).expect("a temporary file");
        finished(
            millpond(["demo", "--flights"])
                .arg(file)
                .arg("--data")
                .arg(self.data())
                .args(more),
        )
    }

    fn sql(&self, statement: &str, more: &[&str]) -> Finished {
        finished(
            millpond(["sql", "--format", "csv", "--data"])
                .arg(self.data())
                .args(more)
                .args(["-c", statement]),
        )
    }

    fn flights(&self) -> Finished {
        self.sql("SELECT COUNT(*) AS flights FROM flights", &[])
    }

    /// The one log file with records of topic `flights`, the largest of its partitions.
    fn flights_log(&self) -> PathBuf {
        let partitions = (0..4).map(|partition| self.data().join(format!("log/flights-{partition}")));
        let mut logs: Vec<(u64, PathBuf)> = partitions
            .flat_map(|folder| std::fs::read_dir(folder).expect("a partition directory"))
            .map(|entry| entry.expect("a partition directory").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .map(|path| (path.metadata().expect("a log file").len(), path))
            .collect();
        logs.sort();
        logs.pop().expect("topic flights has log files").1
    }
}

/// `error: …` is one line, perhaps with the place in a statement below it; a `hint: …` line may follow, nothing else.
fn assert_one_clear_sentence(left: &Finished, words: &[&str]) {
    assert_eq!(left.code(), Some(1), "{}\n{}", left.stdout, left.stderr);
    let told = |line: &&str| {
        !["state: ", "node: ", "  "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = left.stderr.lines().filter(told).collect();
    assert!(
        lines.first().is_some_and(|line| line.starts_with("error: ")),
        "{}",
        left.stderr
    );
    assert!(
        lines[1..].iter().all(|line| line.starts_with("hint: ")),
        "{}",
        left.stderr
    );
    assert!(lines.len() <= 2, "{}", left.stderr);
    for word in words {
        assert!(
            left.stderr.contains(word),
            "expected {word:?} in: {}",
            left.stderr
        );
    }
    assert!(!left.stderr.contains("panicked"), "{}", left.stderr);
}

fn flip_byte(path: &Path, at: u64) {
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .expect("a log file");
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).expect("a position in the file");
    file.read_exact(&mut byte).expect("a byte there");
    file.seek(SeekFrom::Start(at)).expect("a position in the file");
    file.write_all(&[byte[0] ^ 0x40]).expect("a writable file");
}

#[test]
fn a_corrupt_segment_is_named_never_cut_and_sound_again_once_mended() {
    let node = Node::loaded();
    let log = node.flights_log();
    let length = log.metadata().expect("a log file").len();
    // Inside the records of the first batch (its header has 61 bytes), below the durable mark.
    flip_byte(&log, 70);
    let verify = finished(millpond(["log", "verify"]).arg(node.data().join("log")));
    assert_eq!(verify.code(), Some(1), "{}\n{}", verify.stdout, verify.stderr);
    assert!(verify.stderr.contains("flights-"), "{}", verify.stderr);
    assert_one_clear_sentence(&node.flights(), &["flights-"]);
    assert_eq!(
        log.metadata().expect("a log file").len(),
        length,
        "a damaged segment was cut"
    );
    flip_byte(&log, 70);
    assert_eq!(node.flights().stdout, "flights\n5\n");
}

#[test]
fn a_full_disk_refuses_writes_and_keeps_reads_and_what_was_acknowledged() {
    const NO_ROOM: [&str; 2] = ["-X", "log.dir.reserved.bytes=1000000000000000"];
    let node = Node::empty();
    let made = node.sql(
        "CREATE STREAM gates (gate VARCHAR) WITH (topic = 'gates', format = 'json', partitions = 1);
         INSERT INTO gates VALUES ('A1'), ('B2')",
        &[],
    );
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let refused = node.sql("INSERT INTO gates VALUES ('C3')", &NO_ROOM);
    assert_one_clear_sentence(&refused, &["bytes free", "1000000000000000"]);
    let count = "SELECT COUNT(*) AS gates FROM gates";
    let read = node.sql(count, &NO_ROOM);
    assert_eq!(read.stdout, "gates\n2\n", "{}", read.stderr);
    assert_eq!(node.sql(count, &[]).stdout, "gates\n2\n");
}

#[test]
fn a_full_disk_fails_the_views_with_its_reason_and_keeps_queries_over_topics() {
    const NO_ROOM: [&str; 2] = ["-X", "log.dir.reserved.bytes=1000000000000000"];
    let node = Node::loaded();
    let rows = "SELECT COUNT(*) AS n FROM departures_hourly";
    let before = node.sql(rows, &[]);
    assert_eq!(before.code(), Some(0), "{}", before.stderr);
    let read = node.sql("SELECT COUNT(*) AS flights FROM flights", &NO_ROOM);
    assert_eq!(read.stdout, "flights\n5\n", "{}", read.stderr);
    let shown = node.sql("SHOW VIEWS", &NO_ROOM);
    assert!(
        shown.stdout.contains("failed") && shown.stdout.contains("bytes free"),
        "{}",
        shown.stdout
    );
    let failed = node.sql(rows, &NO_ROOM);
    assert_eq!(failed.code(), Some(1), "{}", failed.stdout);
    let error = failed
        .stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_default();
    assert!(
        error.contains("view \"departures_hourly\" is failed") && error.contains("bytes free"),
        "{}",
        failed.stderr
    );
    assert_eq!(node.sql(rows, &[]).stdout, before.stdout);
}

#[test]
fn a_data_directory_in_use_is_named_and_left_alone() {
    let node = Node::empty();
    let mut holder = Run::start(
        {
            let mut command = millpond(["demo", "--data"]);
            command.arg(node.data());
            command
        },
        node.home.path(),
    );
    holder.wait_until_said("node: ");
    assert_one_clear_sentence(
        &node.sql("SELECT 1", &[]),
        &["in use", &node.data().display().to_string()],
    );
    let left = holder.wait();
    assert_eq!(left.code(), Some(0), "{}\n{}", left.stdout, left.stderr);
}

#[test]
fn a_record_too_large_is_refused_by_size_and_limit_and_the_rest_stays() {
    let node = Node::loaded();
    // Letters without a pattern: compression must not make it fit.
    let mut random = fastrand::Rng::with_seed(5);
    let carrier: String = (0..2 * 1024 * 1024).map(|_| random.alphanumeric()).collect();
    let monster = format!("{FEW_FLIGHTS}2013,1,3,1,{carrier},1,N1,EWR,IAH,1,0,2013-01-03T10:00:00Z\n");
    let other = Node::empty();
    assert_one_clear_sentence(
        &other.demo(&monster, &[]),
        &["batch of 2097", "the limit of 1048588"],
    );
    assert_eq!(node.flights().stdout, "flights\n5\n");
}

#[test]
fn wrong_sql_names_the_place_and_the_near_miss() {
    let node = Node::loaded();
    assert_one_clear_sentence(&node.sql("SELECT orign FROM flights", &[]), &["orign", "origin"]);
    assert_one_clear_sentence(&node.sql("SELECT * FROM flihgts", &[]), &["flihgts", "flights"]);
    assert_one_clear_sentence(&node.sql("SELEC 1", &[]), &["SELEC"]);
    assert_eq!(node.flights().stdout, "flights\n5\n");
}

#[test]
fn another_file_on_a_loaded_directory_is_refused_before_anything_is_written() {
    let node = Node::loaded();
    let other = FEW_FLIGHTS.replace("N14228", "N99999");
    assert_one_clear_sentence(&node.demo(&other, &[]), &["flights.csv"]);
    assert_eq!(node.flights().stdout, "flights\n5\n");
}

#[test]
fn a_file_that_is_no_flights_file_is_named_with_the_columns_it_should_have() {
    let node = Node::empty();
    assert_one_clear_sentence(&node.demo("a,b\n1,2\n", &[]), &["flights.csv", "nycflights13"]);
    assert_one_clear_sentence(
        &node.demo(
            &FEW_FLIGHTS.replace("2013-01-02T11:00:00Z", "2013-01-02T11:30:00Z"),
            &[],
        ),
        &["line 6"],
    );
}
