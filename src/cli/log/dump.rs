//! `millpond log dump DIR`: the records, or the batches, that the log files hold.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use millpond::log::storage::disk_fs::FsDisk;
use millpond::log::storage::dump::{PositionedBatch, SegmentBatches, partition_dirs, segment_files};
use serde_json::{Value, json};

use super::log_dir;
use crate::cli::output::{Format, Grid};

/// Print the records, or with --batches the batches, of a log directory or of one partition in it
///
/// Reads the log files alone, believes no index and takes no lock: what is printed is what is there. A partition that is damaged is
/// printed up to the damage, and the command ends with 1.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// A data directory, the log in it, or one partition (DIR/log/flights-0)
    dir: PathBuf,

    /// One line a batch instead of one a record
    #[arg(long)]
    batches: bool,

    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Rows gathered before they are written: a table of them fits its columns, and memory stays small.
const ROWS_AT_ONCE: usize = 1000;

/// Runs the command.
pub(super) fn run(args: &DumpArgs, out: &mut dyn Write) -> anyhow::Result<()> {
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
    let mut rows = Rows {
        format: args.format,
        first: true,
        batches: args.batches,
        grid: columns(args.batches),
    };
    for (partition, path) in partitions {
        for (_, log) in segment_files(&*disk, &path)? {
            for batch in SegmentBatches::open(&*disk, &log)? {
                match batch {
                    Ok(batch) => rows.add(&partition.to_string(), &batch, out)?,
                    Err(error) => {
                        rows.flush(out)?;
                        return Err(error).with_context(|| format!("{} is damaged", log.display()));
                    }
                }
            }
        }
    }
    rows.flush(out)
}

fn columns(batches: bool) -> Grid {
    if batches {
        Grid::new([
            "partition",
            "base_offset",
            "last_offset",
            "records",
            "bytes",
            "compression",
            "producer_id",
            "producer_epoch",
            "base_sequence",
            "transactional",
            "control",
            "leader_epoch",
            "max_timestamp",
            "position",
        ])
    } else {
        Grid::new([
            "partition",
            "offset",
            "timestamp",
            "key",
            "value",
            "headers",
            "transactional",
            "control",
        ])
    }
}

/// Rows on their way to the output.
struct Rows {
    format: Format,
    first: bool,
    batches: bool,
    grid: Grid,
}

impl Rows {
    fn add(&mut self, partition: &str, found: &PositionedBatch, out: &mut dyn Write) -> anyhow::Result<()> {
        let header = found.batch.header();
        if self.batches {
            self.grid.push(vec![
                json!(partition),
                json!(header.base_offset().get()),
                json!(header.last_offset().get()),
                json!(header.record_count()),
                json!(found.batch.bytes().len()),
                json!(header.compression().to_string()),
                json!(header.producer_id().get()),
                json!(header.producer_epoch().get()),
                json!(header.base_sequence().get()),
                json!(header.is_transactional()),
                json!(header.is_control()),
                json!(header.leader_epoch().get()),
                json!(header.max_timestamp()),
                json!(found.position),
            ]);
        } else {
            let decoded = found.batch.decode()?;
            for record in decoded.iter() {
                let record = record?;
                let headers: serde_json::Map<String, Value> = record
                    .headers
                    .iter()
                    .map(|header| {
                        (
                            text(header.key),
                            header.value.map_or(Value::Null, |value| json!(text(value))),
                        )
                    })
                    .collect();
                self.grid.push(vec![
                    json!(partition),
                    json!(record.offset.get()),
                    json!(record.timestamp),
                    record.key.map_or(Value::Null, |key| json!(text(key))),
                    record.value.map_or(Value::Null, |value| json!(text(value))),
                    Value::Object(headers),
                    json!(header.is_transactional()),
                    json!(header.is_control()),
                ]);
            }
        }
        if self.grid.len() >= ROWS_AT_ONCE {
            self.flush(out)
        } else {
            Ok(())
        }
    }

    fn flush(&mut self, out: &mut dyn Write) -> anyhow::Result<()> {
        let grid = std::mem::replace(&mut self.grid, columns(self.batches));
        if grid.len() > 0 || self.first {
            grid.write_part(self.format, self.first, out)?;
            self.first = false;
        }
        Ok(())
    }
}

/// Bytes as text: themselves if they are printable UTF-8, else hexadecimal.
fn text(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes
            .iter()
            .fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hexadecimal() {
        assert_eq!(text("JFK"), "JFK");
        assert_eq!(text([0, 1, 255]), "0x0001ff");
        assert_eq!(text("two\nlines"), "0x74776f0a6c696e6573");
    }
}
