//! Requests of a worker with their retries: each is repeated only while that is safe, and answers the one question that matters, did it happen?
//!
//! Every method returns a future that owns what it needs, so a worker can go on processing while it is in flight.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use millpond_log::broker::{
    Acks, OffsetAndMetadata, OffsetSpec, ProduceRequest, ProducerIdentity, TxnOffsetCommit, TxnResult,
};
use millpond_log::clock::Clock;
use millpond_log::types::{GroupId, Offset, TopicPartition, TransactionalId};

use super::log_client::{LogClient, LogError};
use super::record_collector::Round;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// One request without an answer for this long has an unknown outcome.
    pub(crate) request_timeout: Duration,
    /// Repeating stops this long after the first attempt.
    pub(crate) delivery_timeout: Duration,
    pub(crate) transaction_timeout: Duration,
}

const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// A log with a clock and a patience.
#[derive(Debug, Clone)]
pub(crate) struct LogCalls {
    pub(crate) log: Arc<dyn LogClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry: RetryPolicy,
}

impl LogCalls {
    /// Waits for an answer, but not for ever.
    async fn answered<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let timeout = self.clock.sleep(self.retry.request_timeout);
        match select(std::pin::pin!(request), timeout).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(LogError::Unknown(format!(
                "{what} had no answer within {:?}",
                self.retry.request_timeout
            ))),
        }
    }

    /// Repeats while `again` allows it and time is left.
    async fn repeated<T, Fut: Future<Output = Result<T, LogError>>>(
        &self,
        what: &str,
        again: fn(&LogError) -> bool,
        mut request: impl FnMut() -> Fut,
    ) -> Result<T, LogError> {
        let started = self.clock.monotonic();
        let mut pause = BACKOFF_MIN;
        loop {
            let error = match self.answered(what, request()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !again(&error) || self.clock.monotonic() - started >= self.retry.delivery_timeout {
                return Err(error);
            }
            tracing::debug!(what, %error, "repeating a request");
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    /// Sends the rounds one after another. Returns per partition the offset after its last record.
    pub(crate) async fn produce(
        self,
        transactional_id: Option<TransactionalId>,
        rounds: Vec<Round>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, LogError> {
        let mut ends = BTreeMap::new();
        for round in rounds {
            let mut left: Vec<_> = round.partitions.into_iter().zip(round.record_counts).collect();
            let started = self.clock.monotonic();
            let mut pause = BACKOFF_MIN;
            loop {
                let request = ProduceRequest {
                    transactional_id: transactional_id.clone(),
                    acks: Acks::All,
                    partitions: left.iter().map(|(partition, _)| partition.clone()).collect(),
                };
                let answers = self
                    .answered("produce", async { Ok(self.log.produce(request).await) })
                    .await;
                let mut last_error = None;
                match answers {
                    Ok(answers) => {
                        assert_eq!(answers.len(), left.len(), "one produce result per partition");
                        let mut again = Vec::new();
                        for ((partition, count), answer) in left.into_iter().zip(answers) {
                            match answer {
                                Ok(ack) => {
                                    ends.insert(
                                        partition.partition.clone(),
                                        ack.base_offset.plus(count as i64),
                                    );
                                }
                                // The sequence makes it safe to send the same bytes again, whether they arrived or not.
                                Err(error) if error.may_repeat() => {
                                    again.push((partition, count));
                                    last_error = Some(error);
                                }
                                Err(error) => return Err(error),
                            }
                        }
                        left = again;
                    }
                    Err(error) => last_error = Some(error),
                }
                let Some(error) = last_error else { break };
                if self.clock.monotonic() - started >= self.retry.delivery_timeout {
                    return Err(error);
                }
                self.clock.sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        }
        Ok(ends)
    }

    /// Puts offsets into the transaction. Repeating it writes the same offsets again.
    pub(crate) async fn txn_offset_commit(self, commit: TxnOffsetCommit) -> Result<(), LogError> {
        self.repeated(
            "commit of offsets in the transaction",
            LogError::may_repeat,
            || self.log.txn_offset_commit(commit.clone()),
        )
        .await
    }

    pub(crate) async fn offset_commit(
        self,
        group: GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), LogError> {
        self.repeated("commit of offsets", LogError::may_repeat, || {
            self.log.offset_commit(group.clone(), offsets.clone())
        })
        .await
    }

    /// Commits the transaction. Repeated only when it surely did not happen: an unknown outcome goes to the commit machine.
    pub(crate) async fn end_txn(
        self,
        id: TransactionalId,
        identity: ProducerIdentity,
        result: TxnResult,
    ) -> Result<ProducerIdentity, LogError> {
        let surely_not_done = |error: &LogError| matches!(error, LogError::Retriable(_));
        self.repeated("end of the transaction", surely_not_done, || {
            self.log.end_txn(id.clone(), identity, result)
        })
        .await
    }

    pub(crate) async fn init_producer_id(
        self,
        id: Option<TransactionalId>,
    ) -> Result<ProducerIdentity, LogError> {
        let timeout = self.retry.transaction_timeout;
        self.repeated("fencing of the transactional id", LogError::may_repeat, || {
            self.log.init_producer_id(id.clone(), timeout)
        })
        .await
    }

    pub(crate) async fn committed(
        self,
        group: GroupId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, LogError> {
        self.repeated("reading of committed offsets", LogError::may_repeat, || {
            self.log.offset_fetch(group.clone(), partitions.clone())
        })
        .await
    }

    pub(crate) async fn list_offsets(
        &self,
        asked: Vec<(TopicPartition, OffsetSpec)>,
    ) -> Result<Vec<Offset>, LogError> {
        self.repeated("listing of offsets", LogError::may_repeat, || {
            self.log.list_offsets(asked.clone())
        })
        .await
    }
}
