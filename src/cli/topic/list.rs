//! `millpond topic list`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::names::TopicNames;
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::Client;

/// List topics
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_long_help = "Examples:
  millpond topic list
  millpond topic list -r 'order.*'
  millpond topic list --under-replicated
  millpond topic list --format awk | cut -f1"
)]
pub(super) struct ListArgs {
    #[command(flatten)]
    names: TopicNames,

    /// Also the topics that brokers keep for themselves
    #[arg(short = 'i', long)]
    internal: bool,

    /// Only topics with replicas that lag behind
    #[arg(long, alias = "under-replicated-partitions")]
    under_replicated: bool,

    /// Only topics with partitions that have no leader
    #[arg(long, alias = "unavailable-partitions")]
    offline: bool,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_list",
    tables: &[TableShape {
        name: "topics",
        columns: &[
            Column("topic", Kind::Text, "name"),
            Column("partitions", Kind::Count, "how many"),
            Column("replication_factor", Kind::Count, "copies of each partition"),
            Column(
                "under_replicated",
                Kind::Count,
                "partitions with replicas that lag behind",
            ),
            Column("offline", Kind::Count, "partitions without a leader"),
            Column("internal", Kind::Flag, "whether brokers keep it for themselves"),
        ],
    }],
};

pub(super) async fn run(args: ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let (topics, failures) = args.names.find_or_all(&mut client).await?;
    let mut document = Document::new(&SHAPE);
    let named = !args.names.is_empty();
    for topic in topics {
        let under_replicated = topic
            .partitions
            .iter()
            .filter(|p| p.isr.len() < p.replicas.len())
            .count();
        let offline = topic.partitions.iter().filter(|p| p.leader.is_none()).count();
        let hidden = topic.internal && !args.internal && !named;
        if hidden || (args.under_replicated && under_replicated == 0) || (args.offline && offline == 0) {
            continue;
        }
        document.push(vec![
            json!(topic.name),
            json!(topic.partitions.len()),
            json!(topic.partitions.first().map(|partition| partition.replicas.len())),
            json!(under_replicated),
            json!(offline),
            json!(topic.internal),
        ]);
    }
    document.write(&args.output, false, out)?;
    let mut failed = Failed::default();
    failures.into_iter().for_each(|failure| failed.push(failure));
    failed.finish()
}
