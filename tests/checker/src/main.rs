//! `millpond-checker FILE`: reads a history, prints what is wrong with it; exit code 1 if anything is, 2 if it cannot be read.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use millpond_checker::{Checker, Event};

fn check(path: &str) -> Result<bool, String> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    let mut checker = Checker::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| format!("{path}: {error}"))?;
        let event: Event =
            serde_json::from_str(&line).map_err(|error| format!("{path}, line {}: {error}", number + 1))?;
        checker.event(&event);
    }
    let report = checker.finish();
    print!("{report}");
    Ok(report.is_clean())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path] = arguments.as_slice() else {
        eprintln!("usage: millpond-checker HISTORY.jsonl");
        return ExitCode::from(2);
    };
    match check(path) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
