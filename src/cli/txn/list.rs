//! `millpond txn list`: what coordinators know, or with `--hanging` what partitions hold open.

use std::io::Write;

use clap::Args;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::ProducerState;
use kafka_protocol::messages::{DescribeProducersRequest, ListTransactionsRequest, TopicName};
use serde_json::json;

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::failure::Failure;
use crate::cli::settings::ClusterArgs;
use crate::cli::time::duration_ms;
use crate::cli::topic::names::{the_topic, whole};
use crate::cli::wire::{Client, To, Topic, kafka_failure, text};

/// List transactional ids, or the transactions that partitions hold open
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_long_help = "Examples:
  millpond txn list
  millpond txn list --state ongoing,prepare_commit -r 'payments-.*'
  millpond txn list --longer-than 10m
  millpond txn list --hanging orders     open transactions by partition, oldest first"
)]
pub(super) struct ListArgs {
    /// Only ids in these states: empty, ongoing, prepare_commit, prepare_abort, complete_commit, complete_abort
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<String>,

    /// Only ids whose whole name matches this
    #[arg(short = 'r', long = "regex", value_name = "RE")]
    regex: Option<String>,

    /// Only transactions that are open for longer, e.g. 10m
    #[arg(long, value_name = "DURATION")]
    longer_than: Option<String>,

    /// Instead list what is open in the partitions of this topic
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["state", "regex", "longer_than"])]
    pub(super) hanging: Option<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "txn_list",
    tables: &[TableShape {
        name: "transactions",
        columns: &[
            Column("transactional_id", Kind::Text, "name of the producer"),
            Column("producer_id", Kind::Count, "its number"),
            Column("state", Kind::Text, "Empty, Ongoing, CompleteCommit …"),
            Column("coordinator", Kind::Count, "broker that keeps it"),
        ],
    }],
};

pub(super) static OPEN: Shape = Shape {
    kind: "txn_open",
    tables: &[TableShape {
        name: "transactions",
        columns: &[
            Column("topic", Kind::Text, "where it is open"),
            Column("partition", Kind::Count, "number"),
            Column(
                "start_offset",
                Kind::Count,
                "its first record: committed readers stop before it",
            ),
            Column("producer_id", Kind::Count, "number of the producer"),
            Column("producer_epoch", Kind::Count, "its term"),
            Column("last_timestamp", Kind::Time, "when it last wrote here"),
            Column(
                "coordinator_epoch",
                Kind::Count,
                "term of the coordinator that last ended one",
            ),
        ],
    }],
};

pub(super) async fn run(args: ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if let Some(topic) = &args.hanging {
        return hanging(&args, topic, out).await;
    }
    let regex = args.regex.as_deref().map(whole).transpose()?;
    let longer_ms = args
        .longer_than
        .as_deref()
        .map(|duration| {
            duration_ms(duration).ok_or_else(|| {
                Failure::usage(format!("--longer-than {duration}: no duration"))
                    .hint("for example 10m or 1h30m")
            })
        })
        .transpose()?;
    let states: Vec<String> = args.state.iter().map(|state| camel(state)).collect();
    let mut client = Client::connect(&args.cluster).await?;
    let mut failed = Failed::default();
    let mut document = Document::new(&SHAPE);
    let mut rows = Vec::new();
    for node in client.nodes.keys().copied().collect::<Vec<_>>() {
        let answer = client
            .ask(
                To::Node(node),
                |version| {
                    let mut request = ListTransactionsRequest::default()
                        .with_state_filters(states.iter().map(|state| text(state.clone())).collect());
                    if version >= 1 {
                        request.duration_filter = longer_ms.unwrap_or(-1);
                    } else {
                        request.duration_filter = -1;
                    }
                    request
                },
                |answer| answer.error_code,
            )
            .await?;
        if answer.error_code != 0 {
            failed.push(kafka_failure(
                &format!("transactions of broker {node}"),
                answer.error_code,
                None,
            ));
        }
        if let Some(unknown) = answer.unknown_state_filters.first() {
            return Err(Failure::usage(format!("no state {unknown}"))
                .hint("empty, ongoing, prepare_commit, prepare_abort, complete_commit, complete_abort")
                .into());
        }
        for state in answer.transaction_states {
            let id = state.transactional_id.0.to_string();
            if regex.as_ref().is_none_or(|regex| regex.is_match(&id)) {
                rows.push((id, state.producer_id.0, state.transaction_state.to_string(), node));
            }
        }
    }
    rows.sort();
    for (id, producer, state, node) in rows {
        document.push(vec![json!(id), json!(producer), json!(state), json!(node)]);
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}

async fn hanging(args: &ListArgs, topic: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let topic = the_topic(&mut client, topic).await?;
    let mut document = Document::new(&OPEN);
    let mut open = Vec::new();
    for partition in &topic.partitions {
        for producer in producers(&mut client, &topic, partition.id).await? {
            if producer.current_txn_start_offset >= 0 {
                open.push((producer.last_timestamp, partition.id, producer));
            }
        }
    }
    open.sort_by_key(|(at, partition, _)| (*at, *partition));
    for (at, partition, producer) in open {
        document.push(vec![
            json!(topic.name),
            json!(partition),
            json!(producer.current_txn_start_offset),
            json!(producer.producer_id.0),
            json!(producer.producer_epoch),
            json!(Some(at).filter(|at| *at >= 0)),
            json!(Some(producer.coordinator_epoch).filter(|epoch| *epoch >= 0)),
        ]);
    }
    document.write(&args.output, false, out)
}

/// Producers that a partition remembers.
pub(super) async fn producers(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
) -> anyhow::Result<Vec<ProducerState>> {
    let known = topic.partitions.iter().find(|known| known.id == partition);
    let what = format!("{}-{partition}", topic.name);
    let known = known.ok_or_else(|| {
        Failure::failed(format!("topic {} has no partition {partition}", topic.name))
            .hint(format!("there are {}, counted from 0", topic.partitions.len()))
    })?;
    let leader = known.leader.ok_or_else(|| kafka_failure(&what, 5, None))?;
    let answer = client
        .ask(
            To::Node(leader),
            |_| {
                DescribeProducersRequest::default().with_topics(vec![
                    TopicRequest::default()
                        .with_name(TopicName(text(topic.name.clone())))
                        .with_partition_indexes(vec![partition]),
                ])
            },
            |answer| {
                let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
                partitions
                    .map(|partition| partition.error_code)
                    .max()
                    .unwrap_or_default()
            },
        )
        .await?;
    let mut found = Vec::new();
    for answer in answer.topics.into_iter().flat_map(|topic| topic.partitions) {
        if answer.error_code != 0 {
            return Err(kafka_failure(&what, answer.error_code, answer.error_message.as_deref()).into());
        }
        found.extend(answer.active_producers);
    }
    Ok(found)
}

/// `prepare_commit` as `PrepareCommit`, which is what brokers compare with.
fn camel(word: &str) -> String {
    if word.chars().any(char::is_uppercase) {
        return word.to_owned();
    }
    word.split(['_', '-'])
        .map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_brokers_compare_them() {
        for (typed, wanted) in [
            ("ongoing", "Ongoing"),
            ("prepare_commit", "PrepareCommit"),
            ("complete-abort", "CompleteAbort"),
            ("CompleteAbort", "CompleteAbort"),
        ] {
            assert_eq!(camel(typed), wanted);
        }
    }
}
