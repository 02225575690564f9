//! The verbs for clusters: what `millpond` does as a client of any Kafka cluster, millpond's or Apache Kafka.
//!
//! What is always true: every verb answers `-X list` and `--format help` before it looks for a cluster. They stand behind the feature `clients`, because
//! librdkafka, which carries their records, needs a C++ compiler. Where to look next: `settings.rs` (flags they share), `wire/` (the admin client), then a verb.

use std::io::Write;

use clap::Subcommand;

use super::document::{DocumentFormat, OutputArgs, Shape};
use super::failure::{ErrorStyle, Failure};
use super::settings::{self, ClusterArgs};
use super::{block_on, cluster, config, consume, group, perf, produce, profile, streams, topic, txn};

/// A verb with its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Topic(topic::TopicArgs),
    Produce(produce::ProduceArgs),
    Consume(consume::ConsumeArgs),
    Group(group::GroupArgs),
    Config(config::ConfigArgs),
    Cluster(cluster::ClusterCommandArgs),
    Txn(txn::TxnArgs),
    Streams(streams::StreamsArgs),
    Perf(perf::PerfArgs),
    Profile(profile::ProfileArgs),
}

/// What every verb for clusters is told, for what is done before it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags<'a> {
    cluster: Option<&'a ClusterArgs>,
    output: Option<(OutputArgs, &'static Shape)>,
}

impl<'a> Flags<'a> {
    pub(super) fn new(cluster: &'a ClusterArgs, output: &OutputArgs, shape: &'static Shape) -> Flags<'a> {
        Flags {
            cluster: Some(cluster),
            output: Some((*output, shape)),
        }
    }
}

impl Verb {
    fn flags(&self) -> Flags<'_> {
        match self {
            Verb::Produce(args) => args.flags(),
            Verb::Consume(args) => Flags::new(args.cluster(), &args.output(), &consume::SHAPE),
            Verb::Topic(args) => args.flags(),
            Verb::Group(args) => args.flags(),
            Verb::Config(args) => args.flags(),
            Verb::Cluster(args) => args.flags(),
            Verb::Txn(args) => args.flags(),
            Verb::Streams(args) => args.flags(),
            Verb::Perf(args) => args.flags(),
            Verb::Profile(args) => Flags {
                cluster: None,
                output: args.output(),
            },
        }
    }

    /// Whoever asks for rows as JSON is a program, and gets errors it can read as well.
    pub(super) fn error_style(&self) -> ErrorStyle {
        match self.flags().output {
            Some((output, _)) if output.format == DocumentFormat::Json => ErrorStyle::Json,
            _ => ErrorStyle::Text,
        }
    }

    /// Runs it to its end, or until Ctrl-C where nothing is lost by that.
    pub(super) fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let flags = self.flags();
        if flags.cluster.is_some_and(settings::wants_list) {
            return settings::write_list(out);
        }
        if let Some((output, shape)) = flags.output
            && output.format == DocumentFormat::Help
        {
            return shape.write_help(out).map_err(Into::into);
        }
        match self {
            Verb::Topic(args) => until_interrupted(topic::run(args, out)),
            Verb::Produce(args) => block_on(produce::run(args, out)),
            Verb::Consume(args) if args.handles_interrupt() => block_on(consume::run(args, out)),
            Verb::Consume(args) => until_interrupted(consume::run(args, out)),
            Verb::Group(args) => until_interrupted(group::run(args, out)),
            Verb::Config(args) => until_interrupted(config::run(args, out)),
            Verb::Cluster(args) => until_interrupted(cluster::run(args, out)),
            Verb::Txn(args) => until_interrupted(txn::run(args, out)),
            Verb::Streams(args) => until_interrupted(streams::run(args, out)),
            Verb::Perf(args) => block_on(perf::run(args, out)),
            Verb::Profile(args) => profile::run(args, out),
        }
    }
}

/// Drives a command that may be dropped at any point, as one that asks a cluster, until it ends or Ctrl-C comes.
fn until_interrupted(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    block_on(async {
        tokio::select! {
            outcome = command => outcome,
            pressed = tokio::signal::ctrl_c() => {
                pressed.map_err(|error| anyhow::anyhow!("cannot wait for Ctrl-C: {error}"))?;
                Err(Failure::interrupted().into())
            }
        }
    })
}
