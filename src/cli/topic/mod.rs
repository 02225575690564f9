//! `millpond topic`: list, describe, create, alter, grow, delete, trim, and offsets.
//!
//! What is always true: a verb that changes something says per topic what happened and ends with 1 if one of them failed; a missing topic is a failure
//! with the near miss as its hint. One file per verb; `names.rs` is how they are told which topics.

mod add_partitions;
mod alter;
mod create;
mod delete;
mod describe;
mod list;
pub(super) mod names;
mod offsets;
mod trim;

use std::io::Write;

use clap::{Args, Subcommand};

use super::document::Shape;
use super::verbs::Flags;

/// List, describe, create, alter, trim and delete topics
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic create orders -p 6 -c retention.ms=604800000
  millpond topic list -r 'order.*' --format json
  millpond topic describe orders --section partitions,configs,groups
  millpond topic alter orders -c retention.ms=86400000 -d cleanup.policy
  millpond topic add-partitions orders --to 12
  millpond topic offsets orders --at @-1h
  millpond topic trim orders -o @-7d --dry-run
  millpond topic delete orders -y")]
pub(crate) struct TopicArgs {
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Create(create::CreateArgs),
    Alter(alter::AlterArgs),
    AddPartitions(add_partitions::AddPartitionsArgs),
    Delete(delete::DeleteArgs),
    Trim(trim::TrimArgs),
    Offsets(offsets::OffsetsArgs),
}

impl TopicArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            TopicCommand::List(args) => Flags::new(&args.cluster, &args.output, &list::SHAPE),
            TopicCommand::Describe(args) => Flags::new(&args.cluster, &args.output, &describe::SHAPE),
            TopicCommand::Create(args) => Flags::new(&args.cluster, &args.output, &create::SHAPE),
            TopicCommand::Alter(args) => Flags::new(&args.cluster, &args.output, &alter::SHAPE),
            TopicCommand::AddPartitions(args) => {
                Flags::new(&args.cluster, &args.output, &add_partitions::SHAPE)
            }
            TopicCommand::Delete(args) => Flags::new(&args.cluster, &args.output, &delete::SHAPE),
            TopicCommand::Trim(args) => Flags::new(&args.cluster, &args.output, &trim::SHAPE),
            TopicCommand::Offsets(args) => Flags::new(&args.cluster, &args.output, &offsets::SHAPE),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![
        ("list", &list::SHAPE),
        ("describe", &describe::SHAPE),
        ("create", &create::SHAPE),
        ("alter", &alter::SHAPE),
        ("add-partitions", &add_partitions::SHAPE),
        ("delete", &delete::SHAPE),
        ("trim", &trim::SHAPE),
        ("offsets", &offsets::SHAPE),
    ]
}

/// Runs the command.
pub(crate) async fn run(args: TopicArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        TopicCommand::List(args) => list::run(args, out).await,
        TopicCommand::Describe(args) => describe::run(args, out).await,
        TopicCommand::Create(args) => create::run(args, out).await,
        TopicCommand::Alter(args) => alter::run(args, out).await,
        TopicCommand::AddPartitions(args) => add_partitions::run(args, out).await,
        TopicCommand::Delete(args) => delete::run(args, out).await,
        TopicCommand::Trim(args) => trim::run(args, out).await,
        TopicCommand::Offsets(args) => offsets::run(args, out).await,
    }
}
