//! `millpond cluster info`.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::Client;

/// Show the brokers of a cluster, what they keep, and its features
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond cluster info
  millpond cluster info -b kafka:9092 --format json | jq -r '.brokers[].host'")]
pub(super) struct InfoArgs {
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "cluster_info",
    tables: &[
        TableShape {
            name: "cluster",
            columns: &[
                Column("cluster_id", Kind::Text, "identity"),
                Column("controller", Kind::Count, "broker that passes on changes"),
                Column("brokers", Kind::Count, "how many"),
                Column("topics", Kind::Count, "how many"),
                Column("partitions", Kind::Count, "of all topics"),
            ],
        },
        TableShape {
            name: "brokers",
            columns: &[
                Column("broker", Kind::Count, "id"),
                Column("host", Kind::Text, "as it advertises itself"),
                Column("port", Kind::Count, "as it advertises itself"),
                Column("rack", Kind::Text, "where it stands"),
                Column("leaders", Kind::Count, "partitions it serves"),
                Column("replicas", Kind::Count, "partitions it keeps"),
            ],
        },
        TableShape {
            name: "features",
            columns: &[
                Column("feature", Kind::Text, "name"),
                Column("level", Kind::Count, "as it is finalised"),
            ],
        },
    ],
};

pub(super) async fn run(args: InfoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let topics = client.topics(None).await?;
    let partitions: Vec<_> = topics.iter().flat_map(|topic| &topic.partitions).collect();
    let mut document = Document::new(&SHAPE);
    document.push_to(
        0,
        vec![
            json!(client.cluster_id),
            json!(client.controller),
            json!(client.nodes.len()),
            json!(topics.len()),
            json!(partitions.len()),
        ],
    );
    for node in client.nodes.values() {
        document.push_to(
            1,
            vec![
                json!(node.id),
                json!(node.host),
                json!(node.port),
                node.rack.clone().map_or(Value::Null, Value::from),
                json!(
                    partitions
                        .iter()
                        .filter(|partition| partition.leader == Some(node.id))
                        .count()
                ),
                json!(
                    partitions
                        .iter()
                        .filter(|partition| partition.replicas.contains(&node.id))
                        .count()
                ),
            ],
        );
    }
    for (feature, level) in client.features() {
        document.push_to(2, vec![json!(feature), json!(level)]);
    }
    document.write(&args.output, false, out)
}
