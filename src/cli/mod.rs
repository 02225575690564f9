//! The command line: one file per command, one contract for flags, output, exit codes and errors.
//!
//! What is always true: a command returns `anyhow::Result<()>` and never prints an error or exits by itself; data goes
//! through the writer it is given (stdout), so that a broken pipe comes back as an error and ends with exit code 0.
//! Where to look next: `failure.rs` (exit codes, `error:` and `hint:`), `output.rs` (`--format`), then a command.

#[cfg(feature = "sql")]
mod arrow_grid;
#[cfg(feature = "clients")]
mod document;
#[cfg_attr(
    not(feature = "clients"),
    allow(dead_code, reason = "most of it is for the verbs for clusters")
)]
mod failure;
mod help;
mod log;
#[cfg_attr(
    not(feature = "clients"),
    allow(dead_code, reason = "most of it is for the verbs for clusters")
)]
mod near;
#[cfg(feature = "sql")]
mod node;
mod output;
mod start;
#[cfg_attr(
    not(feature = "clients"),
    allow(dead_code, reason = "most of it is for the verbs for clusters")
)]
mod time;

#[cfg(feature = "clients")]
mod cluster;
#[cfg(feature = "clients")]
mod config;
#[cfg(feature = "clients")]
mod confirm;
#[cfg(feature = "clients")]
mod consume;
#[cfg(feature = "clients")]
mod early;
#[cfg(feature = "clients")]
mod failed;
#[cfg(feature = "clients")]
mod group;
#[cfg(feature = "clients")]
mod interrupt;
#[cfg(feature = "clients")]
mod offsets;
#[cfg(feature = "clients")]
mod perf;
#[cfg(feature = "clients")]
mod produce;
#[cfg(feature = "clients")]
mod profile;
#[cfg(feature = "clients")]
mod rdkafka_error;
#[cfg(feature = "clients")]
mod settings;
#[cfg(feature = "clients")]
mod streams;
#[cfg(feature = "clients")]
mod summary;
#[cfg(feature = "clients")]
mod template;
#[cfg(feature = "clients")]
mod topic;
#[cfg(feature = "clients")]
mod txn;
#[cfg(feature = "clients")]
mod verbs;
#[cfg(feature = "clients")]
mod watch;
#[cfg(feature = "clients")]
mod wire;

#[cfg(feature = "sql")]
mod demo;
#[cfg(feature = "sql")]
mod progress;
#[cfg(feature = "sql")]
mod restore_bar;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql")]
mod sql_failure;

use std::io::{BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::failure::ErrorStyle;

/// A Kafka-compatible log, a streams DSL and streaming SQL in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "millpond",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
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
    #[cfg(feature = "clients")]
    #[command(flatten)]
    OfClusters(verbs::Verb),
    Cheat(help::CheatArgs),
    Completions(help::CompletionsArgs),
    Man(help::ManArgs),
    Help(help::HelpArgs),
}

impl Command {
    /// Whoever asks for rows as JSON is a program, and gets errors it can read as well.
    fn error_style(&self) -> ErrorStyle {
        match self {
            #[cfg(feature = "sql")]
            Command::Sql(args) => args.error_style(),
            #[cfg(feature = "clients")]
            Command::OfClusters(verb) => verb.error_style(),
            _ => ErrorStyle::Text,
        }
    }
}

/// Runs the command line of this process and returns its exit code.
pub(crate) fn main() -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (style, outcome) = match Cli::try_parse() {
        Ok(cli) => {
            start_logging();
            (cli.command.error_style(), run(cli.command, &mut out))
        }
        Err(refused) => answered_early(refused, &mut out),
    };
    let outcome = outcome.and_then(|()| out.flush().map_err(Into::into));
    failure::exit_code(outcome, style, &mut std::io::stderr().lock())
}

/// Some questions are answered although the rest of the command line is missing, `--format help` for one.
#[cfg(feature = "clients")]
fn answered_early(refused: clap::Error, out: &mut dyn Write) -> (ErrorStyle, anyhow::Result<()>) {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match early::Question::find(&refused, &words) {
        Some(question) => (ErrorStyle::Text, question.answer(out)),
        None => refused.exit(),
    }
}

#[cfg(not(feature = "clients"))]
fn answered_early(refused: clap::Error, _out: &mut dyn Write) -> (ErrorStyle, anyhow::Result<()>) {
    refused.exit()
}

fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        Command::Start(args) => block_on(start::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Demo(args) => block_on(demo::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Sql(args) => block_on(sql::run(args, out)),
        Command::Log(args) => log::run(args, out),
        #[cfg(feature = "clients")]
        Command::OfClusters(verb) => verb.run(out),
        Command::Cheat(args) => help::cheat(args, out),
        Command::Completions(args) => help::completions(args, Cli::command(), out),
        Command::Man(args) => help::man(args, Cli::command()),
        Command::Help(args) => help::run(args, Cli::command(), out),
    }
}

/// Drives an async command on a runtime of its own; there is no hidden runtime before or after it.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
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
        Cli::command().debug_assert();
    }
}
