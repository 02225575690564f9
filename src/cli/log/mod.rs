//! `millpond log`: the files of a node, laid open (`dump.rs`), summed up (`stats.rs`) and held against themselves (`verify.rs`).
//!
//! What is always true: nothing is changed, whatever is found.

mod dump;
mod stats;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::Failure;

/// Where the log lies in a data directory.
pub(crate) const LOG_FOLDER: &str = "log";

/// Read the files of a log directory: dump or sum up their records, or verify everything derived from them
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond log verify ./demo                      rebuild every derived file in memory and compare
  millpond log dump ./demo --format json | head   one line a record
  millpond log dump ./demo/log/flights-0 --batches
  millpond log stats ./demo                       records, sizes, compression, producers by partition")]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    Dump(dump::DumpArgs),
    Verify(verify::VerifyArgs),
    Stats(stats::StatsArgs),
}

/// Runs the command.
pub(crate) fn run(args: LogArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        LogCommand::Dump(args) => dump::run(&args, out),
        LogCommand::Verify(args) => verify::run(&args, out),
        LogCommand::Stats(args) => stats::run(&args, out),
    }
}

/// The log directory meant by `dir`: itself, or the log inside a data directory.
fn log_dir(dir: &Path) -> anyhow::Result<PathBuf> {
    if !dir.is_dir() {
        return Err(Failure::failed(format!("{} is no directory", dir.display()))
            .hint("name a data directory of millpond, or the log in it")
            .into());
    }
    let inner = dir.join(LOG_FOLDER);
    Ok(if inner.is_dir() { inner } else { dir.to_path_buf() })
}
