//! `millpond perf e2e`: one record at a time, from send until it is read.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::produce::payload;
use super::scratch::Scratch;
use super::{E2E, Measured, histogram};
use crate::cli::document::OutputArgs;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::rdkafka_error;
use crate::cli::settings::ClusterArgs;
use crate::cli::wire::{Client, OffsetAt};

/// Time single records from send until a consumer has them
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond perf e2e
  millpond perf e2e -n 10000 -s 1024 --acks 1

The next record is sent when the one before has arrived, so this is latency, not rate.")]
pub(super) struct E2eArgs {
    /// The topic; without it one is made for the run and deleted afterwards
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,

    /// Records to send
    #[arg(
        short = 'n',
        long = "num",
        alias = "num-records",
        value_name = "N",
        default_value_t = 1000
    )]
    count: u64,

    /// Bytes of a value, 8 at least
    #[arg(
        short = 's',
        long = "size",
        alias = "record-size",
        value_name = "BYTES",
        default_value_t = 100
    )]
    size: usize,

    /// Acknowledgements to wait for: 0, 1 or all
    #[arg(long, value_name = "ACKS", default_value = "all")]
    acks: String,

    /// Copies of a topic made for the run; the broker's default without it
    #[arg(short = 'R', long, value_name = "N", default_value_t = -1, hide_default_value = true)]
    new_replicas: i16,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Runs the command.
pub(super) async fn run(args: E2eArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen();
    let mut client = Client::connect(&args.cluster).await?;
    let scratch = Scratch::prepare(&mut client, args.topic.as_deref(), 1, args.new_replicas).await?;
    let topics = client.topics(Some(std::slice::from_ref(&scratch.name))).await?;
    let ends = client
        .offsets(&topics, OffsetAt::End, |_, partition| partition == 0)
        .await?;
    let end = ends.values().find_map(|spot| spot.offset).unwrap_or_default();
    let measured = measure(&args, &client, &scratch.name, end, &interrupt);
    let cleaned = scratch.clean_up(&mut client).await;
    let measured = measured?;
    measured.document(&E2E).write(&args.output, false, out)?;
    cleaned?;
    if interrupt.is_pressed() {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}

fn measure(
    args: &E2eArgs,
    client: &Client,
    topic: &str,
    end: i64,
    interrupt: &Interrupt,
) -> anyhow::Result<Measured> {
    let mut config = client.settings().client_config();
    config
        .set("acks", &args.acks)
        .set("linger.ms", "0")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "500");
    // The same settings serve both sides; what only one of them knows is dropped with a warning otherwise.
    let mut reading = config.clone();
    reading
        .set("group.id", "millpond-perf")
        .remove("acks")
        .remove("linger.ms");
    config.remove("enable.auto.commit").remove("fetch.wait.max.ms");
    let producer: BaseProducer = config
        .create()
        .map_err(|error| rdkafka_error::failure("cannot start the producer", &error))?;
    let consumer: BaseConsumer = reading
        .create()
        .map_err(|error| rdkafka_error::failure("cannot start the consumer", &error))?;
    let mut assigned = TopicPartitionList::new();
    assigned
        .add_partition_offset(topic, 0, Offset::Offset(end))
        .and_then(|()| consumer.assign(&assigned))
        .map_err(|error| rdkafka_error::failure("cannot assign the partition", &error))?;
    let clock = client.clock();
    let mut value = payload(args.size.max(8));
    let mut latencies = histogram();
    let (mut records, mut bytes) = (0_u64, 0_u64);
    let mut started = clock.monotonic();
    let limit = client.settings().request_timeout();
    // The first round connects both clients and is not counted.
    for number in 0..=args.count {
        if interrupt.is_pressed() {
            break;
        }
        value[..8].copy_from_slice(&number.to_be_bytes());
        let sent = clock.monotonic();
        if number == 1 {
            started = sent;
        }
        producer
            .send(BaseRecord::<(), [u8]>::to(topic).partition(0).payload(&value))
            .map_err(|(error, _)| rdkafka_error::failure("cannot send", &error))?;
        producer.poll(Duration::ZERO);
        loop {
            let polled = consumer.poll(Duration::from_millis(1));
            producer.poll(Duration::ZERO);
            match polled {
                Some(Ok(message)) if message.payload() == Some(&value) => break,
                Some(Ok(_)) | None => {}
                Some(Err(error)) if rdkafka_error::is_passing(&error) => {}
                Some(Err(error)) => return Err(rdkafka_error::failure("cannot read", &error).into()),
            }
            if interrupt.is_pressed() {
                break;
            }
            if clock.monotonic().saturating_sub(sent) > limit {
                return Err(
                    Failure::failed(format!("record {number} did not come back in {limit:?}")).into(),
                );
            }
        }
        if number > 0 && !interrupt.is_pressed() {
            let took = clock.monotonic().saturating_sub(sent);
            latencies
                .record((took.as_micros() as u64).max(1))
                .expect("the histogram grows");
            records += 1;
            bytes += value.len() as u64;
        }
    }
    Ok(Measured {
        records,
        bytes,
        seconds: clock.monotonic().saturating_sub(started).as_secs_f64(),
        failed: 0,
        latencies: Some(latencies),
    })
}
