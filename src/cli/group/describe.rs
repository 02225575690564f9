//! `millpond group describe`: members, offsets, lag.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::model::{self, Commit, Described};
use super::{GroupNames, committed};
use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::settings::{ClusterArgs, warn};
use crate::cli::watch::{Look, WatchArgs, show};
use crate::cli::wire::{Client, OffsetAt, Spot, Topic, kafka_failure, oldest_times};

/// Show members, offsets and lag of groups
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond group describe payments
  millpond group describe payments --watch
  millpond group describe -r '.*' --section summary
  millpond group describe payments --format json | jq '.partitions[] | select(.lag > 0)'

LAG_SECONDS is the age of the oldest record that the group could have read and has not. LAG counts offsets, as Kafka
does: markers of transactions count, so it may stay above 0 where LAG_SECONDS is 0.")]
pub(super) struct DescribeArgs {
    #[command(flatten)]
    names: GroupNames,

    /// What to show
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "summary,members,partitions"
    )]
    section: Vec<Section>,

    /// Do not look for the age of unread records, which costs a read per partition
    #[arg(long)]
    no_seconds: bool,

    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    Summary,
    Members,
    Partitions,
}

const SUMMARY: usize = 0;
const MEMBERS: usize = 1;
const PARTITIONS: usize = 2;

pub(super) static SHAPE: Shape = Shape {
    kind: "group_describe",
    tables: &[
        TableShape {
            name: "groups",
            columns: &[
                Column("group", Kind::Text, "name"),
                Column("type", Kind::Text, "classic or consumer"),
                Column("state", Kind::Text, "Stable, Empty, PreparingRebalance …"),
                Column("coordinator", Kind::Count, "broker that keeps it"),
                Column("assignor", Kind::Text, "how partitions are shared out"),
                Column("members", Kind::Count, "how many"),
                Column("lag", Kind::Count, "records it has not read"),
                Column(
                    "lag_seconds",
                    Kind::Seconds,
                    "age of the oldest record it has not read",
                ),
            ],
        },
        TableShape {
            name: "members",
            columns: &[
                Column("group", Kind::Text, "name"),
                Column("member_id", Kind::Text, "its id"),
                Column("instance_id", Kind::Text, "group.instance.id, if it is static"),
                Column("client_id", Kind::Text, "client.id"),
                Column("host", Kind::Text, "where it connects from"),
                Column("partitions", Kind::Count, "how many it reads"),
            ],
        },
        TableShape {
            name: "partitions",
            columns: &[
                Column("group", Kind::Text, "name"),
                Column("topic", Kind::Text, "what is read"),
                Column("partition", Kind::Count, "number"),
                Column("committed_offset", Kind::Count, "next record to read"),
                Column("high_watermark", Kind::Count, "offset of the next record to come"),
                Column("lag", Kind::Count, "the difference"),
                Column(
                    "lag_seconds",
                    Kind::Seconds,
                    "age of the record at the committed offset",
                ),
                Column("member_id", Kind::Text, "who reads it"),
                Column("client_id", Kind::Text, "client.id of that member"),
                Column("host", Kind::Text, "where it connects from"),
                Column("metadata", Kind::Text, "what was committed along with the offset"),
            ],
        },
    ],
};

pub(super) async fn run(args: DescribeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let args = &args;
    show(
        &args.cluster,
        args.watch,
        &args.output,
        out,
        |mut client| async move {
            let look = look(&mut client, args).await;
            (client, look)
        },
    )
    .await
}

async fn look(client: &mut Client, args: &DescribeArgs) -> anyhow::Result<Look> {
    let (groups, missing) = args.names.find(client).await?;
    let mut failed = Failed::default();
    missing.into_iter().for_each(|failure| failed.push(failure));
    let mut document = Document::new(&SHAPE);
    for group in &groups {
        let what = format!("group {}", group.name);
        if !group.is_of_consumers() {
            warn(&format!("{what} is a {} group, left out", group.kind));
            continue;
        }
        let described = match model::described(client, group).await? {
            Ok(described) => described,
            Err(code) => {
                failed.push(kafka_failure(&what, code, None));
                continue;
            }
        };
        let offsets = match committed(client, &group.name).await? {
            Ok(offsets) => offsets,
            Err(code) => {
                failed.push(kafka_failure(&what, code, None));
                continue;
            }
        };
        let lags = lags(client, &described, &offsets, !args.no_seconds).await?;
        fill(&mut document, args, group, &described, &offsets, &lags);
    }
    Ok(Look {
        document,
        enough: false,
        outcome: failed.finish(),
    })
}

/// What is known of a partition that the group reads or has an offset of.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    end: Option<i64>,
    records: Option<i64>,
    seconds: Option<f64>,
}

async fn lags(
    client: &mut Client,
    described: &Described,
    offsets: &BTreeMap<(String, i32), Commit>,
    seconds: bool,
) -> anyhow::Result<BTreeMap<(String, i32), Lag>> {
    let assigned = described.members.iter().flat_map(|member| &member.partitions);
    let keys: std::collections::BTreeSet<&(String, i32)> = offsets.keys().chain(assigned).collect();
    let mut names: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
    names.dedup();
    let topics: Vec<Topic> = client
        .topics(Some(&names))
        .await?
        .into_iter()
        .filter(|topic| topic.error == 0)
        .collect();
    let wanted = |topic: &str, partition: i32| keys.contains(&(topic.to_owned(), partition));
    let ends: BTreeMap<(String, i32), Spot> = client.offsets(&topics, OffsetAt::End, wanted).await?;
    let behind: BTreeMap<(String, i32), i64> = offsets
        .iter()
        .filter(|(key, commit)| {
            ends.get(*key)
                .and_then(|spot| spot.offset)
                .is_some_and(|end| commit.offset < end)
        })
        .map(|(key, commit)| (key.clone(), commit.offset))
        .collect();
    let times = if seconds {
        oldest_times(client, &topics, &behind).await?
    } else {
        BTreeMap::new()
    };
    let now = client.now_ms();
    Ok(keys
        .into_iter()
        .map(|key| {
            let end = ends.get(key).and_then(|spot| spot.offset);
            let records = offsets
                .get(key)
                .zip(end)
                .map(|(commit, end)| (end - commit.offset).max(0));
            let seconds = match (records, times.get(key)) {
                (Some(0), _) | (_, Some(None)) if seconds => Some(0.0),
                (_, Some(Some(at))) => Some((now - at).max(0) as f64 / 1000.0),
                _ => None,
            };
            (
                key.clone(),
                Lag {
                    end,
                    records,
                    seconds,
                },
            )
        })
        .collect())
}

fn fill(
    document: &mut Document,
    args: &DescribeArgs,
    group: &model::Listed,
    described: &Described,
    offsets: &BTreeMap<(String, i32), Commit>,
    lags: &BTreeMap<(String, i32), Lag>,
) {
    let shown = |section| args.section.contains(&section);
    if shown(Section::Summary) {
        let records: Option<i64> = lags.values().filter_map(|lag| lag.records).reduce(|a, b| a + b);
        let seconds = lags.values().filter_map(|lag| lag.seconds).reduce(f64::max);
        document.push_to(
            SUMMARY,
            vec![
                json!(group.name),
                json!(group.kind),
                json!(described.state),
                json!(group.coordinator),
                json!(described.assignor),
                json!(described.members.len()),
                json!(records),
                json!(seconds),
            ],
        );
    }
    for member in described.members.iter().filter(|_| shown(Section::Members)) {
        document.push_to(
            MEMBERS,
            vec![
                json!(group.name),
                json!(member.id),
                json!(member.instance_id),
                json!(member.client_id),
                json!(member.host),
                json!(member.partitions.len()),
            ],
        );
    }
    for (key, lag) in lags.iter().filter(|_| shown(Section::Partitions)) {
        let member = described
            .members
            .iter()
            .find(|member| member.partitions.contains(key));
        let commit = offsets.get(key);
        document.push_to(
            PARTITIONS,
            vec![
                json!(group.name),
                json!(key.0),
                json!(key.1),
                json!(commit.map(|commit| commit.offset)),
                json!(lag.end),
                json!(lag.records),
                json!(lag.seconds),
                json!(member.map(|member| &member.id)),
                json!(member.map(|member| &member.client_id)),
                json!(member.map(|member| &member.host)),
                commit
                    .and_then(|commit| commit.metadata.clone())
                    .filter(|metadata| !metadata.is_empty())
                    .map_or(Value::Null, Value::from),
            ],
        );
    }
}
