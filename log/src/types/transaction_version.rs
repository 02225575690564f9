//! Which transaction protocol a client speaks, as the version of its request tells (KIP-890).
//!
//! Always true: only `V2` bumps the epoch when a transaction ends and adds partitions without being asked; a client may change between two
//! requests (it follows the finalized `transaction.version`), so nothing but the request at hand says which it is.

/// The transaction protocol of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TransactionVersion {
    /// Before KIP-890 (librdkafka, Java before 3.8): partitions are added by their own request, the epoch stays the same from one transaction to the
    /// next, and `TRANSACTION_ABORTABLE` is not understood.
    V0,
    /// The same, but `TRANSACTION_ABORTABLE` is understood.
    V1,
    /// The epoch is bumped by every end, and writing adds partitions by itself.
    #[default]
    V2,
}

impl TransactionVersion {
    /// Of a Produce request.
    pub const fn of_produce(api_version: i16) -> Self {
        Self::by_version(api_version, 11)
    }

    /// Of an EndTxn request.
    pub const fn of_end_txn(api_version: i16) -> Self {
        Self::by_version(api_version, 4)
    }

    /// Of a TxnOffsetCommit request.
    pub const fn of_txn_offset_commit(api_version: i16) -> Self {
        Self::by_version(api_version, 4)
    }

    /// `V1` came with one version of each request, `V2` with the next.
    const fn by_version(api_version: i16, first_v1: i16) -> Self {
        if api_version > first_v1 {
            Self::V2
        } else if api_version == first_v1 {
            Self::V1
        } else {
            Self::V0
        }
    }

    /// True if an end bumps the epoch and a write adds its partition.
    pub const fn is_v2(self) -> bool {
        matches!(self, Self::V2)
    }

    /// True if the client may be told `TRANSACTION_ABORTABLE`.
    pub const fn knows_abortable(self) -> bool {
        !matches!(self, Self::V0)
    }

    /// The number in Kafka's transaction log, which knows 0 and 2 only.
    pub const fn logged(self) -> i16 {
        if self.is_v2() { 2 } else { 0 }
    }

    /// The protocol of that number in Kafka's transaction log.
    pub const fn from_logged(number: i16) -> Self {
        if number >= 2 { Self::V2 } else { Self::V0 }
    }
}
