//! What the tests share: a broker in a fresh place, batches, reading a partition to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use millpond_log::broker::{
    Broker, BrokerError, BrokerOptions, FetchPartition, FetchRequest, FetchedData, Isolation, NewTopic,
    ProduceAck, ProducePartition, ProduceRequest, ProducerIdentity,
};
use millpond_log::client::{Consumer, ConsumerOptions};
use millpond_log::clock::SimClock;
use millpond_log::config::BrokerConfig;
use millpond_log::faults::Faults;
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::rng::SeededRng;
use millpond_log::storage::disk_sim::SimDisk;
use millpond_log::types::{Offset, Sequence, TopicName, TopicPartition, TransactionalId};

/// Long enough to mean "waits"; the clock of simulations is paused, so it costs nothing there.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A broker on the real disk.
pub(crate) async fn broker_at(dir: &Path) -> Broker {
    Broker::start(BrokerOptions::at(dir))
        .await
        .expect("broker starts")
}

/// A simulated machine: its disk outlives its brokers.
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) seed: u64,
    pub(crate) faults: Faults,
    pub(crate) config: BrokerConfig,
    starts: u64,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        let clock = Arc::new(SimClock::new(1_700_000_000_000));
        let (faults, config) = (Faults::none(), BrokerConfig::default());
        Self {
            disk: SimDisk::new(seed),
            clock,
            seed,
            faults,
            config,
            starts: 0,
        }
    }

    pub(crate) async fn start(&mut self) -> Broker {
        self.try_start().await.expect("broker starts")
    }

    pub(crate) async fn try_start(&mut self) -> Result<Broker, BrokerError> {
        self.starts += 1;
        Broker::start(BrokerOptions {
            data_dir: "/data".into(),
            disk: self.disk.shared(),
            clock: self.clock.clone(),
            rng: Arc::new(SeededRng::new(self.seed * 1000 + self.starts)),
            faults: self.faults.clone(),
            config: self.config.clone(),
        })
        .await
    }
}

/// Runs a test on a paused clock and one thread.
pub(crate) fn simulate<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("runtime").block_on(test);
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("legal name")
}

pub(crate) fn partition(name: &str, number: i32) -> TopicPartition {
    TopicPartition::new(topic(name), number)
}

pub(crate) async fn create(broker: &Broker, name: &str, partitions: i32) -> TopicName {
    create_with(broker, NewTopic::new(topic(name), partitions)).await
}

pub(crate) async fn create_with(broker: &Broker, new: NewTopic) -> TopicName {
    let mut answers = broker.create_topics(vec![new]).await;
    answers.pop().expect("an answer").expect("topic is created").name
}

/// A batch of these values; with a producer, at this sequence.
pub(crate) fn batch(
    values: &[&str],
    producer: Option<(ProducerIdentity, i32)>,
    transactional: bool,
) -> Bytes {
    let producer =
        producer.map(|(id, sequence)| (id.producer_id, id.producer_epoch, Sequence::new(sequence)));
    let mut builder = BatchBuilder::new(BatchOptions {
        producer,
        transactional,
        ..BatchOptions::default()
    });
    for value in values {
        builder
            .append(1_700_000_000_000, Some(b"k"), Some(value.as_bytes()), &[])
            .expect("fits");
    }
    builder.build()
}

/// Produces to one partition.
pub(crate) async fn produce(
    broker: &Broker,
    id: Option<&TransactionalId>,
    partition: &TopicPartition,
    batches: Bytes,
) -> Result<ProduceAck, BrokerError> {
    let partitions = vec![ProducePartition {
        partition: partition.clone(),
        batches: batches.into(),
    }];
    let request = ProduceRequest {
        transactional_id: id.cloned(),
        partitions,
        ..ProduceRequest::default()
    };
    broker.produce(request).await.pop().expect("an answer")
}

pub(crate) fn fetch_request(
    partition: &TopicPartition,
    from: i64,
    isolation: Isolation,
    max_wait: Duration,
) -> FetchRequest {
    let fetch_offset = Offset::new(from);
    FetchRequest {
        max_wait,
        min_bytes: 1,
        max_bytes: 8 << 20,
        isolation,
        partitions: vec![FetchPartition {
            partition: partition.clone(),
            fetch_offset,
            max_bytes: 8 << 20,
        }],
    }
}

/// Fetches what is there.
pub(crate) async fn fetch(
    broker: &Broker,
    partition: &TopicPartition,
    from: i64,
    isolation: Isolation,
) -> Result<FetchedData, BrokerError> {
    let request = fetch_request(partition, from, isolation, Duration::ZERO);
    broker.fetch(request).await.partitions.pop().expect("an answer").1
}

/// Values a reader of committed data sees in a topic now, in order, by partition.
pub(crate) async fn committed_values(broker: &Broker, name: &str) -> Vec<String> {
    values(broker, name, Isolation::ReadCommitted).await
}

pub(crate) async fn values(broker: &Broker, name: &str, isolation: Isolation) -> Vec<String> {
    let name = topic(name);
    let count = broker.partition_count(&name).expect("topic exists");
    let mut values = Vec::new();
    for number in 0..count {
        values.extend(partition_values(broker, &TopicPartition::new(name.clone(), number), isolation).await);
    }
    values
}

/// Values a reader sees in a partition now, in order.
pub(crate) async fn partition_values(
    broker: &Broker,
    partition: &TopicPartition,
    isolation: Isolation,
) -> Vec<String> {
    let log = broker.partition_log(partition).expect("partition exists");
    let end = log.offsets().read_limit(isolation);
    let options = ConsumerOptions {
        isolation,
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(broker, options);
    consumer.assign([partition.clone()]).await.expect("assigned");
    let mut values = Vec::new();
    while let Some(record) = next_or_end(&mut consumer, partition, end).await {
        values.push(String::from_utf8(record).expect("text"));
    }
    values
}

async fn next_or_end(consumer: &mut Consumer, partition: &TopicPartition, end: Offset) -> Option<Vec<u8>> {
    loop {
        if consumer.position(partition)? >= end {
            return None;
        }
        let next =
            futures::future::poll_fn(|context| std::task::Poll::Ready(consumer.poll_next_unpin(context)))
                .await;
        match next {
            std::task::Poll::Ready(Some(record)) => {
                return Some(
                    record
                        .expect("readable")
                        .record
                        .value
                        .unwrap_or_default()
                        .to_vec(),
                );
            }
            std::task::Poll::Ready(None) => return None,
            std::task::Poll::Pending => tokio::task::yield_now().await,
        }
    }
}
