//! Asking for a new epoch of one's own identity, on coordinators that are not ours.
//!
//! InitProducerId with an identity (KIP-360) is meant for a producer that has ended its transaction. Apache Kafka's coordinator, asked so while one is
//! open, aborts it under an epoch that it gives to nobody and answers CONCURRENT_TRANSACTIONS; asked again, it calls the owner fenced. It does the same
//! to the open transaction of a *newer* instance, since while one is open it compares producer ids only. So the claim goes by way of EndTxn, which is
//! strict about epochs:
//!
//! ```text
//!   EndTxn(abort) ─── done ──► TV2: the answer is the new epoch         older: InitProducerId(own)
//!        │
//!        ├── INVALID_TXN_STATE: committed already, or nothing was open ─► InitProducerId(own)
//!        └── fenced: a newer instance, or the coordinator gave a transaction up that was open for too long ─► DescribeTransactions tells which
//! ```
//! Always true: behind an answer nothing of the older epoch can happen any more, a late EndTxn included. `Unknown` comes out only when a repetition may be
//! called fenced although nobody else is there: the caller takes the transactional id then, from whoever has it. An abort whose answer was lost is not
//! such a case, since EndTxn answers its repetition as the first time; so an instance that was cut off for a while does not hurt the newer one.

use std::time::Duration;

use millpond_log::broker::{ProducerIdentity, TxnResult};
use millpond_log::types::TransactionalId;

use super::RemoteLog;
use super::code;
use super::transactions::identity_after;
use crate::runtime::log_client::LogError;

impl RemoteLog {
    pub(super) async fn claim(
        &self,
        id: &TransactionalId,
        timeout: Duration,
        own: ProducerIdentity,
    ) -> Result<ProducerIdentity, LogError> {
        let tv2 = self.has_tv2(id).await?;
        let had_open = self.producers.has_open(id, own);
        let aborted = self.ask_to_end(id, own, TxnResult::Abort, tv2).await;
        let answer = aborted.map_err(may_be_repeated)?;
        match code::check(
            answer.error_code,
            &format!("claiming transactional id {id}"),
            None,
        ) {
            Ok(()) if tv2 => {
                self.producers.introduced(id);
                return Ok(identity_after(&answer, own, tv2));
            }
            Ok(()) => {}
            Err(_) if answer.error_code == code::INVALID_TXN_STATE => {}
            Err(LogError::Fenced(text)) => {
                let found = self.describe_transaction(id).await.map_err(may_be_repeated)?;
                return match found {
                    // Forgotten, with whatever was open: there is nobody to fence it from.
                    None => self.init(Some(id.clone()), timeout, Some(own)).await,
                    Some(state) => {
                        let found = Found {
                            producer_id: state.producer_id.0,
                            producer_epoch: state.producer_epoch,
                            aborted: matches!(
                                state.transaction_state.as_str(),
                                "PrepareAbort" | "CompleteAbort"
                            ),
                        };
                        match had_open && given_up(own, tv2, found) {
                            true => self.init(Some(id.clone()), timeout, None).await,
                            false => Err(LogError::Fenced(text)),
                        }
                    }
                };
            }
            Err(error) => return Err(may_be_repeated(error)),
        }
        let claimed = self.init(Some(id.clone()), timeout, Some(own)).await;
        match claimed {
            // A write that was late may have opened the transaction again, and then this request has moved the epoch on without telling it.
            Err(LogError::Retriable(text)) if !tv2 => Err(LogError::Unknown(text)),
            claimed => claimed,
        }
    }
}

/// An error of a step that can be taken again, whether it was taken or not.
fn may_be_repeated(error: LogError) -> LogError {
    match error {
        LogError::Unknown(text) => LogError::Retriable(text),
        error => error,
    }
}

/// What the coordinator says of a transactional id.
#[derive(Debug, Clone, Copy)]
struct Found {
    producer_id: i64,
    producer_epoch: i16,
    aborted: bool,
}

/// Whether the transaction that was open under `own` was aborted by the coordinator, and nobody has the transactional id since.
///
/// Aborting what was open for too long moves the epoch once for the fence and, with TV2, once more for the end. A newer instance that takes over
/// passes through the same place, on its way to an epoch one higher: then taking the id fences nobody, for that instance is still asking.
fn given_up(own: ProducerIdentity, tv2: bool, found: Found) -> bool {
    let moved = if tv2 { 2 } else { 1 };
    let epoch = own.producer_epoch.get();
    found.aborted
        && found.producer_id == own.producer_id.get()
        && epoch.checked_add(moved) == Some(found.producer_epoch)
}

#[cfg(test)]
#[path = "claim_test.rs"]
mod claim_test;
