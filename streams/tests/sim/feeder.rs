//! Writes input for as long as it lives, and remembers what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::{Acks, Broker, ProducePartition, ProduceRequest};
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::rng::Rng;
use millpond_log::types::{Sequence, TopicPartition};
use parking_lot::Mutex;

use super::support::topic;

/// What was written so far, over all lives.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) next_id: u64,
    pub(crate) acknowledged: BTreeSet<u64>,
}

/// Sends `batches` batches (for ever: `u64::MAX`). Every record has an id of its own as its value. `Err` when the broker refuses one.
pub(crate) async fn feed(
    broker: Broker,
    rng: Arc<dyn Rng>,
    written: Arc<Mutex<Written>>,
    batches: u64,
) -> Result<(), String> {
    let identity = broker
        .init_producer_id(None, Duration::from_secs(60), None)
        .await
        .map_err(|error| format!("no producer id: {error}"))?;
    let mut sequences = [Sequence::ZERO; 2];
    for _ in 0..batches {
        let partition = rng.below(2) as usize;
        let count = 1 + rng.below(5);
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let ids: Vec<u64> = {
            let mut written = written.lock();
            written.next_id += count;
            (written.next_id - count..written.next_id).collect()
        };
        for id in &ids {
            let (key, value) = (format!("k{}", rng.below(8)), id.to_string());
            let time = (*id * 10 + rng.below(30)) as i64;
            builder
                .append(time, Some(key.as_bytes()), Some(value.as_bytes()), &[])
                .map_err(|e| e.to_string())?;
        }
        builder.set_producer(
            identity.producer_id,
            identity.producer_epoch,
            sequences[partition],
        );
        let request = ProduceRequest {
            transactional_id: None,
            acks: Acks::All,
            partitions: vec![ProducePartition {
                partition: TopicPartition::new(topic("events"), partition as i32),
                batches: builder.build().into(),
            }],
            ..ProduceRequest::default()
        };
        for answer in broker.produce(request).await {
            answer.map_err(|error| format!("input was refused: {error}"))?;
        }
        sequences[partition] = sequences[partition].plus(count as i32);
        written.lock().acknowledged.extend(ids);
        broker.clock().sleep(Duration::from_millis(rng.below(12))).await;
    }
    Ok(())
}
