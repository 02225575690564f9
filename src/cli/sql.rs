//! `millpond sql`: statements over the data of an embedded node.
//!
//! What is always true: rows alone go to stdout, messages (`created stream …`) and errors to stderr; statements run in order and the
//! first that fails ends the command with exit code 1. A query with `EMIT CHANGES` prints rows as they come, until its
//! LIMIT or Ctrl-C. Where to look next: `output.rs` for the formats, `millpond_sql` for what the statements mean.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use millpond::sql::{ChangeStream, SqlEngine, SqlOptions, StatementResult};

use super::arrow_grid::grid_of;
use super::failure::ErrorStyle;
use super::node::{self, NodeArgs};
use super::output::{Format, Grid};
use super::restore_bar;
use super::sql_failure::sql_failure;

/// Run SQL over the topics and views of a data directory
///
/// Starts an embedded node on the directory, resumes its views, runs the statements in order and stops the node again.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond sql --data ./demo -c 'SHOW STREAMS; SHOW VIEWS'
  millpond sql --data ./demo -c \"SELECT * FROM departures_hourly WHERE origin = 'JFK' ORDER BY window_start LIMIT 5\"
  millpond sql --data ./demo -f report.sql --format csv > report.csv
  millpond sql --data ./demo -c 'SELECT carrier, COUNT(*) FROM flights GROUP BY carrier' --format json
  echo 'SHOW TABLES' | millpond sql --data ./demo -f -

Errors go to stderr and end the command with exit code 1, wrong usage with 2. With --format json the error is the last line:
  {\"error\": {\"kind\", \"message\", \"line\", \"column\", \"detail\", \"hint\"}}
where kind is syntax, name, unsupported, invalid, runtime, usage or failed, and what is not known is null.")]
#[group(skip)]
pub(crate) struct SqlArgs {
    /// Data directory; created if it is missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    #[command(flatten)]
    script: Script,

    /// How rows are written; with json, errors are JSON objects too
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    #[command(flatten)]
    node: NodeArgs,
}

/// Where the statements come from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Script {
    /// Statements, separated by semicolons
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    command: Option<String>,

    /// File with statements; - reads stdin
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl SqlArgs {
    /// How errors are written.
    pub(super) fn error_style(&self) -> ErrorStyle {
        match self.format {
            Format::Json => ErrorStyle::SqlJson,
            Format::Table | Format::Csv => ErrorStyle::Text,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: SqlArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let script = args.script.read()?;
    let broker = node::start(&args.data, &args.node).await?;
    let outcome = statements(&broker, &args, &script, out).await;
    let stopped = broker.shutdown().await.context("cannot stop the node");
    outcome.and(stopped)
}

async fn statements(
    broker: &millpond::log::broker::Broker,
    args: &SqlArgs,
    script: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let options = SqlOptions {
        on_restore: Some(restore_bar::listener()),
        ..SqlOptions::new(broker, node::state_dir(&args.data))
    };
    let engine = SqlEngine::open(options).await.map_err(sql_failure)?;
    let outcome = match engine.execute(script).await {
        Ok(results) => write_all(results, args.format, out).await,
        Err(error) => Err(sql_failure(error)),
    };
    let stopped = engine.shutdown().await.map_err(sql_failure);
    outcome.and(stopped)
}

async fn write_all(results: Vec<StatementResult>, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    for result in results {
        match result {
            StatementResult::Rows { schema, batches } => grid_of(&schema, &batches)?.write(format, out)?,
            StatementResult::Stream(stream) => follow(stream, format, out).await?,
            StatementResult::Message(message) => {
                // Nobody is left to tell when stderr is gone; what was done stays done.
                let _unheard = writeln!(std::io::stderr(), "{message}");
            }
        }
    }
    Ok(())
}

/// Writes rows as they come; a header once, where the format has one.
async fn follow(mut stream: ChangeStream, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    let schema = stream.schema().clone();
    let mut first = true;
    loop {
        let rows = tokio::select! {
            rows = stream.next() => rows,
            stop = tokio::signal::ctrl_c() => return stop.context("cannot wait for Ctrl-C"),
        };
        let Some(rows) = rows else { return Ok(()) };
        let grid: Grid = grid_of(&schema, &[rows.map_err(sql_failure)?])?;
        grid.write_part(format, first, out)?;
        out.flush()?;
        first = false;
    }
}

impl Script {
    fn read(&self) -> anyhow::Result<String> {
        match (&self.command, &self.file) {
            (Some(command), _) => Ok(command.clone()),
            (None, Some(path)) if path == Path::new("-") => {
                let mut script = String::new();
                std::io::stdin()
                    .read_to_string(&mut script)
                    .context("cannot read statements from stdin")?;
                Ok(script)
            }
            (None, Some(path)) => {
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
            }
            (None, None) => anyhow::bail!("neither -c nor -f was given"),
        }
    }
}
