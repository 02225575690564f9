//! `millpond log verify DIR`: rebuilds every derived file from the log files and compares.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use millpond::log::storage::disk_fs::FsDisk;
use millpond::log::storage::verify::{Finding, PartitionReport, verify};
use serde_json::json;

use super::log_dir;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Grid};

/// Rebuild every derived file (indexes, snapshots, checkpoints) from the log files and compare
///
/// Reads every record of every partition, checks every checksum, and compares offset, time and transaction indexes, producer
/// snapshots, leader epochs and recovery points with what the log files say. Ends with 1 if there is a problem; what the next start mends
/// by itself (a torn tail, an index that lags) is a note.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A data directory, or the log in it; no node may be using it
    dir: PathBuf,

    /// How the partitions are listed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let dir = log_dir(&args.dir)?;
    let report =
        verify(&FsDisk::shared(), &dir).with_context(|| format!("cannot verify {}", dir.display()))?;
    let mut grid = Grid::new([
        "partition",
        "segments",
        "batches",
        "records",
        "bytes",
        "from",
        "to",
        "problems",
        "notes",
    ]);
    for PartitionReport {
        partition,
        segments,
        batches,
        records,
        bytes,
        log_start_offset,
        log_end_offset,
        problems,
        notes,
        ..
    } in &report.partitions
    {
        grid.push(vec![
            json!(partition.to_string()),
            json!(segments),
            json!(batches),
            json!(records),
            json!(bytes),
            json!(log_start_offset.get()),
            json!(log_end_offset.get()),
            json!(problems.len()),
            json!(notes.len()),
        ]);
    }
    grid.write(args.format, out)?;
    out.flush()?;
    let mut stderr = std::io::stderr().lock();
    for (word, finding) in report
        .all_notes()
        .map(|note| ("note", note))
        .chain(report.all_problems().map(|problem| ("problem", problem)))
    {
        let Finding { file, what } = finding;
        writeln!(stderr, "{word}: {}: {what}", file.display())?;
    }
    match report.all_problems().count() {
        0 => Ok(()),
        1 => Err(Failure::failed("1 problem, see above").into()),
        count => Err(Failure::failed(format!("{count} problems, see above")).into()),
    }
}
