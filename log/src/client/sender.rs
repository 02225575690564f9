//! Carries batches from the accumulator to the broker.
//!
//! One task per producer; it ends when the producer is dropped and everything that was sent is done. A request holds what is ready of all
//! partitions, so that a transaction learns of its new partitions in one step. Retries keep their sequences: the broker answers a batch it has with
//! its first offset.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, select};
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, Semaphore};

use parking_lot::Mutex;

use crate::broker::{Broker, BrokerError, ProduceAck, ProducePartition, ProduceRequest};
use crate::types::{Offset, Sequence, TopicPartition};

use super::accumulator::{Accumulator, Departure, PendingBatch, SealedBatch};
use super::producer_options::ProducerOptions;

/// Most bytes of one request.
const REQUEST_BYTES: usize = 8 << 20;
const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// What the producer handle and its sender share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) broker: Broker,
    pub(super) options: ProducerOptions,
    pub(super) accumulator: Mutex<Accumulator>,
    /// Permits are bytes of the buffer.
    pub(super) memory: Semaphore,
    pub(super) wake: Notify,
    /// The first failure since the transaction began.
    pub(super) failed: Mutex<Option<BrokerError>>,
}

/// Runs until the producer is closed and nothing is left.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut requests: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    loop {
        let clock = shared.broker.clock();
        let now = clock.monotonic();
        let (departures, next_due) =
            shared
                .accumulator
                .lock()
                .depart(now, shared.options.linger, REQUEST_BYTES);
        if !departures.is_empty() {
            requests.push(deliver(shared.clone(), departures).boxed());
            continue;
        }
        if requests.is_empty() {
            let accumulator = shared.accumulator.lock();
            if accumulator.closed && accumulator.is_empty() {
                return;
            }
        }
        let due: BoxFuture<'_, ()> = match next_due {
            Some(due) => clock.sleep(due.saturating_sub(now)),
            None => std::future::pending().boxed(),
        };
        let woken = shared.wake.notified().boxed();
        let answered: BoxFuture<'_, ()> = match requests.is_empty() {
            true => std::future::pending().boxed(),
            false => requests.next().map(drop).boxed(),
        };
        select(select(woken, answered), due).await;
    }
}

/// Batches of one partition, built.
struct Parcel {
    partition: TopicPartition,
    first_sequence: Sequence,
    bytes: Bytes,
    batches: Vec<SealedBatch>,
}

/// Sends these batches until each is acknowledged, refused, or out of time.
async fn deliver(shared: Arc<Shared>, departures: Vec<Departure>) {
    let clock = shared.broker.clock().clone();
    let deadline = clock.monotonic() + shared.options.delivery_timeout;
    let mut open: Vec<Parcel> = departures.into_iter().map(Parcel::seal).collect();
    let mut backoff = shared.options.retry_backoff;
    loop {
        let produce = |parcel: &Parcel| ProducePartition {
            partition: parcel.partition.clone(),
            batches: parcel.bytes.clone().into(),
        };
        let request = ProduceRequest {
            transactional_id: shared.options.transactional_id.clone(),
            acks: shared.options.acks,
            partitions: open.iter().map(produce).collect(),
            ..ProduceRequest::default()
        };
        let answers = shared.broker.produce(request).await;
        let out_of_time = clock.monotonic() + backoff > deadline;
        let mut again = Vec::new();
        for (parcel, answer) in open.into_iter().zip(answers) {
            match answer {
                Err(error) if error.is_retriable() && !out_of_time => again.push(parcel),
                answer => arrive(&shared, parcel, answer),
            }
        }
        if again.is_empty() {
            return;
        }
        open = again;
        clock.sleep(backoff).await;
        backoff = (backoff * 2).min(RETRY_BACKOFF_MAX);
    }
}

impl Parcel {
    fn seal(departure: Departure) -> Self {
        let Departure {
            partition,
            batches,
            first_sequence,
        } = departure;
        let (mut built, batches): (Vec<_>, Vec<_>) = batches.into_iter().map(PendingBatch::seal).unzip();
        let bytes = match built.len() {
            1 => built.swap_remove(0),
            _ => built.concat().into(),
        };
        Self {
            partition,
            first_sequence,
            bytes,
            batches,
        }
    }
}

fn arrive(shared: &Shared, parcel: Parcel, answer: Result<ProduceAck, BrokerError>) {
    let written = answer
        .as_ref()
        .map_or_else(BrokerError::outcome_unknown, |_| true);
    if let Err(error) = &answer {
        shared.failed.lock().get_or_insert_with(|| error.clone());
    }
    {
        let mut accumulator = shared.accumulator.lock();
        accumulator.arrived(&parcel.partition, parcel.first_sequence, written);
        accumulator.tidy();
    }
    let mut base: Result<Offset, BrokerError> = answer.map(|ack| ack.base_offset);
    for batch in parcel.batches {
        shared.memory.add_permits(batch.reserved);
        let next = base.clone().map(|offset| offset.plus(batch.records));
        batch.finish(base);
        base = next;
    }
}
