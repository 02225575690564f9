//! `millpond perf consume`: how fast records come back.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{CONSUME, Measured};
use crate::cli::document::OutputArgs;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::rdkafka_error;
use crate::cli::settings::ClusterArgs;
use crate::cli::summary::{Moved, Progress};
use crate::cli::topic::names::the_topic;
use crate::cli::wire::{Client, OffsetAt};

/// Read a topic as fast as the cluster gives it
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond perf consume orders
  millpond perf consume orders -n 1000000 -X fetch.min.bytes=100000

Reads from the start to the end as it is at the beginning, or -n records. Nothing is printed and no group is joined.")]
pub(super) struct ConsumePerfArgs {
    /// The topic
    #[arg(value_name = "TOPIC")]
    topic: String,

    /// Records to read; without it all there are
    #[arg(short = 'n', long = "num", aliases = ["num-records", "messages"], value_name = "N")]
    count: Option<u64>,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Runs the command.
pub(super) async fn run(args: ConsumePerfArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen();
    let mut client = Client::connect(&args.cluster).await?;
    let topic = the_topic(&mut client, &args.topic).await?;
    let topics = [topic];
    let starts = client.offsets(&topics, OffsetAt::Start, |_, _| true).await?;
    let ends = client.offsets(&topics, OffsetAt::StableEnd, |_, _| true).await?;
    let mut assigned = TopicPartitionList::new();
    let mut unread = 0_usize;
    for (key, end) in &ends {
        if end.offset > starts.get(key).and_then(|spot| spot.offset) {
            assigned
                .add_partition_offset(&key.0, key.1, Offset::Beginning)
                .map_err(|error| rdkafka_error::failure("cannot assign a partition", &error))?;
            unread += 1;
        }
    }
    let mut config = client.settings().client_config();
    config
        .set("group.id", "millpond-perf")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    if config.get("fetch.queue.backoff.ms").is_none() {
        // librdkafka pauses for a second once its queue is full, which a broker that answers fast makes happen again and again.
        config.set("fetch.queue.backoff.ms", "1");
    }
    let consumer: BaseConsumer = config
        .create()
        .map_err(|error| rdkafka_error::failure("cannot start the consumer", &error))?;
    consumer
        .assign(&assigned)
        .map_err(|error| rdkafka_error::failure("cannot assign the partitions", &error))?;
    let (mut records, mut bytes) = (0_u64, 0_u64);
    let clock = client.clock();
    let mut started = None;
    let mut progress = Progress::start(true, clock.monotonic());
    let mut last = clock.monotonic();
    let silence_max = client.settings().request_timeout();
    while unread > 0 && args.count.is_none_or(|count| records < count) && !interrupt.is_pressed() {
        match consumer.poll(Duration::from_millis(100)) {
            None if clock.monotonic().saturating_sub(last) > silence_max => {
                return Err(Failure::connect(format!("no record for {silence_max:?}")).into());
            }
            None => {}
            Some(Ok(message)) => {
                // The first record starts the clock: connecting is not what is measured.
                started.get_or_insert_with(|| clock.monotonic());
                records += 1;
                bytes += (message.key_len() + message.payload_len()) as u64;
                last = clock.monotonic();
                progress.tick(Moved { records, bytes }, last);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => unread -= 1,
            Some(Err(error)) if rdkafka_error::is_passing(&error) => {}
            Some(Err(error)) => return Err(rdkafka_error::failure("cannot read", &error).into()),
        }
    }
    let measured = Measured {
        records,
        bytes,
        seconds: started.map_or(0.0, |started| last.saturating_sub(started).as_secs_f64()),
        failed: 0,
        latencies: None,
    };
    measured.document(&CONSUME).write(&args.output, false, out)?;
    if interrupt.is_pressed() {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}
