//! The flights file: CSV (plain or gzip) in nycflights13's columns, turned into the JSON rows of topic `flights`.
//!
//! What is always true: rows come in the order of scheduled day, and within a day in the file's own order (by *actual*
//! departure), so scheduled times are out of order by less than a day and never more. The full-year file lists its
//! months as text (1, 10, 11, 12, 2 …); sorting by day puts that right and leaves January's order alone.
//! Where to look next: `load.rs` sends the rows, `batch.rs` reads the same bytes without this code.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::cli::failure::Failure;

/// January 2013, part of the binary: the demo needs no file beside it.
const JANUARY: &[u8] = include_bytes!("../../../examples/data/flights-2013-01.csv.gz");

const MILLIS_PER_MINUTE: i64 = 60_000;

/// One row of topic `flights`, as its JSON value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flight {
    pub(crate) carrier: String,
    pub(crate) flight: u32,
    pub(crate) origin: String,
    pub(crate) dest: String,
    /// Minutes late at departure; negative when early, `None` when the flight was cancelled.
    pub(crate) dep_delay: Option<f64>,
    /// Miles.
    pub(crate) distance: f64,
    /// Scheduled departure, RFC 3339 in UTC.
    pub(crate) scheduled: String,
}

/// A flight with what the log needs to know about it.
#[derive(Clone, Debug)]
pub(crate) struct FlightRecord {
    /// Tail number, or the carrier where the file has none.
    pub(crate) key: String,
    /// Scheduled departure, milliseconds since the epoch.
    pub(crate) timestamp: i64,
    pub(crate) flight: Flight,
}

/// All flights of one file, and the file's bytes for the batch query.
#[derive(Debug)]
pub(crate) struct FlightsFile {
    /// What to call the file in messages.
    pub(crate) name: String,
    /// The CSV, decompressed.
    pub(crate) csv: Vec<u8>,
    /// CRC-32C of the CSV: tells whether a data directory was loaded from this file.
    pub(crate) digest: u32,
    pub(crate) records: Vec<FlightRecord>,
}

/// The columns read, by their header names.
#[derive(Debug, Deserialize)]
struct CsvRow {
    year: u16,
    month: u8,
    day: u8,
    #[serde(deserialize_with = "known")]
    dep_delay: Option<f64>,
    carrier: String,
    flight: u32,
    tailnum: String,
    origin: String,
    dest: String,
    distance: f64,
    minute: u8,
    time_hour: String,
}

impl FlightsFile {
    /// Reads `path`, or the built-in January when there is none.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<FlightsFile> {
        match path {
            None => FlightsFile::parse("flights-2013-01.csv.gz (built in)".to_owned(), JANUARY),
            Some(path) => {
                let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                FlightsFile::parse(display_name(path), &bytes)
            }
        }
    }

    pub(super) fn parse(name: String, bytes: &[u8]) -> anyhow::Result<FlightsFile> {
        let csv = decompressed(bytes).with_context(|| format!("cannot decompress {name}"))?;
        let mut days = Vec::new();
        for (index, row) in csv::Reader::from_reader(csv.as_slice()).deserialize().enumerate() {
            let row: CsvRow = row.map_err(|error| not_flights(&name, &error))?;
            let line = index + 2;
            let record = FlightRecord::try_from(&row).with_context(|| format!("{name}, line {line}"))?;
            days.push(((row.year, row.month, row.day), record));
        }
        if days.is_empty() {
            return Err(Failure::failed(format!("{name} has no flights in it")).into());
        }
        days.sort_by_key(|(day, _)| *day);
        let records = days.into_iter().map(|(_, record)| record).collect();
        Ok(FlightsFile {
            digest: crc32c::crc32c(&csv),
            name,
            csv,
            records,
        })
    }
}

impl TryFrom<&CsvRow> for FlightRecord {
    type Error = anyhow::Error;

    fn try_from(row: &CsvRow) -> anyhow::Result<FlightRecord> {
        let hour = row
            .time_hour
            .strip_suffix(":00:00Z")
            .filter(|_| row.minute < 60)
            .with_context(|| {
                format!(
                    "no full hour in UTC: time_hour {:?}, minute {}",
                    row.time_hour, row.minute
                )
            })?;
        let timestamp = hour_to_millis(hour).with_context(|| format!("no such hour: {:?}", row.time_hour))?
            + i64::from(row.minute) * MILLIS_PER_MINUTE;
        let has_tail_number = !is_unknown(&row.tailnum);
        Ok(FlightRecord {
            key: if has_tail_number {
                row.tailnum.clone()
            } else {
                row.carrier.clone()
            },
            timestamp,
            flight: Flight {
                carrier: row.carrier.clone(),
                flight: row.flight,
                origin: row.origin.clone(),
                dest: row.dest.clone(),
                dep_delay: row.dep_delay,
                distance: row.distance,
                scheduled: format!("{hour}:{:02}:00Z", row.minute),
            },
        })
    }
}

/// R writes `NA` where nothing is known; other tools leave the field empty.
fn is_unknown(field: &str) -> bool {
    field.is_empty() || field == "NA"
}

fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let field = Cow::<str>::deserialize(deserializer)?;
    if is_unknown(&field) {
        return Ok(None);
    }
    field
        .parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("{field:?} is neither a number nor NA")))
}

/// `2013-01-01T10` as milliseconds since the epoch (proleptic Gregorian calendar), or `None` if it is no such hour.
fn hour_to_millis(text: &str) -> Option<i64> {
    let (date, hour) = text.split_once('T')?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let hour: i64 = hour.parse().ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(0..24).contains(&hour) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last day of the year.
    let year = if month > 2 { year } else { year - 1 };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days_to_epoch = 719_468;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year;
    Some(((days - days_to_epoch) * 24 + hour) * 60 * MILLIS_PER_MINUTE)
}

fn decompressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    if !bytes.starts_with(&GZIP_MAGIC) {
        return Ok(bytes.to_vec());
    }
    let mut csv = Vec::with_capacity(bytes.len() * 5);
    MultiGzDecoder::new(bytes).read_to_end(&mut csv)?;
    Ok(csv)
}

fn display_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| PathBuf::from(name).display().to_string(),
    )
}

fn not_flights(name: &str, error: &csv::Error) -> anyhow::Error {
    Failure::failed(format!("{name} is no flights file: {error}"))
        .hint("the columns must be those of nycflights13's `flights` table, see examples/data/README.md")
        .into()
}

#[cfg(test)]
#[path = "flights_test.rs"]
mod flights_test;
