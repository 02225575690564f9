//! `millpond demo`: a month of real flights through the log, a DSL job and SQL, exactly-once, checked row by row.
//!
//! ```text
//! flights.csv ─ loader ─▶ topic flights ─┬▶ DSL job ─▶ output topics ─┐
//!      │                                 └▶ SQL view ─▶ SELECT ───────┼▶ compared, every row
//!      └────────────────── plain DataFusion over the file ────────────┘
//! ```
//! What is always true: killed at any moment and started again on the same directory, it ends with the same tables and
//! exit code 0; any difference is printed and ends with exit code 1.
//! Where to look next: `load.rs`, `job.rs`, `views.rs` (the SQL), `batch.rs` (the other road), `answer.rs` (comparison).

mod answer;
mod batch;
mod flights;
mod job;
mod load;
mod read_back;
mod report;
mod results;
mod run;
mod topics;
mod views;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use self::flights::FlightsFile;
use self::run::Demo;
use super::node::{self, NodeArgs};

/// Load real flights, run a DSL job and SQL over them exactly-once, and compare every row with a batch query
///
/// Starts an embedded node, loads the flights of January 2013 (built in) into topic `flights`, counts them with a DSL job and with a
/// SQL view, prints the results, and checks each of them against plain DataFusion over the same file. Ends with 1 if a single row differs.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond demo                                    January 2013, in a temporary directory
  millpond demo --flights flights.csv.gz           the full year of nycflights13
  millpond demo --data ./demo                      keep the data; kill it at any moment and run it again
  millpond sql --data ./demo -c 'SHOW VIEWS'       look around afterwards")]
pub(crate) struct DemoArgs {
    /// Flights in nycflights13's columns, plain or gzip [default: January 2013, built in]
    #[arg(long, value_name = "FILE.csv[.gz]")]
    flights: Option<PathBuf>,

    /// Directory that keeps log and state; what is there is continued [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(flatten)]
    node: NodeArgs,

    /// Bytes of committed changes that state may lag behind in memory, per task; for crash tests
    #[arg(long, value_name = "BYTES", hide = true)]
    state_lag_bytes: Option<usize>,

    /// Bytes a job takes in at a time, and has uncommitted when it commits, at most; for crash tests, which count commits
    #[arg(long, value_name = "BYTES", hide = true)]
    commit_bytes: Option<usize>,
}

/// Runs the demo.
pub(crate) async fn run(args: DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = FlightsFile::open(args.flights.as_deref())?;
    let home = Home::open(args.data.as_deref())?;
    let broker = node::start(home.path(), &args.node).await?;
    note(&format!("node: log and state in {}", home.path().display()));
    let demo = Demo {
        broker: &broker,
        file: &file,
        data: home.path(),
        state_lag_bytes: args.state_lag_bytes,
        commit_bytes: args.commit_bytes,
    };
    let outcome = demo.run(out).await;
    let stopped = broker.shutdown().await.context("cannot stop the node");
    outcome.and(stopped)?;
    if let Home::Kept(path) = home {
        writeln!(
            out,
            "\nnext: millpond sql --data {} -c 'SHOW VIEWS'",
            path.display()
        )?;
    }
    Ok(())
}

/// Where the demo's data lives.
enum Home {
    /// Removed at the end.
    Temporary(tempfile::TempDir),
    /// The user's.
    Kept(PathBuf),
}

impl Home {
    fn open(data: Option<&Path>) -> anyhow::Result<Home> {
        Ok(match data {
            Some(path) => Home::Kept(path.to_path_buf()),
            None => Home::Temporary(tempfile::tempdir().context("cannot create a temporary directory")?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Home::Temporary(folder) => folder.path(),
            Home::Kept(path) => path,
        }
    }
}

/// A line for whoever watches; never on stdout.
fn note(line: &str) {
    // Nobody is left to tell when stderr is gone; the work goes on.
    let _unheard = writeln!(std::io::stderr(), "{line}");
}
