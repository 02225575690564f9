//! Writes the input through a [`LogClient`], idempotently, going on where the log ends.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::broker::{Acks, OffsetSpec, ProducePartition, ProduceRequest, ProducerIdentity};
use millpond_log::clock::Clock;
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::types::{Sequence, TopicPartition};
use millpond_streams::runtime::{LogClient, LogError};

use super::{INPUTS, PARTITIONS, Plan, generate};
use crate::job::topic;

/// Most records of a partition in one request. Partitions of one request become visible one by one; whoever reads in between sees some of them so much ahead, which
/// must be less than the grace.
const CHUNK: u64 = 25;

/// A request is repeated so often before the feeder gives up.
const ATTEMPTS: u32 = 600;

pub(crate) struct Feeder {
    log: Arc<dyn LogClient>,
    clock: Arc<dyn Clock>,
    plan: Plan,
    identity: ProducerIdentity,
    inputs: Vec<Place>,
}

/// An input partition, and how far it is written.
struct Place {
    name: &'static str,
    partition: TopicPartition,
    next: u64,
    sequence: Sequence,
}

impl Feeder {
    /// Reads where each input partition ends: a record's offset is its number.
    pub(crate) async fn open(
        log: Arc<dyn LogClient>,
        clock: Arc<dyn Clock>,
        plan: Plan,
    ) -> Result<Feeder, String> {
        let mut inputs = Vec::new();
        for name in INPUTS {
            for partition in 0..PARTITIONS {
                let partition = TopicPartition::new(topic(name), partition);
                let asked = vec![(partition.clone(), OffsetSpec::Latest)];
                let end = repeated(&*clock, || log.list_offsets(asked.clone())).await?;
                inputs.push(Place {
                    name,
                    partition,
                    next: end[0].get().unsigned_abs(),
                    sequence: Sequence::ZERO,
                });
            }
        }
        let identity = repeated(&*clock, || {
            log.init_producer_id(None, Duration::from_secs(60), None)
        })
        .await?;
        Ok(Feeder {
            log,
            clock,
            plan,
            identity,
            inputs,
        })
    }

    /// Records written to the input partition that is behind the others.
    pub(crate) fn written(&self) -> u64 {
        self.inputs.iter().map(|place| place.next).min().unwrap_or(0)
    }

    /// Takes every partition up to record number `until` (exclusive; the one that closes everything is never among them) and waits until all is acknowledged.
    pub(crate) async fn feed(&mut self, until: u64) -> Result<(), String> {
        self.write(until.min(self.plan.records)).await
    }

    /// Writes what is left, then the records that close everything.
    pub(crate) async fn finish(&mut self) -> Result<(), String> {
        self.write(self.plan.records).await?;
        self.write(self.plan.records + 1).await
    }

    /// No more input than there is now, but what closes everything.
    pub(crate) async fn stop_here(&mut self) -> Result<Plan, String> {
        let most = self.inputs.iter().map(|place| place.next).max().unwrap_or(0);
        self.plan.records = most;
        self.finish().await?;
        Ok(self.plan)
    }

    async fn write(&mut self, until: u64) -> Result<(), String> {
        while self.written() < until {
            self.write_chunk(until.min(self.written() + CHUNK)).await?;
        }
        Ok(())
    }

    async fn write_chunk(&mut self, until: u64) -> Result<(), String> {
        let mut waiting = Vec::new();
        let mut partitions = Vec::new();
        for (number, place) in self.inputs.iter().enumerate() {
            if place.next >= until {
                continue;
            }
            let producer = (
                self.identity.producer_id,
                self.identity.producer_epoch,
                place.sequence,
            );
            let mut builder = BatchBuilder::new(BatchOptions {
                producer: Some(producer),
                ..BatchOptions::default()
            });
            let count = until - place.next;
            for index in place.next..until {
                let record = generate::record(&self.plan, place.name, place.partition.partition.get(), index)
                    .ok_or("there is no such record")?;
                let value = record.value.as_deref().map(str::as_bytes);
                builder
                    .append(record.timestamp, Some(record.key.as_bytes()), value, &[])
                    .map_err(|error| error.to_string())?;
            }
            waiting.push((number, count));
            partitions.push(ProducePartition {
                partition: place.partition.clone(),
                batches: builder.build().into(),
            });
        }
        let mut attempts = 0;
        while !partitions.is_empty() {
            let request = ProduceRequest {
                acks: Acks::All,
                partitions: partitions.clone(),
                ..ProduceRequest::default()
            };
            let answers = self.log.produce(request).await;
            let (mut still, mut still_partitions) = (Vec::new(), Vec::new());
            for ((answer, (number, count)), partition) in answers.into_iter().zip(waiting).zip(partitions) {
                match answer {
                    Ok(_) => {
                        let place = &mut self.inputs[number];
                        place.next += count;
                        place.sequence = place
                            .sequence
                            .plus(i32::try_from(count).map_err(|e| e.to_string())?);
                    }
                    Err(error) if error.may_repeat() && attempts < ATTEMPTS => {
                        still.push((number, count));
                        still_partitions.push(partition);
                    }
                    Err(error) => return Err(format!("input was refused: {error}")),
                }
            }
            (waiting, partitions) = (still, still_partitions);
            attempts += 1;
            if !partitions.is_empty() {
                self.clock.sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

async fn repeated<T, Fut>(clock: &dyn Clock, mut request: impl FnMut() -> Fut) -> Result<T, String>
where
    Fut: Future<Output = Result<T, LogError>>,
{
    let mut attempts = 0;
    loop {
        match request().await {
            Err(error) if error.may_repeat() && attempts < ATTEMPTS => {
                attempts += 1;
                clock.sleep(Duration::from_millis(50)).await;
            }
            answer => return answer.map_err(|error| error.to_string()),
        }
    }
}
