//! SIGKILL anywhere changes nothing in the answer.
//!
//! The demo job (loader, DSL job, SQL view, all exactly-once) runs on a data directory, is killed, and is started again
//! on the same directory until it ends by itself. It compares every row with a batch query and exits 1 on any
//! difference, so exit code 0 *is* the oracle; then `millpond log verify` rebuilds every derived file and compares.
//! After each kill the bytes replayed into state are reported and held against the bound the demo was given, and the
//! identity of every state database must be the one it was born with: state is brought up to date, never replaced.
//!
//! `MILLPOND_CRASH_KILLS=200` kills more often; `MILLPOND_CRASH_SEED=n` replays the moments of a failed run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::process::{Finished, Run, finished, millpond};

/// Committed changes may lag behind in memory by this much before RocksDB takes them; small, so that kills meet
/// stores at every distance from their changelog.
const STATE_LAG_BYTES: u64 = 32 * 1024;

/// A job commits after at most twice this much input: the 3.5 MB of January make at least fifty commits of each job on
/// any machine, and every hit named below is reached whatever its speed.
const COMMIT_BYTES: u64 = 32 * 1024;

/// Kill points of the log (K1–K5), of transactions (K12–K15) and of state (K19), each with the hits worth trying.
const KILL_POINTS: [(&str, &[u32]); 10] = [
    ("K1", &[3, 90]),
    ("K2", &[7, 60]),
    ("K3", &[1, 45]),
    ("K4", &[2, 6]),
    ("K5", &[5, 70]),
    ("K12", &[1, 12]),
    ("K13", &[2, 9]),
    ("K14", &[1, 10]),
    ("K15", &[1, 8]),
    ("K19", &[1, 4]),
];

/// One data directory and all the lives of the demo on it.
struct Lives {
    home: tempfile::TempDir,
    kills: u32,
    identities: BTreeMap<PathBuf, String>,
}

impl Lives {
    fn new() -> Lives {
        Lives {
            home: tempfile::tempdir().expect("a temporary folder"),
            kills: 0,
            identities: BTreeMap::new(),
        }
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn start(&self, kill_point: Option<&str>) -> Run {
        let mut command = millpond(["demo", "--data"]);
        command
            .arg(self.data())
            .args(["--state-lag-bytes", &STATE_LAG_BYTES.to_string()])
            .args(["--commit-bytes", &COMMIT_BYTES.to_string()]);
        // Small segments, so that a crash meets some that were just created.
        command.args(["-X", "log.segment.bytes=131072"]);
        if let Some(point) = kill_point {
            command.env("MILLPOND_KILL_POINT", point);
        }
        Run::start(command, self.home.path())
    }

    /// Accounts for a process that was killed: what it replayed, and whether it still worked on the same stores.
    fn killed(&mut self, how: &str, left: &Finished) {
        assert!(
            left.was_killed(),
            "{how}: expected SIGKILL, got {:?}; stderr:\n{}",
            left.status,
            left.stderr
        );
        self.kills += 1;
        let replayed = replayed_bytes(left);
        say(&format!(
            "kill {:>2} {how}: this life had replayed {}",
            self.kills,
            replayed.map_or("nothing yet".to_owned(), |bytes| format!(
                "{bytes} bytes into state"
            ))
        ));
        self.check_identities();
    }

    /// Runs to the end and holds everything against the promises.
    fn finish(mut self) {
        let left = self.start(None).wait();
        assert_eq!(
            left.code(),
            Some(0),
            "after {} kills:\n{}\n{}",
            self.kills,
            left.stdout,
            left.stderr
        );
        assert!(left.stdout.contains("every row is equal"), "{}", left.stdout);
        self.check_identities();
        assert!(
            !self.identities.is_empty(),
            "no state database was seen below {}",
            self.data().display()
        );
        let verify = finished(millpond(["log", "verify"]).arg(self.data().join("log")));
        assert_eq!(
            verify.code(),
            Some(0),
            "log verify:\n{}\n{}",
            verify.stdout,
            verify.stderr
        );
        say(&format!(
            "{} kills, then every row equal; the last life replayed {} bytes into state",
            self.kills,
            replayed_bytes(&left).expect("a life that ends has said what it replayed")
        ));
    }

    /// RocksDB gives each database an identity when it is created; a wiped and rebuilt one would have another.
    fn check_identities(&mut self) {
        for (database, identity) in database_identities(&self.data()) {
            let born_with = self
                .identities
                .entry(database.clone())
                .or_insert_with(|| identity.clone());
            assert_eq!(
                *born_with,
                identity,
                "the state in {} was replaced",
                database.display()
            );
        }
        for database in self.identities.keys() {
            assert!(database.exists(), "the state in {} is gone", database.display());
        }
    }
}

/// The demo says on stderr how much each job replayed and what its limit is; the limits are checked right here.
fn replayed_bytes(left: &Finished) -> Option<u64> {
    let mut sum = None;
    for line in left
        .stderr
        .lines()
        .filter(|line| line.starts_with("state: replayed "))
    {
        let numbers: Vec<u64> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|text| text.parse().ok())
            .collect();
        let [bytes, _records, limit] = numbers[..] else {
            panic!("not three numbers: {line}")
        };
        assert!(bytes <= limit, "{line}");
        *sum.get_or_insert(0) += bytes;
    }
    sum
}

fn database_identities(data: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![data.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may vanish between listing and reading only if somebody deletes state, which `finish` would catch.
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

/// Straight to stderr: the report belongs into the log of `make test`, also when the test passes.
fn say(line: &str) {
    writeln!(std::io::stderr(), "crash: {line}").expect("stderr is open");
}

fn kills_wanted() -> u32 {
    match std::env::var("MILLPOND_CRASH_KILLS") {
        Ok(text) => text.parse().expect("MILLPOND_CRASH_KILLS must be a number"),
        Err(_) => 20,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a new seed each run, printed; everything after it is determined"
)]
fn seed() -> u64 {
    match std::env::var("MILLPOND_CRASH_SEED") {
        Ok(text) => text.parse().expect("MILLPOND_CRASH_SEED must be a number"),
        Err(_) => fastrand::u64(..),
    }
}

#[test]
fn sigkill_at_random_moments_changes_nothing_in_the_answer() {
    let wanted = kills_wanted();
    let seed = seed();
    say(&format!(
        "{wanted} kills at random moments, MILLPOND_CRASH_SEED={seed}"
    ));
    let mut rng = fastrand::Rng::with_seed(seed);

    // How long an undisturbed run takes here and now; kills are spread over that time.
    let calm = Lives::new();
    let left = calm.start(None).wait();
    assert_eq!(left.code(), Some(0), "{}\n{}", left.stdout, left.stderr);
    let span = left.took;
    say(&format!("an undisturbed run takes {} ms", span.as_millis()));

    let mut kills = 0;
    while kills < wanted {
        let mut lives = Lives::new();
        let in_this_directory = rng.u32(3..=7).min(wanted - kills);
        while lives.kills < in_this_directory {
            let after = span.mul_f64(rng.f64());
            let left = lives.start(None).kill_after(after);
            if left.was_killed() {
                lives.killed(&format!("after {} ms", after.as_millis()), &left);
            } else {
                // It was done before the kill came: hold it against the promises and begin a new directory.
                assert_eq!(left.code(), Some(0), "{}\n{}", left.stdout, left.stderr);
                break;
            }
        }
        kills += lives.kills;
        lives.finish();
    }
}

#[test]
fn sigkill_at_each_named_point_changes_nothing_in_the_answer() {
    for (point, hits) in KILL_POINTS {
        let mut lives = Lives::new();
        for hit in hits {
            let armed = format!("{point}:{hit}");
            let left = lives.start(Some(&armed)).wait();
            lives.killed(&format!("at {armed}"), &left);
        }
        lives.finish();
    }
}

#[test]
fn a_crash_loop_during_recovery_and_restore_changes_nothing_in_the_answer() {
    let mut lives = Lives::new();
    // Something to recover and to restore first: the loader has 27 commits at most, the others are the jobs'.
    for point in [
        "K14:60", "K22:1", "K22:2", "K22:3", "K20:1", "K22:5", "K20:2", "K22:4",
    ] {
        let left = lives.start(Some(point)).wait();
        lives.killed(&format!("at {point}"), &left);
    }
    lives.finish();
}
