//! `millpond topic describe`.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::names::TopicNames;
use crate::cli::config::{self, Resource};
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::group::committed;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, OffsetAt, Topic, code_name, kafka_failure};

/// Show partitions, settings and readers of topics
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond topic describe orders
  millpond topic describe orders --section partitions,configs,groups
  millpond topic describe -r 'order.*' --under-replicated
  millpond topic describe orders --format json | jq '.partitions[].high_watermark'")]
pub(super) struct DescribeArgs {
    #[command(flatten)]
    names: TopicNames,

    /// What to show
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "summary,partitions,configs"
    )]
    section: Vec<Section>,

    /// Only partitions with replicas that lag behind
    #[arg(long, alias = "under-replicated-partitions")]
    under_replicated: bool,

    /// Only partitions without a leader
    #[arg(long, alias = "unavailable-partitions")]
    offline: bool,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    Summary,
    Partitions,
    Configs,
    Groups,
}

const SUMMARY: usize = 0;
const PARTITIONS: usize = 1;
const CONFIGS: usize = 2;
const GROUPS: usize = 3;

pub(super) static SHAPE: Shape = Shape {
    kind: "topic_describe",
    tables: &[
        TableShape {
            name: "topics",
            columns: &[
                Column("topic", Kind::Text, "name"),
                Column(
                    "topic_id",
                    Kind::Text,
                    "identity: another one after delete and create",
                ),
                Column("internal", Kind::Flag, "whether brokers keep it for themselves"),
                Column("partitions", Kind::Count, "how many"),
                Column("replication_factor", Kind::Count, "copies of each partition"),
                Column("offsets", Kind::Count, "offsets held: at most so many records"),
            ],
        },
        TableShape {
            name: "partitions",
            columns: &[
                Column("topic", Kind::Text, "name"),
                Column("partition", Kind::Count, "number"),
                Column("leader", Kind::Count, "broker that serves it"),
                Column("leader_epoch", Kind::Count, "term of the leader"),
                Column("replicas", Kind::List, "brokers that keep it"),
                Column("isr", Kind::List, "those in sync"),
                Column("offline_replicas", Kind::List, "those that cannot be reached"),
                Column("log_start_offset", Kind::Count, "first offset that can be read"),
                Column("high_watermark", Kind::Count, "offset of the next record"),
                Column("error", Kind::Text, "Kafka's code if it cannot be read"),
            ],
        },
        TableShape {
            name: "configs",
            columns: &[
                Column("topic", Kind::Text, "name"),
                Column("config", Kind::Text, "a setting that is not the default"),
                Column("value", Kind::Text, "what applies"),
                Column("default", Kind::Text, "what would apply without"),
                Column("origin", Kind::Text, "topic, broker, all brokers or broker file"),
            ],
        },
        TableShape {
            name: "groups",
            columns: &[
                Column("topic", Kind::Text, "name"),
                Column("group", Kind::Text, "a group with offsets on it"),
                Column("partitions", Kind::Count, "how many have an offset"),
                Column("lag", Kind::Count, "records it has not read"),
            ],
        },
    ],
};

pub(super) async fn run(args: DescribeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let (topics, missing) = args.names.find_or_all(&mut client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let shown = |section| args.section.contains(&section);
    let mut document = Document::new(&SHAPE);
    let offsets_wanted = shown(Section::Summary) || shown(Section::Partitions);
    let starts = client
        .offsets(&topics, OffsetAt::Start, |_, _| offsets_wanted)
        .await?;
    let ends = client
        .offsets(&topics, OffsetAt::End, |_, _| {
            offsets_wanted || shown(Section::Groups)
        })
        .await?;
    for topic in &topics {
        if shown(Section::Summary) && !args.under_replicated && !args.offline {
            let held: i64 = topic
                .partitions
                .iter()
                .map(|partition| (topic.name.clone(), partition.id))
                .filter_map(|key| Some(ends.get(&key)?.offset? - starts.get(&key)?.offset?))
                .sum();
            document.push_to(
                SUMMARY,
                vec![
                    json!(topic.name),
                    json!(topic.id),
                    json!(topic.internal),
                    json!(topic.partitions.len()),
                    json!(topic.partitions.first().map(|partition| partition.replicas.len())),
                    json!(held),
                ],
            );
        }
        for partition in topic.partitions.iter().filter(|_| shown(Section::Partitions)) {
            if (args.under_replicated && partition.isr.len() >= partition.replicas.len())
                || (args.offline && partition.leader.is_some())
            {
                continue;
            }
            let key = (topic.name.clone(), partition.id);
            let error = ends.get(&key).map(|spot| spot.error).filter(|error| *error != 0);
            document.push_to(
                PARTITIONS,
                vec![
                    json!(topic.name),
                    json!(partition.id),
                    json!(partition.leader),
                    json!(partition.leader_epoch),
                    json!(partition.replicas),
                    json!(partition.isr),
                    json!(partition.offline),
                    json!(starts.get(&key).and_then(|spot| spot.offset)),
                    json!(ends.get(&key).and_then(|spot| spot.offset)),
                    json!(error.map(code_name)),
                ],
            );
        }
        if shown(Section::Configs) && !args.under_replicated && !args.offline {
            match config::describe(&mut client, Resource::Topic, &topic.name, false).await {
                Ok(entries) => {
                    for entry in entries.into_iter().filter(|entry| entry.origin != "default") {
                        document.push_to(
                            CONFIGS,
                            vec![
                                json!(topic.name),
                                json!(entry.name),
                                json!(entry.value),
                                json!(entry.default),
                                json!(entry.origin),
                            ],
                        );
                    }
                }
                Err(error) => match error.downcast::<crate::cli::failure::Failure>() {
                    Ok(failure) => failed.push(failure),
                    Err(other) => return Err(other),
                },
            }
        }
    }
    if shown(Section::Groups) {
        groups(&mut client, &topics, &ends, &mut document, &mut failed).await?;
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}

async fn groups(
    client: &mut Client,
    topics: &[Topic],
    ends: &BTreeMap<(String, i32), crate::cli::wire::Spot>,
    document: &mut Document,
    failed: &mut Failed,
) -> anyhow::Result<()> {
    for group in crate::cli::group::listed(client).await? {
        if !group.is_of_consumers() {
            continue;
        }
        let offsets = match committed(client, &group.name).await? {
            Ok(offsets) => offsets,
            Err(code) => {
                failed.push(kafka_failure(&format!("group {}", group.name), code, None));
                continue;
            }
        };
        for topic in topics {
            let of_topic: Vec<_> = offsets
                .iter()
                .filter(|((name, _), _)| *name == topic.name)
                .collect();
            if of_topic.is_empty() {
                continue;
            }
            let lag: i64 = of_topic
                .iter()
                .filter_map(|(key, commit)| Some((ends.get(*key)?.offset? - commit.offset).max(0)))
                .sum();
            document.push_to(
                GROUPS,
                vec![
                    json!(topic.name),
                    json!(group.name),
                    json!(of_topic.len()),
                    json!(lag),
                ],
            );
        }
    }
    Ok(())
}
