//! How a worker keeps its queues filled: one fetch in flight over all partitions that have room, and the purge of consumed repartition records.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use millpond_log::broker::{FetchPartition, FetchRequest, FetchResponse, Isolation};
use millpond_log::types::{Offset, TopicPartition};

use super::error::RuntimeError;
use super::log_client::LogError;
use super::restore::log_error;
use super::task::with_causes;
use super::worker::Session;

/// Most bytes of one partition in one fetch.
const FETCH_PARTITION_BYTES: usize = 1 << 20;
/// Most bytes of one fetch.
const FETCH_BYTES: usize = 32 << 20;
/// Wait before a fetch is repeated that failed for a passing reason.
const FETCH_PAUSE: Duration = Duration::from_millis(50);

/// A fetch in flight.
pub(super) struct Fetch {
    asked: BTreeMap<TopicPartition, Offset>,
    future: BoxFuture<'static, Fetched>,
}

impl Future for Fetch {
    type Output = Fetched;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Fetched> {
        self.future.as_mut().poll(context)
    }
}

/// Its answer, with what was asked.
pub(super) struct Fetched {
    asked: BTreeMap<TopicPartition, Offset>,
    response: Result<FetchResponse, LogError>,
}

impl Session<'_> {
    /// Starts a fetch when none is in flight, or when a partition has run dry that the one in flight did not ask for.
    pub(super) fn ensure_fetch(&mut self) {
        let room = self.app.config.buffered_bytes_per_partition;
        let running = || self.tasks.iter().filter(|task| !self.app.is_paused(task.id));
        let queues = || running().flat_map(|task| task.group.queues());
        if let Some(fetch) = &self.fetch {
            let starved =
                queues().any(|queue| queue.is_empty() && !fetch.asked.contains_key(queue.partition()));
            if !starved {
                return;
            }
        }
        // Empty queues first: a fetch fills partitions in request order.
        let mut wanted: Vec<_> = queues().filter(|queue| queue.buffered_bytes() < room).collect();
        wanted.sort_by_key(|queue| queue.buffered_bytes());
        if wanted.is_empty() {
            return;
        }
        let partitions = wanted
            .iter()
            .map(|queue| FetchPartition {
                partition: queue.partition().clone(),
                fetch_offset: queue.fetch_position(),
                max_bytes: FETCH_PARTITION_BYTES,
            })
            .collect();
        let asked = wanted
            .iter()
            .map(|queue| (queue.partition().clone(), queue.fetch_position()))
            .collect();
        self.start_fetch(asked, partitions, Duration::ZERO);
    }

    fn start_fetch(
        &mut self,
        asked: BTreeMap<TopicPartition, Offset>,
        partitions: Vec<FetchPartition>,
        pause: Duration,
    ) {
        let calls = self.app.calls.clone();
        let request = FetchRequest {
            max_wait: self.app.config.fetch_max_wait,
            min_bytes: 1,
            max_bytes: FETCH_BYTES,
            isolation: Isolation::ReadCommitted,
            partitions,
        };
        let again = asked.clone();
        let future = async move {
            if !pause.is_zero() {
                calls.clock.sleep(pause).await;
            }
            Fetched {
                asked: again,
                response: calls.log.fetch(request).await,
            }
        };
        self.fetch = Some(Fetch {
            asked,
            future: future.boxed(),
        });
    }

    /// Puts the answer into the queues.
    pub(super) fn take_fetched(&mut self, fetched: Fetched) -> Result<(), RuntimeError> {
        let Fetched { asked, response } = fetched;
        let mut failed = None;
        let now_ms = self.app.calls.clock.now_ms();
        match response {
            Ok(response) => {
                for (partition, answer) in response.partitions {
                    let Some(at) = asked.get(&partition) else { continue };
                    match answer {
                        Ok(data) => {
                            let Some(queue) = self
                                .tasks
                                .iter_mut()
                                .flat_map(|task| task.group.queues_mut())
                                .find(|queue| *queue.partition() == partition)
                            else {
                                continue;
                            };
                            let aborted = data
                                .aborted
                                .iter()
                                .map(|txn| (txn.producer_id, txn.first_offset))
                                .collect();
                            queue
                                .push(*at, data.batches, aborted, data.last_stable_offset)
                                .map_err(|error| RuntimeError::Log {
                                    operation: format!("reading {partition}"),
                                    message: with_causes(&error),
                                })?;
                            queue.answered(now_ms);
                        }
                        Err(error) => {
                            let error = LogError::from(error);
                            if !error.may_repeat() {
                                return Err(log_error(&format!("reading {partition} at {at}"), &error));
                            }
                            failed = Some(error);
                        }
                    }
                }
            }
            Err(error) if error.may_repeat() => failed = Some(error),
            Err(error) => return Err(log_error("reading input", &error)),
        }
        if let Some(error) = failed {
            tracing::debug!(application = %self.app.id, worker = self.worker, %error, "fetch is repeated");
            let queues = self.tasks.iter().flat_map(|task| task.group.queues());
            let partitions: Vec<FetchPartition> = queues
                .map(|queue| FetchPartition {
                    partition: queue.partition().clone(),
                    fetch_offset: queue.fetch_position(),
                    max_bytes: FETCH_PARTITION_BYTES,
                })
                .collect();
            let asked = partitions
                .iter()
                .map(|asked| (asked.partition.clone(), asked.fetch_offset))
                .collect();
            self.start_fetch(asked, partitions, FETCH_PAUSE);
        }
        Ok(())
    }

    /// Deletes consumed records of repartition topics now and then: nobody else reads them, and they are kept for ever otherwise.
    pub(super) fn maybe_purge(&mut self, now: Duration) {
        if self.purge.is_some() || now.saturating_sub(self.purged_at) < self.app.config.purge_interval {
            return;
        }
        self.purged_at = now;
        let mut below = Vec::new();
        for task in &self.tasks {
            for (partition, _) in self
                .app
                .inputs(task.id)
                .into_iter()
                .filter(|(_, repartition)| *repartition)
            {
                let committed = task
                    .committed
                    .inputs
                    .iter()
                    .find(|(input, _)| *input == partition);
                below.extend(committed.map(|(_, offset)| (partition, *offset)));
            }
        }
        if below.is_empty() {
            return;
        }
        let log = self.app.calls.log.clone();
        let purge = async move {
            if let Err(error) = log.delete_records(below).await {
                tracing::warn!(%error, "consumed repartition records could not be deleted; tried again later");
            }
        };
        self.purge = Some(purge.boxed());
    }
}
