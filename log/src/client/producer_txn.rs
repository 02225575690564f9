//! Transactions of a producer: begin, send offsets, commit, abort.
//!
//! Always true: `commit_transaction` says `Ok` only if every record sent since `begin_transaction` was acknowledged and the decision is carried out on
//! every partition. A transaction in which a record failed can only be aborted. An end whose answer was lost is asked again: the broker
//! answers it as the first time.

use std::time::Duration;

use crate::broker::{
    BrokerError, ErrorCode, ErrorKind, OffsetAndMetadata, ProducerIdentity, TxnOffsetCommit, TxnResult,
};
use crate::types::{GroupId, TopicPartition, TransactionalId};

use super::producer::Producer;

/// Where a producer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    /// Nothing begun.
    None,
    /// Begun, nothing sent to the broker for certain.
    Open,
    /// Begun, and offsets were sent.
    OpenWithOffsets,
}

impl Transaction {
    pub(super) fn is_open(self) -> bool {
        self != Self::None
    }
}

const END_ATTEMPTS: u32 = 5;

impl Producer {
    /// Begins a transaction. Records sent from here on belong to it. Errs with `InvalidTxnState` if one is open, or the producer is not transactional.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use millpond_log::broker::{Broker, BrokerOptions, OffsetAndMetadata};
    /// # use millpond_log::client::{Admin, Producer, ProducerOptions, ProducerRecord};
    /// # use millpond_log::types::{GroupId, Offset, TopicPartition};
    /// # let dir = tempfile::tempdir()?;
    /// # let broker = Broker::start(BrokerOptions::at(dir.path())).await?;
    /// # let admin = Admin::new(&broker);
    /// # let input = admin.create_topic("input", 1).await?.name;
    /// # let output = admin.create_topic("output", 1).await?.name;
    /// let mut producer = Producer::new(&broker, ProducerOptions::transactional("copier")).await?;
    /// producer.begin_transaction()?;
    /// let _ = producer.send(ProducerRecord::new(&output).value("result")).await?;
    /// let read_to = vec![(TopicPartition::new(input, 0), OffsetAndMetadata::new(Offset::new(5)))];
    /// producer.send_offsets(&GroupId::new("copiers"), read_to).await?;
    /// producer.commit_transaction().await?; // the record and the offset, or neither
    /// # broker.shutdown().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn begin_transaction(&mut self) -> Result<(), BrokerError> {
        self.transactional_id()?;
        if self.transaction.is_open() {
            return Err(BrokerError::new(
                ErrorCode::InvalidTxnState,
                "transaction is open already",
            ));
        }
        *self.shared.failed.lock() = None;
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Makes offsets of a group part of the transaction: they are committed if and only if it is. Errs as `txn_offset_commit` does; then only aborting
    /// is left. Cancel-safe: a dropped call may have sent them; they count only if the transaction commits.
    pub async fn send_offsets(
        &mut self,
        group: &GroupId,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), BrokerError> {
        let transactional_id = self.transactional_id()?;
        self.check_may_send()?;
        let ProducerIdentity {
            producer_id,
            producer_epoch,
        } = self.identity()?;
        self.transaction = Transaction::OpenWithOffsets;
        let group = group.clone();
        let commit = TxnOffsetCommit {
            transactional_id,
            group,
            producer_id,
            producer_epoch,
            offsets,
        };
        let sent = self.shared.broker.txn_offset_commit(commit).await;
        if let Err(error) = &sent {
            self.shared.failed.lock().get_or_insert_with(|| error.clone());
        }
        sent
    }

    /// Commits: waits for every record, then for the decision to be carried out on all partitions. A transaction in which nothing was sent is a no-op.
    ///
    /// Errs with the first failure of a record (abort then), with kind `Fenced` (give up this producer), or with an error whose
    /// `outcome_unknown()` is true: resolve it with a new producer of the same id and the committed offsets. Not cancel-safe: after a
    /// dropped call the outcome is unknown.
    pub async fn commit_transaction(&mut self) -> Result<(), BrokerError> {
        self.check_open()?;
        let flushed = self.flush().await;
        let failed = self.shared.failed.lock().clone();
        flushed.and(failed.map_or(Ok(()), Err))?;
        let used = self.shared.accumulator.lock().sent_in_transaction()
            || self.transaction == Transaction::OpenWithOffsets;
        if used {
            self.end(TxnResult::Commit).await?;
        }
        self.transaction = Transaction::None;
        Ok(())
    }

    /// Aborts: records that did not leave are dropped, those that did will never be seen by committed readers. Not cancel-safe: after a dropped
    /// call, abort again.
    pub async fn abort_transaction(&mut self) -> Result<(), BrokerError> {
        self.check_open()?;
        let discarded = self.shared.accumulator.lock().discard();
        let aborted = BrokerError::new(
            ErrorCode::InvalidTxnState,
            "transaction was aborted before the record was sent",
        );
        for batch in discarded {
            let (_, batch) = batch.seal();
            self.shared.memory.add_permits(batch.reserved);
            batch.finish(Err(aborted.clone()));
        }
        // What is in flight must be over before the marker, or it would be fenced; failures do not matter now.
        self.flush().await.ok();
        self.end(TxnResult::Abort).await?;
        *self.shared.failed.lock() = None;
        self.transaction = Transaction::None;
        Ok(())
    }

    async fn end(&mut self, result: TxnResult) -> Result<(), BrokerError> {
        let id = self.transactional_id()?;
        let ProducerIdentity {
            producer_id,
            producer_epoch,
        } = self.identity()?;
        let mut attempt = 0;
        let next = loop {
            attempt += 1;
            match self
                .shared
                .broker
                .end_txn(&id, producer_id, producer_epoch, result)
                .await
            {
                Ok(next) => break next,
                Err(error) if error.kind() == ErrorKind::Retriable && attempt < END_ATTEMPTS => {
                    let pause = self.shared.options.retry_backoff.min(Duration::from_secs(1));
                    self.shared.broker.clock().sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        };
        self.shared.accumulator.lock().adopt(next);
        Ok(())
    }

    fn transactional_id(&self) -> Result<TransactionalId, BrokerError> {
        let id = self.shared.options.transactional_id.clone();
        id.ok_or_else(|| BrokerError::new(ErrorCode::InvalidTxnState, "producer has no transactional id"))
    }

    /// The identity the next transactional request carries.
    fn identity(&self) -> Result<ProducerIdentity, BrokerError> {
        let identity = self.shared.accumulator.lock().identity;
        identity.ok_or_else(|| BrokerError::new(ErrorCode::InvalidTxnState, "producer has no identity"))
    }

    fn check_open(&self) -> Result<(), BrokerError> {
        if self.transaction.is_open() {
            return Ok(());
        }
        Err(BrokerError::new(
            ErrorCode::InvalidTxnState,
            "no transaction is open; call begin_transaction first",
        ))
    }

    pub(super) fn check_may_send(&self) -> Result<(), BrokerError> {
        if self.shared.options.transactional_id.is_none() {
            return Ok(());
        }
        self.check_open()?;
        // A record failed: the transaction cannot commit, so more records would be lost work.
        self.shared.failed.lock().clone().map_or(Ok(()), Err)
    }
}
