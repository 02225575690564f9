//! `millpond group`: list, describe with lag, seek, delete.
//!
//! What is always true: classic groups and those of the newer protocol (KIP-848) look the same here; lag is told in records and in seconds, where
//! seconds are the age of the oldest record that the group has not read. `model.rs` asks the cluster, one file per verb prints.

mod delete;
mod describe;
mod list;
mod model;
mod seek;
pub(super) mod selection;

pub(super) use self::model::{committed, listed};
pub(super) use self::seek::read_offsets;

use std::io::Write;

use clap::{Args, Subcommand};
use regex::Regex;

use super::document::Shape;
use super::failure::Failure;
use super::near::did_you_mean;
use super::topic::names::whole;
use super::verbs::Flags;
use super::wire::Client;

/// List, describe, seek and delete consumer groups
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond group list --state stable
  millpond group describe payments              lag in records and seconds, by partition
  millpond group describe -r 'pay.*' --watch
  millpond group seek payments --to start --dry-run
  millpond group seek payments --to @-1h --topics orders,returns:0-3 -y
  millpond group delete payments -y")]
pub(crate) struct GroupArgs {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Seek(seek::SeekArgs),
    Delete(delete::DeleteArgs),
}

impl GroupArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            GroupCommand::List(args) => Flags::new(&args.cluster, &args.output, &list::SHAPE),
            GroupCommand::Describe(args) => Flags::new(&args.cluster, &args.output, &describe::SHAPE),
            GroupCommand::Seek(args) => Flags::new(&args.cluster, &args.output, &seek::SHAPE),
            GroupCommand::Delete(args) => Flags::new(&args.cluster, &args.output, &delete::SHAPE),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![
        ("list", &list::SHAPE),
        ("describe", &describe::SHAPE),
        ("seek", &seek::SHAPE),
        ("delete", &delete::SHAPE),
    ]
}

/// Runs the command.
pub(crate) async fn run(args: GroupArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        GroupCommand::List(args) => list::run(args, out).await,
        GroupCommand::Describe(args) => describe::run(args, out).await,
        GroupCommand::Seek(args) => seek::run(args, out).await,
        GroupCommand::Delete(args) => delete::run(args, out).await,
    }
}

/// Groups by name, or by a regular expression that matches whole names.
#[derive(Debug, Args)]
#[group(skip)]
struct GroupNames {
    /// Names of groups
    #[arg(value_name = "GROUP")]
    names: Vec<String>,

    /// Groups whose whole name matches this
    #[arg(short = 'r', long = "regex", value_name = "RE")]
    regex: Option<String>,

    /// Kafka's way to name the group
    #[arg(short = 'g', long = "group", value_name = "GROUP", hide = true)]
    kafka_names: Vec<String>,
}

impl GroupNames {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.kafka_names.is_empty() && self.regex.is_none()
    }

    fn regex(&self) -> Result<Option<Regex>, Failure> {
        self.regex.as_deref().map(whole).transpose()
    }

    /// The groups that are meant; each that is missing is a failure of its own.
    async fn find(&self, client: &mut Client) -> anyhow::Result<(Vec<model::Listed>, Vec<Failure>)> {
        if self.is_empty() {
            return Err(Failure::usage("no group is named")
                .hint("name groups, or choose them by -r RE")
                .into());
        }
        let all = listed(client).await?;
        let regex = self.regex()?;
        let mut failures = Vec::new();
        for name in self.names.iter().chain(&self.kafka_names) {
            if !all.iter().any(|group| group.name == *name) {
                failures.push(missing(name, &all));
            }
        }
        let found: Vec<_> = all
            .into_iter()
            .filter(|group| {
                self.names.contains(&group.name)
                    || self.kafka_names.contains(&group.name)
                    || regex.as_ref().is_some_and(|regex| regex.is_match(&group.name))
            })
            .collect();
        if let (Some(regex), true, true) = (&self.regex, found.is_empty(), failures.is_empty()) {
            failures.push(
                Failure::failed(format!("no group matches {regex}"))
                    .hint("the whole name must match; `millpond group list` shows what there is"),
            );
        }
        Ok((found, failures))
    }
}

fn missing(name: &str, all: &[model::Listed]) -> Failure {
    super::wire::kafka_failure(&format!("group {name}"), 69, None).hint(did_you_mean(
        name,
        all.iter().map(|group| group.name.as_str()),
        "group list",
    ))
}
