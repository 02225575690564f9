//! `millpond cluster health`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::watch::{Look, WatchArgs, show};
use crate::cli::wire::{Client, reach};

/// Check that all brokers answer and all partitions have leaders and copies
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond cluster health && echo well
  millpond cluster health --watch=5
  millpond cluster health --watch --until-healthy     waits, and ends with 0 as soon as all is well

Ends with 0 if the cluster is healthy, with 1 if something is wrong, with 3 if it cannot be reached.")]
pub(super) struct HealthArgs {
    /// With --watch: end as soon as the cluster is healthy
    #[arg(long, requires = "watch", alias = "exit-when-healthy")]
    until_healthy: bool,

    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "cluster_health",
    tables: &[
        TableShape {
            name: "health",
            columns: &[
                Column("healthy", Kind::Flag, "whether nothing is wrong"),
                Column("controller", Kind::Count, "broker that passes on changes"),
                Column("brokers", Kind::Count, "how many the cluster knows"),
                Column("unreachable", Kind::List, "brokers that do not answer"),
                Column("offline", Kind::Count, "partitions without a leader"),
                Column(
                    "under_replicated",
                    Kind::Count,
                    "partitions with replicas that lag behind",
                ),
            ],
        },
        TableShape {
            name: "problems",
            columns: &[Column("problem", Kind::Text, "what is wrong")],
        },
    ],
};

/// Partitions named as problems; the counts tell the rest.
const NAMED_MAX: usize = 20;

pub(super) async fn run(args: HealthArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let until_healthy = args.until_healthy;
    show(
        &args.cluster,
        args.watch,
        &args.output,
        out,
        |mut client| async move {
            let look = look(&mut client, until_healthy).await;
            (client, look)
        },
    )
    .await
}

async fn look(client: &mut Client, until_healthy: bool) -> anyhow::Result<Look> {
    let topics = client.topics(None).await?;
    let mut problems = Vec::new();
    let mut unreachable = Vec::new();
    for node in client.nodes.keys().copied().collect::<Vec<_>>() {
        if let Err(error) = reach(client, node).await {
            unreachable.push(node);
            problems.push(error.to_string());
        }
    }
    if client.controller.is_none() {
        problems.push("no controller: topics cannot be created or changed".to_owned());
    }
    let mut offline = 0_usize;
    let mut under_replicated = 0_usize;
    for topic in &topics {
        for partition in &topic.partitions {
            let name = format!("{}-{}", topic.name, partition.id);
            if partition.leader.is_none() {
                offline += 1;
                if offline <= NAMED_MAX {
                    problems.push(format!(
                        "{name} has no leader; its replicas are on brokers {:?}",
                        partition.replicas
                    ));
                }
            } else if partition.isr.len() < partition.replicas.len() {
                under_replicated += 1;
                if under_replicated <= NAMED_MAX {
                    problems.push(format!(
                        "{name} is in sync on {:?} of {:?}",
                        partition.isr, partition.replicas
                    ));
                }
            }
        }
    }
    let healthy = problems.is_empty();
    let mut document = Document::new(&SHAPE);
    document.push_to(
        0,
        vec![
            json!(healthy),
            json!(client.controller),
            json!(client.nodes.len()),
            json!(unreachable),
            json!(offline),
            json!(under_replicated),
        ],
    );
    let count = problems.len();
    for problem in problems {
        document.push_to(1, vec![json!(problem)]);
    }
    let outcome = if healthy {
        Ok(())
    } else {
        Err(Failure::failed(format!("the cluster is not healthy: {count} problems")).into())
    };
    Ok(Look {
        document,
        enough: healthy && until_healthy,
        outcome,
    })
}
