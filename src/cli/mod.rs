//! The command line: one file per command, one contract for flags, output, exit codes and errors.
//!
//! What is always true: a command returns `anyhow::Result<()>` and never prints an error or exits by itself; data goes
//! through the writer it is given (stdout), so that a broken pipe comes back as an error and ends with exit code 0.
//! Where to look next: `failure.rs` (exit codes, `error:` and `hint:`), `output.rs` (`--format`), then a command.

#[cfg(feature = "sql")]
mod arrow_grid;
mod failure;
mod log;
#[cfg(feature = "sql")]
mod node;
mod output;
mod start;

#[cfg(feature = "sql")]
mod demo;
#[cfg(feature = "sql")]
mod progress;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql")]
mod sql_failure;

use std::io::{BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::ErrorStyle;

/// A Kafka-compatible log, a streams DSL and streaming SQL in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "millpond",
    version,
    max_term_width = 110,
    after_help = "Start with `millpond demo`. `millpond COMMAND --help` shows examples."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Start(start::StartArgs),
    #[cfg(feature = "sql")]
    Demo(demo::DemoArgs),
    #[cfg(feature = "sql")]
    Sql(sql::SqlArgs),
    Log(log::LogArgs),
}

impl Command {
    /// Whoever asks for rows as JSON is a program, and gets errors it can read as well.
    fn error_style(&self) -> ErrorStyle {
        match self {
            #[cfg(feature = "sql")]
            Command::Sql(args) => args.error_style(),
            _ => ErrorStyle::Text,
        }
    }
}

/// Runs the command line of this process and returns its exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let style = cli.command.error_style();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = run(cli.command, &mut out).and_then(|()| out.flush().map_err(Into::into));
    failure::exit_code(outcome, style, &mut std::io::stderr().lock())
}

fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        Command::Start(args) => block_on(start::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Demo(args) => block_on(demo::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Sql(args) => block_on(sql::run(args, out)),
        Command::Log(args) => log::run(args, out),
    }
}

/// Drives an async command on a runtime of its own; there is no hidden runtime before or after it.
fn block_on<T>(command: impl std::future::Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("millpond")
        .build()
        .map_err(|error| anyhow::anyhow!("cannot start the async runtime: {error}"))?;
    runtime.block_on(command)
}

/// Diagnostics go to stderr; `MILLPOND_LOG` takes tracing's filter syntax (`info`, `millpond_log=debug`).
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_env_var("MILLPOND_LOG")
        .with_default_directive(tracing::level_filters::LevelFilter::WARN.into())
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_is_declared_consistently() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
