//! `millpond topic alter`: settings of topics.

use std::io::Write;

use clap::Args;

use super::names::TopicNames;
use crate::cli::config::{self, Change};
use crate::cli::document::{OutputArgs, Shape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::Client;

/// Change settings of topics
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic alter orders -c retention.ms=86400000
  millpond topic alter orders -c cleanup.policy+=compact     add to a list; -= takes away
  millpond topic alter orders -d retention.ms                back to the default
  millpond topic alter -r 'order.*' -c min.insync.replicas=2 --dry-run")]
pub(super) struct AlterArgs {
    #[command(flatten)]
    names: TopicNames,

    /// Set a value
    #[arg(short = 'c', long = "config", alias = "add-config", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Go back to the default
    #[arg(short = 'd', long = "delete", alias = "delete-config", value_name = "KEY")]
    unset: Vec<String>,

    /// Only let the broker check whether it could
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_alter",
    tables: config::CHANGE_TABLES,
};

pub(super) async fn run(args: AlterArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.set.is_empty() && args.unset.is_empty() {
        return Err(Failure::usage("nothing to change")
            .hint("-c KEY=VALUE sets, -d KEY goes back to the default")
            .into());
    }
    let mut changes = args
        .set
        .iter()
        .map(|setting| Change::parse(setting))
        .collect::<Result<Vec<_>, Failure>>()?;
    changes.extend(args.unset.iter().map(|name| Change::unset(name)));
    let mut client = Client::connect(&args.cluster).await?;
    let (topics, missing) = args.names.find(&mut client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| (config::Resource::Topic, topic.name.clone()))
        .collect();
    let document = config::change(
        &mut client,
        &SHAPE,
        &resources,
        &changes,
        args.dry_run,
        &mut failed,
    )
    .await?;
    document.write(&args.output, false, out)?;
    failed.finish()
}
