//! Memory of all RocksDBs of a process, under one limit.

use ::rocksdb::{Cache, WriteBufferManager};

/// Block cache and write buffers that every task's database shares.
///
/// Index and filter blocks live in the cache, and write buffers are charged to it, so `cache_bytes` bounds the lot.
/// Neither limit makes a call fail or wait: RocksDB's stalling write-buffer manager waits for a flush that only the
/// database holding the memory can start, and an idle task would never start it. A full budget flushes early instead;
/// what a batch needs on top is bounded by [`StateLimits::apply_bytes`](crate::state::StateLimits).
#[derive(Clone)]
pub struct RocksBudget {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    cache_bytes: usize,
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
}

impl std::fmt::Debug for RocksBudget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RocksBudget")
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}
