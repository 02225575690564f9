//! How a producer batches, waits and identifies itself.

use std::time::Duration;

use crate::broker::Acks;
use crate::record::Compression;
use crate::types::TransactionalId;

/// Settings of a [`Producer`](super::Producer). Defaults: idempotent, acknowledged when durable, not compressed, no linger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// A name that outlives the process: makes the producer transactional, and fences older producers of the same name.
    pub transactional_id: Option<TransactionalId>,
    /// How long a transaction may stay open before the broker aborts it. Default 1 minute.
    pub transaction_timeout: Duration,
    /// When a record counts as sent.
    pub acks: Acks,
    /// Codec of the batches.
    pub compression: Compression,
    /// How long a batch that is not full waits for more. Default 0: it leaves as soon as its partition has nothing in flight; while it
    /// is on its way the next one fills.
    pub linger: Duration,
    /// Size at which a batch is full, before compression. Default 256 KiB.
    pub batch_bytes: usize,
    /// Most bytes of records that were sent but not acknowledged; `send` waits when they are used up. Default 32 MiB.
    pub buffer_bytes: usize,
    /// How long a record is tried before it fails. Default 2 minutes.
    pub delivery_timeout: Duration,
    /// Pause before the first retry; it doubles up to a second. Default 100 ms.
    pub retry_backoff: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            acks: Acks::All,
            compression: Compression::None,
            linger: Duration::ZERO,
            batch_bytes: 256 << 10,
            buffer_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            retry_backoff: Duration::from_millis(100),
        }
    }
}

impl ProducerOptions {
    /// A transactional producer of that name.
    pub fn transactional(id: impl Into<TransactionalId>) -> Self {
        Self {
            transactional_id: Some(id.into()),
            ..Self::default()
        }
    }
}
