//! What the demo prints: results people can read, speed, and the comparison.
//!
//! What is always true: the last line says `every row is equal` exactly when no check found a difference; the first
//! differences of each failed check are shown, with their keys.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use millpond::streams::metrics::StreamsMetrics;
use serde_json::{Value, json};

use super::answer::{Answer, Difference};
use super::job::Departures;
use crate::cli::output::{Format, Grid};
use crate::cli::progress::grouped;

/// Rows shown of a long result.
const SHOWN: usize = 5;

/// One streaming result beside the batch query's.
pub(crate) struct Check {
    what: &'static str,
    engine: &'static str,
    rows: usize,
    differences: Vec<Difference>,
}

impl Check {
    /// Compares every row.
    pub(crate) fn new(what: &'static str, engine: &'static str, found: Answer, expected: &Answer) -> Check {
        Check {
            what,
            engine,
            rows: expected.len(),
            differences: found.differences_from(expected),
        }
    }
}

/// Everything there is to print.
pub(crate) struct Report {
    pub(crate) file: String,
    pub(crate) flights: usize,
    pub(crate) loaded_before: usize,
    pub(crate) loaded_now: usize,
    pub(crate) load_took: Duration,
    /// From the start of the jobs until both had seen and committed everything.
    pub(crate) all_took: Duration,
    pub(crate) compare_took: Duration,
    pub(crate) job: StreamsMetrics,
    pub(crate) hourly: BTreeMap<String, Departures>,
    pub(crate) routes: BTreeMap<String, u64>,
    /// SQL statements with their results.
    pub(crate) shown: Vec<(String, Grid)>,
    pub(crate) checks: Vec<Check>,
}

impl Report {
    /// Rows that differ, over all checks.
    pub(crate) fn differences(&self) -> usize {
        self.checks.iter().map(|check| check.differences.len()).sum()
    }

    /// Prints it.
    pub(crate) fn write(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        writeln!(
            out,
            "Flights from New York: {} ({} flights)",
            self.file,
            grouped(self.flights as u64)
        )?;
        writeln!(
            out,
            "\nThe busiest hours (DSL: tumbling windows of an hour; {} rows in all)",
            self.hourly.len()
        )?;
        self.busiest_hours().write(Format::Table, out)?;
        writeln!(
            out,
            "\nThe busiest routes of a day (DSL: windows of a day every six hours; {} rows in all)",
            self.routes.len()
        )?;
        self.busiest_routes().write(Format::Table, out)?;
        for (statement, grid) in &self.shown {
            writeln!(out, "\nsql> {statement}")?;
            grid.write(Format::Table, out)?;
        }
        writeln!(out, "\nThroughput, exactly-once")?;
        self.throughput().write(Format::Table, out)?;
        writeln!(out, "\nBeside plain DataFusion over the same file, every row")?;
        self.comparison().write(Format::Table, out)?;
        self.write_differences(out)
    }

    fn busiest_hours(&self) -> Grid {
        let mut grid = Grid::new(["origin", "hour (UTC)", "departures", "mean delay, min"]);
        for (key, row) in largest(&self.hourly, |row| row.departures) {
            let (origin, hour) = name_and_time(key);
            grid.push(vec![
                json!(origin),
                json!(hour),
                json!(row.departures),
                rounded(row.avg_delay()),
            ]);
        }
        grid
    }

    fn busiest_routes(&self) -> Grid {
        let mut grid = Grid::new(["route", "24 h from (UTC)", "departures"]);
        for (key, &count) in largest(&self.routes, |&count| count) {
            let (route, from) = name_and_time(key);
            grid.push(vec![json!(route), json!(from), json!(count)]);
        }
        grid
    }

    fn throughput(&self) -> Grid {
        let mut grid = Grid::new(["what", "records", "seconds", "records/s"]);
        let mut row = |what: &str, records: u64, took: Duration| {
            let per_second = records as f64 / took.as_secs_f64().max(f64::EPSILON);
            grid.push(vec![
                json!(what),
                json!(records),
                rounded(Some(took.as_secs_f64())),
                json!(per_second.round() as u64),
            ]);
        };
        row("loaded in transactions", self.loaded_now as u64, self.load_took);
        row(
            "DSL job: read, repartitions included",
            self.job.records_in,
            self.all_took,
        );
        row(
            "DSL job: written, changelogs included",
            self.job.records_out,
            self.all_took,
        );
        row("batch comparison", self.flights as u64, self.compare_took);
        grid
    }

    fn comparison(&self) -> Grid {
        let mut grid = Grid::new(["result", "by", "rows", "differ"]);
        for check in &self.checks {
            grid.push(vec![
                json!(check.what),
                json!(check.engine),
                json!(check.rows),
                json!(check.differences.len()),
            ]);
        }
        grid
    }

    fn write_differences(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.loaded_before > 0 {
            writeln!(
                out,
                "{} flights were there before this start",
                grouped(self.loaded_before as u64)
            )?;
        }
        for check in self.checks.iter().filter(|check| !check.differences.is_empty()) {
            writeln!(out, "{} ({}):", check.what, check.engine)?;
            for difference in check.differences.iter().take(SHOWN) {
                writeln!(out, "  {difference}")?;
            }
            if check.differences.len() > SHOWN {
                writeln!(out, "  … and {} more", check.differences.len() - SHOWN)?;
            }
        }
        if self.differences() == 0 {
            writeln!(
                out,
                "every row is equal; {} commits of the DSL job in {:.1} s",
                self.job.commits,
                self.all_took.as_secs_f64()
            )?;
        }
        Ok(())
    }
}

/// The rows with the largest measure, largest first; ties in key order.
fn largest<V>(rows: &BTreeMap<String, V>, measure: impl Fn(&V) -> u64) -> Vec<(&str, &V)> {
    let mut sorted: Vec<(&str, &V)> = rows.iter().map(|(key, row)| (key.as_str(), row)).collect();
    sorted.sort_by_key(|(_, row)| std::cmp::Reverse(measure(row)));
    sorted.truncate(SHOWN);
    sorted
}

/// `JFK @ 1357034400000` as `JFK` and `2013-01-01 10:00`.
fn name_and_time(key: &str) -> (&str, String) {
    match key.rsplit_once(" @ ") {
        Some((name, millis)) => (
            name,
            millis.parse().map_or_else(|_| millis.to_owned(), minute_text),
        ),
        None => (key, String::new()),
    }
}

/// Milliseconds since the epoch as a date and minute in UTC.
fn minute_text(millis: i64) -> String {
    let minutes = millis.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Years begin in March here, so that the leap day is the last day of the year; eras have 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}",
        minute / 60,
        minute % 60
    )
}

fn rounded(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |value| json!((value * 100.0).round() / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_names_and_times_people_read() {
        assert_eq!(
            name_and_time("JFK-LAX @ 1357034400000"),
            ("JFK-LAX", "2013-01-01 10:00".to_owned())
        );
        assert_eq!(minute_text(1_709_208_000_000), "2024-02-29 12:00");
        assert_eq!(minute_text(0), "1970-01-01 00:00");
    }

    #[test]
    fn shows_the_largest_rows_first_and_ties_by_key() {
        let rows = BTreeMap::from([("b".to_owned(), 2_u64), ("a".to_owned(), 2), ("c".to_owned(), 9)]);
        let names: Vec<&str> = largest(&rows, |&count| count)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
