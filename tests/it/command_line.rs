//! The contract of the command line: data on stdout, everything else on stderr, exit codes, formats.

use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::process::{Finished, finished, millpond};

/// Two days of flights, small enough to load in a moment.
pub(crate) const FEW_FLIGHTS: &str = "\
year,month,day,dep_delay,carrier,flight,tailnum,origin,dest,distance,minute,time_hour
2013,1,1,2,UA,1545,N14228,EWR,IAH,1400,15,2013-01-01T10:00:00Z
2013,1,1,4,UA,1714,N24211,LGA,IAH,1416,29,2013-01-01T10:00:00Z
2013,1,1,130,AA,1141,N619AA,JFK,MIA,1089,40,2013-01-01T10:00:00Z
2013,1,1,,B6,725,N804JB,JFK,BQN,1576,45,2013-01-01T11:00:00Z
2013,1,2,-6,DL,461,N668DN,LGA,ATL,762,0,2013-01-02T11:00:00Z
";

/// A data directory on which the demo ran over [`FEW_FLIGHTS`]; made once, only read afterwards.
fn loaded() -> PathBuf {
    static LOADED: OnceLock<tempfile::TempDir> = OnceLock::new();
    let home = LOADED.get_or_init(|| {
        let home = tempfile::tempdir().expect("a temporary folder");
        let flights = home.path().join("few.csv");
        std::fs::write(&flights, FEW_FLIGHTS).expect("a temporary file");
        let demo = finished(
            millpond(["demo", "--flights"])
                .arg(&flights)
                .arg("--data")
                .arg(home.path().join("data")),
        );
        assert_eq!(demo.code(), Some(0), "{}\n{}", demo.stdout, demo.stderr);
        home
    });
    home.path().join("data")
}

/// One process at a time may hold the directory, so tests on it take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed in its turn leaves nothing half done behind: its process has ended.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sql(args: &[&str]) -> Finished {
    let data = loaded();
    let _turn = turn();
    finished(millpond(["sql", "--data"]).arg(data).args(args))
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_examples() {
    for command in ["demo", "sql", "log"] {
        let short = finished(&mut millpond([command, "-h"]));
        assert_eq!(short.code(), Some(0));
        assert!(short.stdout.lines().count() <= 30, "{}", short.stdout);
        let long = finished(&mut millpond([command, "--help"]));
        assert!(long.stdout.contains("Examples:"), "{command}: {}", long.stdout);
    }
}

#[test]
fn a_wrong_command_line_is_usage_and_ends_with_2() {
    for args in [
        &["dmo"][..],
        &["sql"],
        &["log", "verify"],
        &["demo", "--fligths", "x"],
    ] {
        let wrong = finished(&mut millpond(args));
        assert_eq!(wrong.code(), Some(2), "{args:?}");
        assert_eq!(wrong.stdout, "", "{args:?}");
        assert!(wrong.stderr.starts_with("error:"), "{args:?}: {}", wrong.stderr);
    }
}

#[test]
fn rows_come_as_csv_and_as_one_json_object_a_line() {
    let query = "SELECT origin, COUNT(*) AS departures, AVG(dep_delay) AS avg_delay FROM flights GROUP BY origin ORDER BY origin";
    let csv = sql(&["--format", "csv", "-c", query]);
    assert_eq!(
        csv.stdout, "origin,departures,avg_delay\nEWR,1,2.0\nJFK,2,130.0\nLGA,2,-1.0\n",
        "{}",
        csv.stderr
    );
    let json = sql(&["--format", "json", "-c", query]);
    assert_eq!(
        json.stdout,
        "{\"origin\":\"EWR\",\"departures\":1,\"avg_delay\":2.0}\n\
         {\"origin\":\"JFK\",\"departures\":2,\"avg_delay\":130.0}\n\
         {\"origin\":\"LGA\",\"departures\":2,\"avg_delay\":-1.0}\n",
        "{}",
        json.stderr
    );
}

#[test]
fn a_view_survives_the_process_that_made_it() {
    let view = sql(&[
        "--format",
        "csv",
        "-c",
        "SELECT window_start, departures, avg_delay FROM departures_hourly WHERE origin = 'JFK' ORDER BY window_start LIMIT 5",
    ]);
    assert_eq!(view.code(), Some(0), "{}", view.stderr);
    assert_eq!(
        view.stdout,
        "window_start,departures,avg_delay\n2013-01-01T10:00:00,1,130.0\n2013-01-01T11:00:00,1,\n",
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let data = loaded();
    let _turn = turn();
    let mut child = millpond(["sql", "--format", "csv", "--data"])
        .arg(data)
        .args(["-c", "SELECT * FROM flights AS a CROSS JOIN flights AS b CROSS JOIN flights AS c CROSS JOIN flights AS d CROSS JOIN flights AS e"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut stderr)
        .expect("stderr is UTF-8");
    let status = child.wait().expect("our own child");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn with_rows_as_json_an_error_is_a_json_object_too() {
    let wrong = sql(&[
        "--format",
        "json",
        "-c",
        "SELECT 1 AS one;\nSELECT orign FROM flights",
    ]);
    assert_eq!((wrong.code(), wrong.stdout.as_str()), (Some(1), ""));
    let error: serde_json::Value = serde_json::from_str(&wrong.stderr).expect("one JSON object on stderr");
    let wanted = serde_json::json!({"error": {
        "kind": "name", "message": "unknown column \"orign\"", "line": 2, "column": 8, "detail": null,
        "hint": "did you mean \"origin\"?",
    }});
    assert_eq!(error, wanted);
    let usage = sql(&["--format", "json", "-X", "nonsense", "-c", "SELECT 1"]);
    assert_eq!(usage.code(), Some(2));
    let error: serde_json::Value = serde_json::from_str(&usage.stderr).expect("one JSON object on stderr");
    assert_eq!(error["error"]["kind"], "usage", "{}", usage.stderr);
    let help = finished(&mut millpond(["sql", "--help"]));
    assert!(help.stdout.contains("{\"error\":"), "{}", help.stdout);
}
