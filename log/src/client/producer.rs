//! The producer handle: send, flush, close. Transactions are in `producer_txn.rs`.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::broker::{Broker, BrokerError, ErrorCode};

use super::accumulator::{Accumulator, Arrival, TopicsNow};
use super::delivery::{Delivery, producer_gone};
use super::producer_options::ProducerOptions;
use super::producer_record::ProducerRecord;
use super::sender::{self, Shared};

/// Writes records. Idempotent: a retry never writes a record twice, and records of a partition keep the order they were sent in.
///
/// `send` hands a record over and gives back a future of its offset; many can be under way. Share it by reference; transactional methods take
/// `&mut self`, for a transaction is one line of work. Dropping it never blocks: what was sent still leaves, an open transaction is left to
/// the broker to abort.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use millpond_log::broker::{Broker, BrokerOptions};
/// # use millpond_log::client::{Admin, Producer, ProducerOptions, ProducerRecord};
/// # let dir = tempfile::tempdir()?;
/// # let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
/// let orders = Admin::new(&broker).create_topic("orders", 2).await?.name;
/// let producer = Producer::new(&broker, ProducerOptions::default()).await?;
/// let mut deliveries = Vec::new();
/// for number in 0..100 {
///     let record = ProducerRecord::new(&orders).key(format!("customer-{}", number % 7)).value(format!("order {number}"));
///     deliveries.push(producer.send(record).await?);
/// }
/// for delivery in deliveries {
///     delivery.await?; // durable now
/// }
/// # broker.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Producer {
    pub(super) shared: Arc<Shared>,
    pub(super) transaction: super::producer_txn::Transaction,
}

impl Producer {
    /// A producer with an identity of its own; with a transactional id it takes over from older producers of that id, whose open
    /// transaction is aborted first. Its sender runs on the current tokio runtime. Cancel-safe.
    pub async fn new(broker: &Broker, options: ProducerOptions) -> Result<Self, BrokerError> {
        let id = options.transactional_id.clone();
        let identity = broker
            .init_producer_id(id.clone(), options.transaction_timeout, None)
            .await?;
        let mut accumulator = Accumulator::new(id.is_some(), options.compression, options.batch_bytes);
        accumulator.adopt(identity);
        let shared = Arc::new(Shared {
            broker: broker.clone(),
            memory: Semaphore::new(options.buffer_bytes),
            options,
            accumulator: Mutex::new(accumulator),
            wake: Notify::new(),
            failed: Mutex::new(None),
        });
        tokio::spawn(sender::run(shared.clone()));
        Ok(Self {
            shared,
            transaction: super::producer_txn::Transaction::None,
        })
    }

    /// Hands a record over, waiting for room in the buffer if there is none, and gives back the future of its place.
    ///
    /// Errs with `UnknownTopicOrPartition`, `MessageTooLarge` (larger than the buffer) or `InvalidTxnState` (a transactional producer outside a
    /// transaction). Cancel-safe: a call dropped before it returned has sent nothing.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, BrokerError> {
        self.check_may_send()?;
        let shared = &self.shared;
        let size = record.size_bytes();
        let limit = shared.options.buffer_bytes;
        if size > limit {
            let message = format!("record of {size} bytes is larger than the producer's buffer of {limit}");
            return Err(BrokerError::new(ErrorCode::MessageTooLarge, message));
        }
        let room = match shared.memory.try_acquire_many(size as u32) {
            Ok(room) => room,
            Err(_) => {
                // Batches that linger would keep the room this record waits for.
                let _hurry = Hurry::new(shared);
                shared
                    .memory
                    .acquire_many(size as u32)
                    .await
                    .map_err(|_| producer_gone())?
            }
        };
        let clock = shared.broker.clock();
        let timestamp = record.timestamp.unwrap_or_else(|| clock.now_ms());
        let topics = TopicsNow {
            version: shared.broker.metadata_version(),
            partition_count: &|topic| shared.broker.partition_count(topic),
        };
        let arrival = Arrival {
            timestamp,
            reserved: size,
            now: clock.monotonic(),
        };
        let random = || shared.broker.rng().next_u64();
        let (delivery, news) = shared
            .accumulator
            .lock()
            .append(&record, arrival, &topics, random)?;
        // The batch gives the room back when it is done.
        room.forget();
        if news {
            shared.wake.notify_one();
        }
        Ok(delivery)
    }

    /// Waits until every record sent before is acknowledged or failed; errs with the first failure among them. Cancel-safe.
    pub async fn flush(&self) -> Result<(), BrokerError> {
        let _hurry = Hurry::new(&self.shared);
        let unfinished = self.shared.accumulator.lock().unfinished();
        let mut first_failure = Ok(());
        for completion in unfinished {
            let done = completion.await.unwrap_or_else(|_| Err(producer_gone()));
            first_failure = first_failure.and(done.map(drop));
        }
        first_failure
    }

    /// Flushes and ends the producer. An open transaction is aborted. Cancel-safe: dropped halfway it ends like a dropped producer.
    pub async fn close(mut self) -> Result<(), BrokerError> {
        if self.transaction.is_open() {
            return self.abort_transaction().await;
        }
        self.flush().await
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let abandoned = {
            let mut accumulator = self.shared.accumulator.lock();
            accumulator.closed = true;
            // Records of a transaction that nobody can commit any more need not leave.
            if self.transaction.is_open() {
                accumulator.discard()
            } else {
                Vec::new()
            }
        };
        drop(abandoned);
        self.shared.wake.notify_one();
    }
}

/// While it lives, batches do not linger.
struct Hurry<'a>(&'a Shared);

impl<'a> Hurry<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.accumulator.lock().flushing += 1;
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.accumulator.lock().flushing -= 1;
    }
}
