//! Memory of all RocksDBs of a process, under one limit.

use std::fmt::Debug;
use std::sync::{Arc, Weak};

use ::rocksdb::{Cache, WriteBufferManager};
use parking_lot::Mutex;

use crate::state::StateError;

/// Buffers below this are not worth a flush.
const WORTH_A_FLUSH_BYTES: usize = 64 << 10;

/// Block cache and write buffers that every task's database shares.
///
/// Index and filter blocks live in the cache, and write buffers are charged to it, so `cache_bytes` bounds the lot: blocks make room for write buffers, and
/// before a batch is written that would take the write buffers above their limit, the databases with the largest ones are flushed, whoever's they are. An idle
/// task that holds memory cannot do that by itself, and RocksDB's own stalling would wait for it for ever. On top of the limit come the batches that are
/// being written in this moment, each bounded by [`StateLimits::apply_bytes`](crate::state::StateLimits), blocks that a read has in its hands, and what databases take
/// while they are empty, about 0.3 MB a task.
#[derive(Clone)]
pub struct RocksBudget {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    cache_bytes: usize,
    write_buffer_bytes_max: usize,
    /// Locked while room is made: one flush after the other frees the most for the least.
    members: Arc<Mutex<Vec<Weak<dyn HoldsBuffers>>>>,
}

/// A database of the budget.
pub(super) trait HoldsBuffers: Debug + Send + Sync {
    /// Bytes a flush would free: its write buffers, but for what it takes when they are empty.
    fn buffer_bytes(&self) -> usize;
    /// Flushes them.
    fn release(&self) -> Result<(), StateError>;
}

impl RocksBudget {
    /// What a process gets that asks for nothing else: 192 MiB, of them up to 96 MiB write buffers.
    pub const DEFAULT_CACHE_BYTES: usize = 192 << 20;
    /// See [`DEFAULT_CACHE_BYTES`](Self::DEFAULT_CACHE_BYTES).
    pub const DEFAULT_WRITE_BUFFER_BYTES: usize = 96 << 20;

    /// A budget of `cache_bytes` in all, of which write buffers take up to `write_buffer_bytes`.
    pub fn new(cache_bytes: usize, write_buffer_bytes: usize) -> Self {
        let cache = Cache::new_lru_cache(cache_bytes);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(write_buffer_bytes, false, cache.clone());
        Self {
            cache,
            write_buffers,
            cache_bytes,
            write_buffer_bytes_max: write_buffer_bytes,
            members: Arc::default(),
        }
    }

    /// Bytes of cached blocks and charged write buffers.
    pub fn used_bytes(&self) -> usize {
        self.cache.get_usage()
    }

    /// Bytes of write buffers.
    pub fn write_buffer_bytes(&self) -> usize {
        self.write_buffers.get_usage()
    }

    /// From now on `member` is flushed when others need its memory.
    pub(super) fn join(&self, member: &Arc<impl HoldsBuffers + 'static>) {
        let member: Weak<dyn HoldsBuffers> = Arc::downgrade(member) as Weak<dyn HoldsBuffers>;
        let mut members = self.members.lock();
        members.retain(|known| known.strong_count() > 0);
        members.push(member);
    }

    /// Flushes databases until a batch of `bytes` fits into the write buffers, or nothing is left that is worth a flush. A database that cannot be flushed is left
    /// out: its own task will find that out, and this one is not to blame.
    pub(super) fn make_room(&self, bytes: usize) {
        let fits = || self.write_buffers.get_usage().saturating_add(bytes) <= self.write_buffer_bytes_max;
        if fits() {
            return;
        }
        let members = self.members.lock();
        let mut largest: Vec<(usize, Arc<dyn HoldsBuffers>)> = members
            .iter()
            .filter_map(Weak::upgrade)
            .map(|member| (member.buffer_bytes(), member))
            .filter(|(bytes, _)| *bytes >= WORTH_A_FLUSH_BYTES)
            .collect();
        largest.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (held, member) in largest {
            if fits() {
                break;
            }
            if let Err(error) = member.release() {
                tracing::warn!(?member, held, %error, "write buffers could not be flushed for others");
            }
        }
    }
}

impl std::fmt::Debug for RocksBudget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RocksBudget")
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "budget_test.rs"]
mod budget_test;
