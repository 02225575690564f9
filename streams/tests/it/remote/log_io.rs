//! Writing and reading through a [`LogClient`], wherever the log is. Every request is repeated while it may be.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use millpond_log::broker::{
    FetchPartition, FetchRequest, FetchedData, Isolation, NewTopic, OffsetSpec, ProduceAck, ProducePartition,
    ProduceRequest, ProducerIdentity,
};
use millpond_log::clock::{Clock, SystemClock};
use millpond_log::record::{BatchBuilder, BatchIter, BatchOptions};
use millpond_log::types::{
    Offset, PartitionId, ProducerId, Sequence, Timestamp, TopicName, TopicPartition, TransactionalId,
};
use millpond_streams::runtime::{LogClient, LogError};

/// What a test keeps of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Repeats a request that may be repeated, a minute at most.
pub(crate) async fn repeated<T, Fut>(mut request: impl FnMut() -> Fut) -> Result<T, LogError>
where
    Fut: Future<Output = Result<T, LogError>>,
{
    let clock = SystemClock::new();
    loop {
        match request().await {
            Err(error) if error.may_repeat() && clock.monotonic() < Duration::from_secs(60) => {
                clock.sleep(Duration::from_millis(20)).await;
            }
            answer => return answer,
        }
    }
}

/// Creates a topic that keeps what it gets: test records are from 1970.
pub(crate) async fn create(log: &dyn LogClient, name: TopicName, partitions: i32) {
    let new = NewTopic::new(name, partitions).config("retention.ms", "-1");
    log.create_topics(vec![new]).await.expect("the topic is created");
}

/// A batch of values under one key; with a producer, at this sequence.
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
    for (index, value) in values.iter().enumerate() {
        builder
            .append(index as i64, Some(b"k"), Some(value.as_bytes()), &[])
            .expect("it fits");
    }
    builder.build()
}

/// Writes one batch, once.
pub(crate) async fn produce_once(
    log: &dyn LogClient,
    id: Option<&TransactionalId>,
    partition: &TopicPartition,
    batches: Bytes,
) -> Result<ProduceAck, LogError> {
    let request = ProduceRequest {
        transactional_id: id.cloned(),
        partitions: vec![ProducePartition {
            partition: partition.clone(),
            batches: batches.into(),
        }],
        ..ProduceRequest::default()
    };
    log.produce(request).await.pop().expect("an answer")
}

/// Writes one batch, repeated while it may be.
pub(crate) async fn produce(
    log: &dyn LogClient,
    id: Option<&TransactionalId>,
    partition: &TopicPartition,
    batches: Bytes,
) -> Result<ProduceAck, LogError> {
    repeated(|| produce_once(log, id, partition, batches.clone())).await
}

/// Sends lines round robin over the partitions of a topic; line n at time n. Returns when all are acknowledged, each written once, however often it had
/// to be sent.
pub(crate) async fn send_lines(
    log: &dyn LogClient,
    name: &TopicName,
    partitions: i32,
    lines: impl IntoIterator<Item = String>,
) {
    let own = repeated(|| log.init_producer_id(None, Duration::from_secs(60), None))
        .await
        .expect("a producer id");
    let idempotent = || BatchOptions {
        producer: Some((own.producer_id, own.producer_epoch, Sequence::ZERO)),
        ..BatchOptions::default()
    };
    let mut builders: Vec<BatchBuilder> = (0..partitions).map(|_| BatchBuilder::new(idempotent())).collect();
    let count = builders.len();
    for (index, line) in lines.into_iter().enumerate() {
        builders[index % count]
            .append(index as i64, None, Some(line.as_bytes()), &[])
            .expect("it fits");
    }
    for (number, builder) in (0..).zip(builders) {
        if !builder.is_empty() {
            let partition = TopicPartition::new(name.clone(), number);
            produce(log, None, &partition, builder.build())
                .await
                .expect("the lines are acknowledged");
        }
    }
}

pub(crate) async fn fetch(
    log: &dyn LogClient,
    partition: &TopicPartition,
    from: Offset,
    isolation: Isolation,
) -> Result<FetchedData, LogError> {
    let request = FetchRequest {
        max_wait: Duration::from_millis(100),
        min_bytes: 1,
        max_bytes: 8 << 20,
        isolation,
        partitions: vec![FetchPartition {
            partition: partition.clone(),
            fetch_offset: from,
            max_bytes: 8 << 20,
        }],
    };
    let answer = log.fetch(request).await?.partitions.pop();
    Ok(answer.expect("the partition was asked for").1?)
}

pub(crate) async fn offset_of(log: &dyn LogClient, partition: &TopicPartition, spec: OffsetSpec) -> Offset {
    let asked = || log.list_offsets(vec![(partition.clone(), spec)]);
    repeated(asked).await.expect("an offset")[0]
}

/// Waits until no transaction is open in a partition: a log may answer the end of one before its markers are everywhere.
pub(crate) async fn settled(log: &dyn LogClient, partition: &TopicPartition) {
    let nothing_open = || async {
        let asked = [OffsetSpec::LastStable, OffsetSpec::Latest];
        let asked = asked.map(|spec| (partition.clone(), spec)).to_vec();
        let found = log.list_offsets(asked).await?;
        match found[0] == found[1] {
            true => Ok(()),
            false => Err(LogError::Retriable(format!("{partition}: a transaction is open"))),
        }
    };
    repeated(nothing_open).await.expect("every transaction ends");
}

/// Committed records of a topic, partition by partition, once nothing is open in it.
pub(crate) async fn read_committed(log: &dyn LogClient, name: &TopicName) -> Vec<Read> {
    let found = log
        .describe_topics(vec![name.clone()])
        .await
        .expect("the topic is described");
    let count = found.first().expect("the topic exists").partitions;
    let mut records = Vec::new();
    for number in 0..count {
        let partition = TopicPartition::new(name.clone(), number);
        settled(log, &partition).await;
        records.extend(read_partition(log, &partition).await);
    }
    records
}

pub(crate) async fn read_partition(log: &dyn LogClient, partition: &TopicPartition) -> Vec<Read> {
    let end = offset_of(log, partition, OffsetSpec::LastStable).await;
    let start = offset_of(log, partition, OffsetSpec::Earliest).await;
    read_on(log, partition, start, end).await.0
}

/// Committed records from `next` on until `end` is reached, and the offset after them.
pub(crate) async fn read_on(
    log: &dyn LogClient,
    partition: &TopicPartition,
    mut next: Offset,
    end: Offset,
) -> (Vec<Read>, Offset) {
    let mut records = Vec::new();
    while next < end {
        let from = next;
        let data = repeated(|| fetch(log, partition, from, Isolation::ReadCommitted))
            .await
            .expect("the partition is readable");
        let mut aborted = data.aborted.iter().peekable();
        let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
        for batch in data.batches.into_iter().flat_map(BatchIter::new) {
            let batch = batch.expect("a whole batch");
            batch.check_crc().expect("a sound batch");
            while let Some(aborted) = aborted.next_if(|aborted| aborted.first_offset <= batch.last_offset()) {
                aborting.insert(aborted.producer_id);
            }
            let skipped = batch.is_transactional() && aborting.contains(&batch.producer_id());
            if batch.is_control() {
                aborting.remove(&batch.producer_id());
            } else if !skipped {
                let decoded = batch.decode().expect("readable records");
                for record in decoded.iter() {
                    let record = record.expect("a readable record");
                    if record.offset >= next {
                        records.push(read(partition.partition, &record));
                    }
                }
            }
            next = next.max(batch.next_offset());
        }
    }
    (records, next)
}

fn read(partition: PartitionId, record: &millpond_log::record::RecordRef<'_>) -> Read {
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("text");
    Read {
        partition: partition.get(),
        offset: record.offset.get(),
        timestamp: record.timestamp,
        key: text(record.key),
        value: text(record.value),
    }
}
