//! Which left entries want which right ones, by right key.
//!
//! ```text
//! store key    length of the right key u32 big-endian | right key | left key
//! store value  envelope around: partition i32 | 0, or 1 and hash (16)
//! ```
//! The length comes first, so that a right key's subscribers are exactly the entries behind one prefix.

use millpond_log::types::Timestamp;

use super::hash::ValueHash;
use super::messages::{put_hash, take_hash};
use crate::processor::BoxError;
use crate::serde::{SerdeError, SerdeRef};
use crate::state::ValueEnvelope;

/// Store keys out of right and left keys, and back.
pub(in crate::dsl) struct SubscriptionKeys<K, KO> {
    pub(in crate::dsl) left: SerdeRef<K>,
    pub(in crate::dsl) right: SerdeRef<KO>,
}

impl<K, KO> Clone for SubscriptionKeys<K, KO> {
    fn clone(&self) -> Self {
        SubscriptionKeys {
            left: self.left.clone(),
            right: self.right.clone(),
        }
    }
}

/// A stored subscription that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("stored subscription is cut short")]
struct DamagedSubscription;

impl<K: 'static, KO: 'static> SubscriptionKeys<K, KO> {
    /// Appends what all subscribers of a right key start with.
    pub(super) fn append_prefix(&self, right: &KO, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        self.right.serialize(right, out)?;
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    /// Appends the store key of a subscription.
    pub(super) fn append(&self, right: &KO, left: &K, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.append_prefix(right, out)?;
        self.left.serialize(left, out)
    }

    /// The left key of a store key that starts with a prefix of `prefix_len` bytes.
    pub(super) fn left_of(&self, store_key: &[u8], prefix_len: usize) -> Result<K, BoxError> {
        let left = store_key.get(prefix_len..).ok_or(DamagedSubscription)?;
        Ok(self.left.deserialize(left)?)
    }
}

/// Appends the stored form of a subscription.
pub(super) fn append_value(
    timestamp: Timestamp,
    partition: i32,
    hash: Option<&ValueHash>,
    out: &mut Vec<u8>,
) {
    let mut value = partition.to_be_bytes().to_vec();
    put_hash(hash, &mut value);
    ValueEnvelope::append_plain(timestamp, &value, out);
}

/// Partition and hash of a stored subscription.
pub(super) fn read_value(stored: &[u8]) -> Result<(i32, Option<ValueHash>), BoxError> {
    let value = ValueEnvelope::parse(stored)?.value;
    let read = || {
        let (partition, rest) = value.split_first_chunk::<4>()?;
        let (hash, _) = take_hash(rest)?;
        Some((i32::from_be_bytes(*partition), hash))
    };
    Ok(read().ok_or(DamagedSubscription)?)
}
