//! `millpond streams`: what is done to streams applications from outside; so far `reset`.
//!
//! What is always true: an application is its id, as Kafka Streams has it: the group that holds its positions, the prefix of its internal topics and of its transactional
//! ids. So the verbs work on applications of millpond and of Kafka Streams alike, on any cluster, or on a data directory that no node serves now (`target.rs`).

mod internal;
mod place;
mod requests;
mod reset;
mod state;
mod target;

use std::io::Write;

use clap::{Args, Subcommand};

use super::document::Shape;
use super::verbs::Flags;

/// Reset streams applications
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond streams reset --application-id words --dry-run          what would go, nothing done
  millpond streams reset --application-id words --data ./millpond-data -y
  millpond streams reset --application-id words --input-topics lines --by-duration 1h -y")]
pub(crate) struct StreamsArgs {
    #[command(subcommand)]
    command: StreamsCommand,
}

#[derive(Debug, Subcommand)]
enum StreamsCommand {
    Reset(reset::ResetArgs),
}

impl StreamsArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            StreamsCommand::Reset(args) => Flags::new(&args.cluster, &args.output, &reset::SHAPE),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![("reset", &reset::SHAPE)]
}

/// Runs the command.
pub(crate) async fn run(args: StreamsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        StreamsCommand::Reset(args) => reset::run(args, out).await,
    }
}
