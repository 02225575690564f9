//! `millpond txn`: list, describe and abort transactions.
//!
//! What is always true: a transaction is aborted by the marker that its coordinator would write (WriteTxnMarkers), with the producer epoch that the partition
//! itself names, and only after it was shown; nothing else can end a transaction that no coordinator knows any more.

mod abort;
mod describe;
mod list;

use std::io::Write;

use clap::{Args, Subcommand};

use super::document::Shape;
use super::verbs::Flags;

/// List, describe and abort transactions
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond txn list --state ongoing
  millpond txn list --longer-than 10m
  millpond txn describe payments-1
  millpond txn list --hanging orders                      what holds readers of orders up
  millpond txn abort orders -p 3 --start-offset 1234 -y")]
pub(crate) struct TxnArgs {
    #[command(subcommand)]
    command: TxnCommand,
}

#[derive(Debug, Subcommand)]
enum TxnCommand {
    List(list::ListArgs),
    Describe(describe::DescribeArgs),
    Abort(abort::AbortArgs),
}

impl TxnArgs {
    /// What the verb is told about cluster and output.
    pub(super) fn flags(&self) -> Flags<'_> {
        match &self.command {
            TxnCommand::List(args) if args.hanging.is_some() => {
                Flags::new(&args.cluster, &args.output, &list::OPEN)
            }
            TxnCommand::List(args) => Flags::new(&args.cluster, &args.output, &list::SHAPE),
            TxnCommand::Describe(args) => Flags::new(&args.cluster, &args.output, &describe::SHAPE),
            TxnCommand::Abort(args) => Flags::new(&args.cluster, &args.output, &abort::SHAPE),
        }
    }
}

/// What the verbs print.
pub(super) fn shapes() -> Vec<(&'static str, &'static Shape)> {
    vec![
        ("list", &list::SHAPE),
        ("describe", &describe::SHAPE),
        ("abort", &abort::SHAPE),
    ]
}

/// Runs the command.
pub(crate) async fn run(args: TxnArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.command {
        TxnCommand::List(args) => list::run(args, out).await,
        TxnCommand::Describe(args) => describe::run(args, out).await,
        TxnCommand::Abort(args) => abort::run(args, out).await,
    }
}
