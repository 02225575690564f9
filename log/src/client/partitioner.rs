//! Which partition a record goes to, as Kafka's own clients decide it.
//!
//! Pure. The same key always goes to the same partition of the same number of partitions, in this client and in every other one.

use crate::types::PartitionId;

/// Murmur2 as Kafka's Java client computes it (seed `0x9747b28c`).
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * i);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partitions` (at least one).
///
/// ```
/// use millpond_log::client::partition_for_key;
///
/// assert_eq!(partition_for_key(b"21", 4), partition_for_key(b"21", 4));
/// ```
pub fn partition_for_key(key: &[u8], partitions: i32) -> PartitionId {
    PartitionId::new((murmur2(key) & 0x7fff_ffff) as i32 % partitions.max(1))
}
