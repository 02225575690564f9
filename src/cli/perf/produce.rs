//! `millpond perf produce`: rate, and the time from send to acknowledgement.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use millpond::log::clock::{Clock, SystemClock};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::scratch::Scratch;
use super::{Measured, PRODUCE, histogram};
use crate::cli::document::OutputArgs;
use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::rdkafka_error;
use crate::cli::settings::ClusterArgs;
use crate::cli::summary::{Moved, Progress};
use crate::cli::wire::Client;

/// Write records as fast as the cluster takes them, or at a rate
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  millpond perf produce
  millpond perf produce orders -n 500000 -s 1024
  millpond perf produce -P 64 --acks all -z zstd -X linger.ms=10
  millpond perf produce --rate 5000 -n 50000 --format json

The time of a record runs from when it was handed to the client (at a rate: from when it was due) to its acknowledgement.")]
pub(super) struct ProducePerfArgs {
    /// The topic; without it one is made for the run and deleted afterwards
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,

    /// Records to write
    #[arg(
        short = 'n',
        long = "num",
        alias = "num-records",
        value_name = "N",
        default_value_t = 1_000_000
    )]
    count: u64,

    /// Bytes of a value
    #[arg(
        short = 's',
        long = "size",
        alias = "record-size",
        value_name = "BYTES",
        default_value_t = 100
    )]
    size: usize,

    /// Records a second; without it as many as go through
    #[arg(long, alias = "throughput", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Acknowledgements to wait for: 0, 1 or all
    #[arg(long, value_name = "ACKS", default_value = "all")]
    acks: String,

    /// none, gzip, snappy, lz4 or zstd
    #[arg(short = 'z', long = "compression", value_name = "CODEC")]
    compression: Option<String>,

    /// Partitions of a topic made for the run
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1)]
    new_partitions: i32,

    /// Copies of a topic made for the run; the broker's default without it
    #[arg(short = 'R', long, value_name = "N", default_value_t = -1, hide_default_value = true)]
    new_replicas: i16,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Times acknowledgements: the opaque of a record is when it was due, in microseconds.
struct Timer {
    clock: Arc<dyn Clock>,
    sums: Mutex<Sums>,
}

struct Sums {
    latencies: Histogram<u64>,
    delivered: u64,
    failed: u64,
    last: Duration,
    first_error: Option<KafkaError>,
}

impl ClientContext for Timer {}

impl ProducerContext for Timer {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, due: usize) {
        let now = self.clock.monotonic();
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(_) => {
                let took = (now.as_micros() as u64).saturating_sub(due as u64).max(1);
                sums.latencies.record(took).expect("the histogram grows");
                sums.delivered += 1;
                sums.last = now;
            }
            Err((error, _)) => {
                sums.failed += 1;
                sums.first_error.get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: ProducePerfArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen();
    let mut client = Client::connect(&args.cluster).await?;
    let scratch = Scratch::prepare(
        &mut client,
        args.topic.as_deref(),
        args.new_partitions,
        args.new_replicas,
    )
    .await?;
    let measured = measure(&args, &client, &scratch.name, &interrupt);
    let cleaned = scratch.clean_up(&mut client).await;
    let (measured, error) = measured?;
    measured.document(&PRODUCE).write(&args.output, false, out)?;
    cleaned?;
    if let Some(error) = error {
        let what = format!("{} records were not delivered", measured.failed);
        return Err(rdkafka_error::failure(&what, &error).into());
    }
    if interrupt.is_pressed() {
        return Err(Failure::interrupted().into());
    }
    Ok(())
}

fn measure(
    args: &ProducePerfArgs,
    client: &Client,
    topic: &str,
    interrupt: &Interrupt,
) -> anyhow::Result<(Measured, Option<KafkaError>)> {
    let clock = SystemClock::shared();
    let mut config = client.settings().client_config();
    config.set("acks", &args.acks);
    if let Some(codec) = &args.compression {
        config.set("compression.type", codec);
    }
    if client.settings().find("queue.buffering.max.messages").is_none() {
        config.set("queue.buffering.max.messages", "1000000");
    }
    let timer = Timer {
        clock: Arc::clone(&clock),
        sums: Mutex::new(Sums {
            latencies: histogram(),
            delivered: 0,
            failed: 0,
            last: Duration::ZERO,
            first_error: None,
        }),
    };
    let producer: BaseProducer<Timer> = config
        .create_with_context(timer)
        .map_err(|error| rdkafka_error::failure("cannot start the producer", &error))?;
    let value = payload(args.size);
    let started = clock.monotonic();
    let mut progress = Progress::start(true, started);
    for number in 0..args.count {
        if interrupt.is_pressed() {
            break;
        }
        let due = match args.rate {
            None => clock.monotonic(),
            Some(rate) => {
                let due = started + Duration::from_secs_f64(number as f64 / f64::from(rate));
                while clock.monotonic() < due {
                    producer.poll((due - clock.monotonic().min(due)).min(Duration::from_millis(1)));
                }
                due
            }
        };
        let mut record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, due.as_micros() as usize).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(rdkafka_error::failure("cannot send", &error).into()),
            }
        }
        if number % 256 == 0 {
            producer.poll(Duration::ZERO);
            let sent = Moved {
                records: number,
                bytes: number * args.size as u64,
            };
            progress.tick(sent, clock.monotonic());
        }
    }
    while producer.in_flight_count() > 0 {
        producer.poll(Duration::from_millis(10));
    }
    let sums = producer
        .context()
        .sums
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok((
        Measured {
            records: sums.delivered,
            bytes: sums.delivered * args.size as u64,
            seconds: sums.last.saturating_sub(started).as_secs_f64(),
            failed: sums.failed,
            latencies: Some(sums.latencies.clone()),
        },
        sums.first_error.clone(),
    ))
}

/// Letters that compress about as well as text does, the same in every run.
pub(super) fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b"abcdefghijklmnop"[(state % 16) as usize]
        })
        .collect()
}
