//! `millpond log stats DIR`: what the log files hold, in sums by partition.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use millpond::log::storage::disk_fs::FsDisk;
use millpond::log::storage::dump::{PositionedBatch, SegmentBatches, partition_dirs, segment_files};
use serde_json::{Value, json};

use super::log_dir;
use crate::cli::output::{Format, Grid};
use crate::cli::time::rfc3339;

/// Sum up a log directory by partition: records, sizes, batches, compression, producers, times
///
/// Reads the log files alone, believes no index and takes no lock, so a node may be running. A partition that is damaged ends the command with 1.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond log stats ./demo
  millpond log stats ./demo/log/flights-0 --format json
  millpond log stats ./demo --format csv > sizes.csv")]
pub(crate) struct StatsArgs {
    /// A data directory, the log in it, or one partition (DIR/log/flights-0)
    dir: PathBuf,

    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Sums of a partition.
#[derive(Debug, Default)]
struct Sums {
    segments: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    /// Bytes of records as they are when unpacked.
    unpacked: u64,
    tombstones: u64,
    keyed: u64,
    transactional: u64,
    control: u64,
    record_max: usize,
    codecs: BTreeSet<String>,
    producers: BTreeSet<i64>,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
    first_time: Option<i64>,
    last_time: Option<i64>,
}

impl Sums {
    fn add(&mut self, found: &PositionedBatch) -> anyhow::Result<()> {
        let header = found.batch.header();
        self.batches += 1;
        self.bytes += found.batch.bytes().len() as u64;
        self.transactional += u64::from(header.is_transactional());
        self.control += u64::from(header.is_control());
        self.codecs.insert(header.compression().to_string());
        if header.producer_id().is_some() {
            self.producers.insert(header.producer_id().get());
        }
        self.first_offset.get_or_insert(header.base_offset().get());
        self.last_offset = Some(header.last_offset().get());
        let decoded = found.batch.decode()?;
        self.unpacked += decoded.records().len() as u64;
        for record in decoded.iter() {
            let record = record?;
            if header.is_control() {
                continue;
            }
            self.records += 1;
            self.keyed += u64::from(record.key.is_some());
            self.tombstones += u64::from(record.value.is_none());
            let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            self.record_max = self.record_max.max(size);
            if record.timestamp >= 0 {
                self.first_time = Some(
                    self.first_time
                        .map_or(record.timestamp, |first| first.min(record.timestamp)),
                );
                self.last_time = Some(
                    self.last_time
                        .map_or(record.timestamp, |last| last.max(record.timestamp)),
                );
            }
        }
        Ok(())
    }

    fn row(&self, partition: &str) -> Vec<Value> {
        let per = |sum: u64, count: u64| match count {
            0 => Value::Null,
            count => json!((sum as f64 / count as f64 * 100.0).round() / 100.0),
        };
        vec![
            json!(partition),
            json!(self.segments),
            json!(self.batches),
            json!(self.records),
            json!(self.bytes),
            json!(self.first_offset),
            json!(self.last_offset),
            per(self.records, self.batches - self.control.min(self.batches)),
            per(self.bytes, self.records),
            per(self.unpacked, self.bytes),
            json!(self.codecs.iter().cloned().collect::<Vec<_>>().join(",")),
            json!(self.record_max),
            json!(self.keyed),
            json!(self.tombstones),
            json!(self.producers.len()),
            json!(self.transactional),
            json!(self.control),
            json!(self.first_time.map(rfc3339)),
            json!(self.last_time.map(rfc3339)),
        ]
    }
}

/// Runs the command.
pub(super) fn run(args: &StatsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let disk = FsDisk::shared();
    let dir = log_dir(&args.dir)?;
    let mut partitions = partition_dirs(&*disk, &dir)?;
    if partitions.is_empty() {
        // Perhaps one partition was meant: then it is among its parent's.
        let parent = dir.parent().unwrap_or(Path::new("."));
        partitions = partition_dirs(&*disk, parent)?
            .into_iter()
            .filter(|(_, path)| *path == dir)
            .collect();
    }
    let mut grid = Grid::new([
        "partition",
        "segments",
        "batches",
        "records",
        "bytes",
        "first_offset",
        "last_offset",
        "records_per_batch",
        "bytes_per_record",
        "unpacked_ratio",
        "compression",
        "record_bytes_max",
        "with_key",
        "tombstones",
        "producers",
        "transactional_batches",
        "control_batches",
        "first_timestamp",
        "last_timestamp",
    ]);
    for (partition, path) in partitions {
        let mut sums = Sums::default();
        for (_, log) in segment_files(&*disk, &path)? {
            sums.segments += 1;
            for batch in SegmentBatches::open(&*disk, &log)? {
                batch
                    .map_err(anyhow::Error::from)
                    .and_then(|batch| sums.add(&batch))
                    .with_context(|| format!("{} is damaged", log.display()))?;
            }
        }
        grid.push(sums.row(&partition.to_string()));
    }
    grid.write(args.format, out)
}
