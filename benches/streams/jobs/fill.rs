//! Makes a job's topics and fills its input.

use std::time::Duration;

use bytes::Bytes;
use millpond_log::broker::{NewTopic, ProducePartition, ProduceRequest};
use millpond_log::clock::SystemClock;
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::types::{TopicName, TopicPartition};
use millpond_streams::runtime::{LogClient, LogError};

use crate::arguments::{Arguments, Outcome};
use crate::inputs::Inputs;
use crate::job::{OUTPUT, PARTITIONS};
use crate::place::Place;

/// A batch is sent when it has this many bytes: half of what a topic takes by default.
const BATCH_BYTES: usize = 500_000;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn fill(arguments: &Arguments) -> Outcome {
    let job = arguments.job()?;
    let records: u64 = arguments.needed("records")?;
    let mut inputs = Inputs::new(job, arguments.needed("keys")?, arguments.needed("base-ms")?);
    let place = Place::open(arguments).await?;
    let log = place.log()?;
    // Event time is not the wall clock's: nothing may go by its age.
    let new = |name: &&str| -> Outcome<NewTopic> {
        Ok(NewTopic::new(TopicName::new(name)?, PARTITIONS).config("retention.ms", "-1"))
    };
    let topics = job.inputs().iter().chain([&OUTPUT]).map(new);
    log.create_topics(topics.collect::<Outcome<_>>()?).await?;

    let mut partitions = Vec::new();
    for name in job.inputs() {
        for number in 0..PARTITIONS {
            let partition = TopicPartition::new(TopicName::new(name)?, number);
            partitions.push((partition, BatchBuilder::new(BatchOptions::default())));
        }
    }
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for number in 0..records {
        let address = inputs.write(number, &mut key, &mut value);
        let index = address.topic * usize::try_from(PARTITIONS)? + usize::try_from(address.partition)?;
        let builder = &mut partitions[index].1;
        builder.append(address.timestamp, Some(&key), Some(&value), &[])?;
        if builder.estimated_size_bytes() >= BATCH_BYTES {
            send(&*log, &mut partitions).await?;
        }
    }
    send(&*log, &mut partitions).await?;
    drop(log);
    place.close().await
}

/// Sends what every partition has, in one request; again, in order, what surely was not written: a cluster may not know the leaders of new topics at once.
async fn send(log: &dyn LogClient, partitions: &mut [(TopicPartition, BatchBuilder)]) -> Outcome {
    let filled = partitions.iter_mut().filter(|(_, builder)| !builder.is_empty());
    let mut waiting: Vec<(TopicPartition, Bytes)> = filled
        .map(|(partition, builder)| {
            let empty = BatchBuilder::new(BatchOptions::default());
            (partition.clone(), std::mem::replace(builder, empty).build())
        })
        .collect();
    let clock = SystemClock::shared();
    let began = clock.monotonic();
    loop {
        let partitions = waiting.iter().map(|(partition, batch)| ProducePartition {
            partition: partition.clone(),
            batches: batch.clone().into(),
        });
        let request = ProduceRequest {
            partitions: partitions.collect(),
            ..ProduceRequest::default()
        };
        let mut refused = Vec::new();
        for (part, answer) in waiting.into_iter().zip(log.produce(request).await) {
            match answer {
                Ok(_) => {}
                Err(LogError::Retriable(_)) if clock.monotonic() - began < PATIENCE => refused.push(part),
                Err(error) => return Err(error.into()),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        waiting = refused;
        clock.sleep(Duration::from_millis(50)).await;
    }
}
