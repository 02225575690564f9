//! The command line: one file per command, one contract for flags, output, exit codes and errors.
//!
//! What is always true: a command returns `anyhow::Result<()>` and never prints an error or exits by itself; data goes
//! through the writer it is given (stdout), so that a broken pipe comes back as an error and ends with exit code 0.
//! Where to look next: `failure.rs` (exit codes, `error:` and `hint:`), `output.rs` (`--format`), then a command.

#[cfg(feature = "sql")]
mod arrow_grid;
mod cluster;
mod config;
mod confirm;
mod consume;
mod document;
mod early;
mod failed;
mod failure;
mod group;
mod help;
mod interrupt;
mod log;
mod near;
#[cfg(feature = "sql")]
mod node;
mod offsets;
mod output;
mod perf;
mod produce;
mod profile;
mod rdkafka_error;
mod settings;
mod start;
mod summary;
mod template;
mod time;
mod topic;
mod txn;
mod watch;
mod wire;

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

use clap::{CommandFactory, Parser, Subcommand};

use self::document::{DocumentFormat, OutputArgs, Shape};
use self::failure::{ErrorStyle, Failure};
use self::settings::ClusterArgs;

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
    Topic(topic::TopicArgs),
    Produce(produce::ProduceArgs),
    Consume(consume::ConsumeArgs),
    Group(group::GroupArgs),
    Config(config::ConfigArgs),
    Cluster(cluster::ClusterCommandArgs),
    Txn(txn::TxnArgs),
    Perf(perf::PerfArgs),
    Profile(profile::ProfileArgs),
    Cheat(help::CheatArgs),
    Completions(help::CompletionsArgs),
    Man(help::ManArgs),
    Help(help::HelpArgs),
}

/// What every verb for clusters is told, for what is done before it runs.
#[derive(Clone, Copy, Debug, Default)]
struct Flags<'a> {
    cluster: Option<&'a ClusterArgs>,
    output: Option<(OutputArgs, &'static Shape)>,
}

impl<'a> Flags<'a> {
    fn new(cluster: &'a ClusterArgs, output: &OutputArgs, shape: &'static Shape) -> Flags<'a> {
        Flags {
            cluster: Some(cluster),
            output: Some((*output, shape)),
        }
    }
}

impl Command {
    fn flags(&self) -> Flags<'_> {
        match self {
            Command::Produce(args) => args.flags(),
            Command::Consume(args) => Flags::new(args.cluster(), &args.output(), &consume::SHAPE),
            Command::Topic(args) => args.flags(),
            Command::Group(args) => args.flags(),
            Command::Config(args) => args.flags(),
            Command::Cluster(args) => args.flags(),
            Command::Txn(args) => args.flags(),
            Command::Perf(args) => args.flags(),
            Command::Profile(args) => Flags {
                cluster: None,
                output: args.output(),
            },
            _ => Flags::default(),
        }
    }

    /// Whoever asks for rows as JSON is a program, and gets errors it can read as well.
    fn error_style(&self) -> ErrorStyle {
        match self {
            #[cfg(feature = "sql")]
            Command::Sql(args) => args.error_style(),
            other => match other.flags().output {
                Some((output, _)) if output.format == DocumentFormat::Json => ErrorStyle::Json,
                _ => ErrorStyle::Text,
            },
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
        Err(refused) => {
            let words: Vec<String> = std::env::args().skip(1).collect();
            match early::Question::find(&refused, &words) {
                Some(question) => (ErrorStyle::Text, question.answer(&mut out)),
                None => refused.exit(),
            }
        }
    };
    let outcome = outcome.and_then(|()| out.flush().map_err(Into::into));
    failure::exit_code(outcome, style, &mut std::io::stderr().lock())
}

fn run(command: Command, out: &mut dyn Write) -> anyhow::Result<()> {
    let flags = command.flags();
    if flags.cluster.is_some_and(settings::wants_list) {
        return settings::write_list(out);
    }
    if let Some((output, shape)) = flags.output
        && output.format == DocumentFormat::Help
    {
        return shape.write_help(out).map_err(Into::into);
    }
    match command {
        Command::Start(args) => block_on(start::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Demo(args) => block_on(demo::run(args, out)),
        #[cfg(feature = "sql")]
        Command::Sql(args) => block_on(sql::run(args, out)),
        Command::Log(args) => log::run(args, out),
        Command::Topic(args) => until_interrupted(topic::run(args, out)),
        Command::Produce(args) => block_on(produce::run(args, out)),
        Command::Consume(args) if args.handles_interrupt() => block_on(consume::run(args, out)),
        Command::Consume(args) => until_interrupted(consume::run(args, out)),
        Command::Group(args) => until_interrupted(group::run(args, out)),
        Command::Config(args) => until_interrupted(config::run(args, out)),
        Command::Cluster(args) => until_interrupted(cluster::run(args, out)),
        Command::Txn(args) => until_interrupted(txn::run(args, out)),
        Command::Perf(args) => block_on(perf::run(args, out)),
        Command::Profile(args) => profile::run(args, out),
        Command::Cheat(args) => help::cheat(args, out),
        Command::Completions(args) => help::completions(args, Cli::command(), out),
        Command::Man(args) => help::man(args, Cli::command()),
        Command::Help(args) => help::run(args, Cli::command(), out),
    }
}

/// Drives a command that may be dropped at any point, as one that asks a cluster, until it ends or Ctrl-C comes.
fn until_interrupted(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    block_on(async {
        tokio::select! {
            outcome = command => outcome,
            pressed = tokio::signal::ctrl_c() => {
                pressed.map_err(|error| anyhow::anyhow!("cannot wait for Ctrl-C: {error}"))?;
                Err(Failure::interrupted().into())
            }
        }
    })
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
