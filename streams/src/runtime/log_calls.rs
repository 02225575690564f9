//! Requests of a worker with their retries: each is repeated only while that is safe, and answers the one question that matters, did it happen?
//!
//! Every method returns a future that owns what it needs, so a worker can go on processing while it is in flight.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use millpond_log::broker::{
    Acks, OffsetAndMetadata, OffsetSpec, ProducePartition, ProduceRequest, ProducerIdentity,
    TopicDescription, TxnOffsetCommit, TxnResult,
};
use millpond_log::clock::Clock;
use millpond_log::types::{GroupId, Offset, TopicName, TopicPartition, TransactionalId};

use super::config::StreamsConfig;
use super::log_client::{LogClient, LogError};
use super::record_collector::Round;
use crate::processor::TopicRules;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    /// One request without an answer for this long has an unknown outcome.
    pub(crate) request_timeout: Duration,
    /// A step of the commit ends this long after its first attempt.
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
    /// The same for whoever waits for a start: with the patience of `start_timeout`.
    pub(crate) fn of_start(&self, config: &StreamsConfig) -> LogCalls {
        let mut calls = self.clone();
        calls.retry.delivery_timeout = config.start_timeout.min(config.delivery_timeout);
        calls
    }

    /// Waits for an answer, but not for ever: no longer than the rest of the time for the step that began at `started`, or the last of many
    /// attempts would take a step beyond its time.
    async fn answered<T>(
        &self,
        what: &str,
        started: Duration,
        request: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let patience = self.time_left(started).min(self.retry.request_timeout);
        match select(std::pin::pin!(request), self.clock.sleep(patience)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(LogError::Unknown(format!(
                "{what} had no answer within {patience:?}"
            ))),
        }
    }

    /// What is left of the time for a step that began at `started`.
    fn time_left(&self, started: Duration) -> Duration {
        let spent = self.clock.monotonic().saturating_sub(started);
        self.retry.delivery_timeout.saturating_sub(spent)
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
            let error = match self.answered(what, started, request()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !again(&error) {
                return Err(error);
            }
            if !self.paused(started, &mut pause).await {
                return Err(self.gave_up(what, error));
            }
            tracing::debug!(what, %error, "repeating a request");
        }
    }

    /// The last of many failures, which says by itself neither that there were others nor for how long.
    fn gave_up(&self, what: &str, error: LogError) -> LogError {
        let patience = self.retry.delivery_timeout;
        let told = |text| format!("{text}; {what} was repeated for {patience:?}");
        match error {
            LogError::Retriable(text) => LogError::Retriable(told(text)),
            LogError::Unknown(text) => LogError::Unknown(told(text)),
            other => other,
        }
    }

    /// Waits before a repetition, longer each time. `false`: there is no time left for one.
    async fn paused(&self, started: Duration, pause: &mut Duration) -> bool {
        if self.time_left(started) <= *pause {
            return false;
        }
        self.clock.sleep(*pause).await;
        *pause = (*pause * 2).min(BACKOFF_MAX);
        true
    }

    /// Sends the rounds one after another. Returns per partition the offset after its last record.
    pub(crate) async fn produce(
        self,
        transactional_id: Option<TransactionalId>,
        rounds: Vec<Round>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, ProduceFailed> {
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
                    ..ProduceRequest::default()
                };
                let answers = self
                    .answered("produce", started, async { Ok(self.log.produce(request).await) })
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
                                Err(LogError::TooLarge(text)) => {
                                    return Err(ProduceFailed::too_large(&partition, count, &text));
                                }
                                Err(error) => return Err(error.into()),
                            }
                        }
                        left = again;
                    }
                    Err(error) => last_error = Some(error),
                }
                let Some(error) = last_error else { break };
                if !self.paused(started, &mut pause).await {
                    return Err(error.into());
                }
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

    /// Takes a producer id; with a transactional id from whoever has it.
    pub(crate) async fn init_producer_id(
        self,
        id: Option<TransactionalId>,
    ) -> Result<ProducerIdentity, LogError> {
        let timeout = self.retry.transaction_timeout;
        self.repeated("fencing of the transactional id", LogError::may_repeat, || {
            self.log.init_producer_id(id.clone(), timeout, None)
        })
        .await
    }

    /// Asks for a new epoch of the identity `own` (KIP-360), which aborts what is open under it. `Fenced`: somebody else took the
    /// transactional id.
    ///
    /// A request that had no answer may have been carried out, and then the next one is refused although nobody else is there: the epoch it
    /// names is not the newest any more. From then on (`in_doubt` when that was in an earlier call) a refusal is answered by taking the
    /// transactional id from whoever has it. That is no guess about the transaction, whose outcome is read from the committed offsets
    /// behind either fence; it only costs a newer instance its life, should one have started in the same moment.
    pub(crate) async fn fence(
        self,
        id: TransactionalId,
        own: ProducerIdentity,
        mut in_doubt: bool,
    ) -> Result<ProducerIdentity, LogError> {
        let what = "fencing of the transactional id";
        let timeout = self.retry.transaction_timeout;
        let started = self.clock.monotonic();
        let mut pause = BACKOFF_MIN;
        let mut claim = Some(own);
        loop {
            let request = self.log.init_producer_id(Some(id.clone()), timeout, claim);
            let error = match self.answered(what, started, request).await {
                Ok(identity) => return Ok(identity),
                Err(error) => error,
            };
            match &error {
                LogError::Fenced(_) if in_doubt && claim.is_some() => {
                    claim = None;
                    continue;
                }
                LogError::Unknown(_) => in_doubt = true,
                LogError::Retriable(_) => {}
                _ => return Err(error),
            }
            if !self.paused(started, &mut pause).await {
                // The doubt must reach the next call, whatever the last answer was.
                return Err(match in_doubt {
                    true => LogError::Unknown(error.to_string()),
                    false => error,
                });
            }
            tracing::debug!(what, %error, "repeating a request");
        }
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

    /// Those of the topics that exist.
    pub(crate) async fn describe_topics(
        &self,
        names: Vec<TopicName>,
    ) -> Result<Vec<TopicDescription>, LogError> {
        self.repeated("describing of topics", LogError::may_repeat, || {
            self.log.describe_topics(names.clone())
        })
        .await
    }

    pub(crate) async fn knows_transactional_id(&self, id: TransactionalId) -> Result<bool, LogError> {
        self.repeated("looking for a transactional id", LogError::may_repeat, || {
            self.log.knows_transactional_id(id.clone())
        })
        .await
    }

    pub(crate) async fn topic_rules(
        &self,
        names: Vec<TopicName>,
    ) -> Result<BTreeMap<TopicName, TopicRules>, LogError> {
        self.repeated("reading of topics' settings", LogError::may_repeat, || {
            self.log.topic_rules(names.clone())
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

/// Why batches were not taken.
#[derive(Debug, Clone)]
pub(crate) struct ProduceFailed {
    pub(crate) error: LogError,
    /// The batch that is above its topic's limit, when that is the reason.
    pub(crate) too_large: Option<TooLargeBatch>,
}

/// A batch the log did not take for its size.
#[derive(Debug, Clone)]
pub(crate) struct TooLargeBatch {
    pub(crate) topic: TopicName,
    pub(crate) size: usize,
    pub(crate) records: usize,
}

impl From<LogError> for ProduceFailed {
    fn from(error: LogError) -> ProduceFailed {
        ProduceFailed {
            error,
            too_large: None,
        }
    }
}

impl ProduceFailed {
    fn too_large(batch: &ProducePartition, records: usize, said: &str) -> ProduceFailed {
        ProduceFailed {
            error: LogError::TooLarge(too_large(batch, records, said)),
            too_large: Some(TooLargeBatch {
                topic: batch.partition.topic.clone(),
                size: batch.batches.len(),
                records,
            }),
        }
    }
}

/// What is wrong with a batch above its topic's limit, and what helps. The limit itself is in `said`, the log's own sentence.
fn too_large(batch: &ProducePartition, records: usize, said: &str) -> String {
    let (topic, size) = (&batch.partition.topic, batch.batches.len());
    let helps = match records {
        1 => "make the record smaller",
        _ => "lower the application's `batch_bytes`",
    };
    format!(
        "topic {topic} does not take a batch of {size} bytes with {records} record(s), its `max.message.bytes` is lower ({said}); raise it or {helps}"
    )
}
