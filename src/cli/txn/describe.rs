//! `millpond txn describe`.

use std::io::Write;

use clap::Args;
use kafka_protocol::messages::{DescribeTransactionsRequest, ListTransactionsRequest, TransactionalId};
use serde_json::json;

use crate::cli::document::{Column, Document, Kind, OutputArgs, Shape, TableShape};
use crate::cli::failed::Failed;
use crate::cli::near::did_you_mean;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, To, kafka_failure, text};

const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;

/// Show state, age and partitions of transactions
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond txn describe payments-1
  millpond txn describe payments-1 payments-2 --format json")]
pub(super) struct DescribeArgs {
    /// Transactional ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) static SHAPE: Shape = Shape {
    kind: "txn_describe",
    tables: &[TableShape {
        name: "transactions",
        columns: &[
            Column("transactional_id", Kind::Text, "name of the producer"),
            Column("state", Kind::Text, "Empty, Ongoing, CompleteCommit …"),
            Column("producer_id", Kind::Count, "number of the producer"),
            Column("producer_epoch", Kind::Count, "its term"),
            Column(
                "timeout_seconds",
                Kind::Seconds,
                "after which the coordinator aborts it",
            ),
            Column("started", Kind::Time, "null if none is open"),
            Column("open_seconds", Kind::Seconds, "since then"),
            Column("coordinator", Kind::Count, "broker that keeps it"),
            Column("partitions", Kind::List, "what it has written to"),
        ],
    }],
};

pub(super) async fn run(args: DescribeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut client = Client::connect(&args.cluster).await?;
    let mut failed = Failed::default();
    let mut document = Document::new(&SHAPE);
    for id in &args.ids {
        let coordinator = client.coordinator_of(To::Transaction(id)).await?;
        let answer = client
            .ask(
                To::Transaction(id),
                |_| {
                    DescribeTransactionsRequest::default()
                        .with_transactional_ids(vec![TransactionalId(text(id.clone()))])
                },
                |answer| {
                    answer
                        .transaction_states
                        .first()
                        .map_or(0, |state| state.error_code)
                },
            )
            .await?;
        for state in answer.transaction_states {
            if state.error_code != 0 {
                let mut failure = kafka_failure(&format!("transactional id {id}"), state.error_code, None);
                if state.error_code == TRANSACTIONAL_ID_NOT_FOUND {
                    let all = all_ids(&mut client).await?;
                    failure = failure.hint(did_you_mean(id, all.iter().map(String::as_str), "txn list"));
                }
                failed.push(failure);
                continue;
            }
            let started = Some(state.transaction_start_time_ms).filter(|at| *at >= 0);
            let partitions: Vec<String> = state
                .topics
                .iter()
                .flat_map(|topic| {
                    topic
                        .partitions
                        .iter()
                        .map(|partition| format!("{}-{partition}", topic.topic.0))
                })
                .collect();
            let now = client.now_ms();
            document.push(vec![
                json!(state.transactional_id.0.as_str()),
                json!(state.transaction_state.as_str()),
                json!(state.producer_id.0),
                json!(state.producer_epoch),
                json!(f64::from(state.transaction_timeout_ms) / 1000.0),
                json!(started),
                json!(started.map(|at| (now - at).max(0) as f64 / 1000.0)),
                json!(coordinator),
                json!(partitions),
            ]);
        }
    }
    document.write(&args.output, false, out)?;
    failed.finish()
}

async fn all_ids(client: &mut Client) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    for node in client.nodes.keys().copied().collect::<Vec<_>>() {
        let answer = client
            .ask(
                To::Node(node),
                |_| ListTransactionsRequest::default().with_duration_filter(-1),
                |answer| answer.error_code,
            )
            .await?;
        ids.extend(
            answer
                .transaction_states
                .into_iter()
                .map(|state| state.transactional_id.0.to_string()),
        );
    }
    Ok(ids)
}
