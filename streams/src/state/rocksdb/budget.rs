//! Memory of all RocksDBs of a process, under one limit.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::rocksdb::{Cache, LruCacheOptions, WriteBufferManager};
use parking_lot::{Condvar, Mutex};

use crate::state::StateError;

/// Buffers below this are not worth a flush.
const WORTH_A_FLUSH_BYTES: usize = 64 << 10;
/// RocksDB frees a buffer a moment after its flush is done, later when the machine is busy. Looked at this often, and no more than so many times: a scan that is open keeps a buffer, too.
const FREED_LOOK: Duration = Duration::from_millis(1);
const FREED_LOOKS_MAX: u32 = 250;
/// Less than this on its way out is not waited for.
const FREED_BYTES_MIN: usize = 256 << 10;
/// A part of the cache that evicts for itself is no smaller. Write buffers are charged in entries of 256 KiB that fall into the parts by chance: RocksDB's own choice, parts of 512
/// KiB, has room for two of them, and what is too much in one part is not taken from the others.
const CACHE_PART_BYTES: usize = 32 << 20;
/// And there are no more than 64.
const CACHE_PART_BITS_MAX: u32 = 6;

/// Block cache and write buffers that every task's database shares.
///
/// Index and filter blocks live in the cache, and write buffers are charged to it, so `cache_bytes` bounds the lot: blocks make room for write buffers, and
/// before a batch is written that would take the write buffers above their limit, the databases with the largest ones are flushed, whoever's they are. An idle
/// task that holds memory cannot do that by itself, and RocksDB's own stalling would wait for it for ever. Room is taken before a batch is written, so two batches never fill
/// the same; a batch that is larger than the limit of the write buffers is written alone, and takes its room from the blocks. A batch has what a task has committed since the one before: up to
/// [`StateLimits::apply_bytes`](crate::state::StateLimits) and one transaction
/// ([`StreamsConfig::uncommitted_bytes_max`](crate::runtime::StreamsConfig::uncommitted_bytes_max)). The whole limit is passed only by a batch that does not fit into what
/// empty databases leave of it, 0.17 MB a store, and by blocks that reads have in their hands.
///
/// What databases take while they are empty cannot be freed. Where it comes near the limit of the write buffers or is above it, batches still get a quarter of that limit on top: otherwise
/// every batch would flush every database of the process, and free nothing.
#[derive(Clone)]
pub struct RocksBudget {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    /// What a caller sees of the limits; clones share them.
    limits: Arc<Limits>,
    /// Locked while room is made: one flush after the other frees the most for the least.
    members: Arc<Mutex<Vec<Weak<dyn HoldsBuffers>>>>,
    rooms: Arc<Rooms>,
}

/// Room that batches have taken that are being written.
#[derive(Debug, Default)]
struct Rooms {
    bytes: Mutex<usize>,
    given_back: Condvar,
}

/// Room in the write buffers for one batch, until it is dropped: from then on the buffers themselves tell what they hold.
#[derive(Debug)]
pub(super) struct Room {
    rooms: Arc<Rooms>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        *self.rooms.bytes.lock() -= self.bytes;
        self.rooms.given_back.notify_all();
    }
}

#[derive(Debug)]
struct Limits {
    cache_bytes: AtomicUsize,
    write_buffer_bytes: AtomicUsize,
    /// What the open databases take at least.
    empty_bytes: AtomicUsize,
}

/// The write buffers of an open database that has written nothing, which no flush frees, until it is dropped.
#[derive(Debug)]
pub(super) struct EmptyBuffers {
    limits: Arc<Limits>,
    bytes: usize,
}

impl Drop for EmptyBuffers {
    fn drop(&mut self) {
        self.limits.empty_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A database of the budget.
pub(super) trait HoldsBuffers: Debug + Send + Sync {
    /// Bytes of its write buffers that are not flushed, as RocksDB tells: without the filters of the buffers, which stay.
    fn unflushed_bytes(&self) -> usize;
    /// Bytes a flush would free: the same, but for what it takes when they are empty.
    fn buffer_bytes(&self) -> usize;
    /// Flushes them.
    fn release(&self) -> Result<(), StateError>;
}

impl RocksBudget {
    /// What a process gets that asks for nothing else: 192 MiB, of them up to 96 MiB write buffers.
    pub const DEFAULT_CACHE_BYTES: usize = 192 << 20;
    /// See [`DEFAULT_CACHE_BYTES`](Self::DEFAULT_CACHE_BYTES).
    pub const DEFAULT_WRITE_BUFFER_BYTES: usize = 96 << 20;

    /// A budget of `limit_bytes` in all, of which write buffers take up to a half. One number is enough for most: blocks take what write buffers leave.
    pub fn limited(limit_bytes: usize) -> Self {
        Self::new(limit_bytes, limit_bytes / 2)
    }

    /// A budget of `cache_bytes` in all, of which write buffers take up to `write_buffer_bytes`.
    pub fn new(cache_bytes: usize, write_buffer_bytes: usize) -> Self {
        let mut options = LruCacheOptions::default();
        options.set_capacity(cache_bytes);
        let part_bits = (cache_bytes / CACHE_PART_BYTES).checked_ilog2().unwrap_or(0);
        options.set_num_shard_bits(part_bits.min(CACHE_PART_BITS_MAX) as i32);
        let cache = Cache::new_lru_cache_opts(&options);
        let write_buffers =
            WriteBufferManager::new_write_buffer_manager_with_cache(write_buffer_bytes, false, cache.clone());
        Self {
            cache,
            write_buffers,
            limits: Arc::new(Limits {
                cache_bytes: AtomicUsize::new(cache_bytes),
                write_buffer_bytes: AtomicUsize::new(write_buffer_bytes),
                empty_bytes: AtomicUsize::new(0),
            }),
            members: Arc::default(),
            rooms: Arc::default(),
        }
    }

    /// Most bytes of it all.
    pub fn limit_bytes(&self) -> usize {
        self.limits.cache_bytes.load(Ordering::Relaxed)
    }

    /// Changes the limit as if the budget had been [`limited`](Self::limited) by it, also while databases are open: blocks are dropped at once, and the largest write buffers are
    /// flushed if they have to be.
    pub fn set_limit_bytes(&self, limit_bytes: usize) {
        self.limits.cache_bytes.store(limit_bytes, Ordering::Relaxed);
        self.limits
            .write_buffer_bytes
            .store(limit_bytes / 2, Ordering::Relaxed);
        self.write_buffers.set_buffer_size(limit_bytes / 2);
        self.cache.clone().set_capacity(limit_bytes);
        drop(self.make_room(0));
    }

    /// Bytes of cached blocks and charged write buffers.
    pub fn used_bytes(&self) -> usize {
        self.cache.get_usage()
    }

    /// Bytes of write buffers.
    pub fn write_buffer_bytes(&self) -> usize {
        self.write_buffers.get_usage()
    }

    /// What all open databases take while they are empty.
    fn empty_bytes(&self) -> usize {
        self.limits.empty_bytes.load(Ordering::Relaxed)
    }

    /// Counts what a database takes while it is empty.
    pub(super) fn add_empty(&self, bytes: usize) -> EmptyBuffers {
        self.limits.empty_bytes.fetch_add(bytes, Ordering::Relaxed);
        EmptyBuffers {
            limits: Arc::clone(&self.limits),
            bytes,
        }
    }

    /// From now on `member` is flushed when others need its memory.
    pub(super) fn join(&self, member: &Arc<impl HoldsBuffers + 'static>) {
        let member: Weak<dyn HoldsBuffers> = Arc::downgrade(member) as Weak<dyn HoldsBuffers>;
        let mut members = self.members.lock();
        members.retain(|known| known.strong_count() > 0);
        members.push(member);
    }

    /// Takes room for a batch of `bytes`: flushes databases until it fits into the write buffers, or nothing is left that is worth a flush, and then waits until what was flushed is
    /// freed and it is the only one. A database that cannot be flushed is left out: its own task will find that out, and this one is not to blame.
    #[must_use = "the room is given back when this is dropped"]
    pub(super) fn make_room(&self, bytes: usize) -> Room {
        if let Some(room) = self.take_room(bytes) {
            return room;
        }
        // Held while waiting: others that need a flush come behind.
        let members = self.members.lock();
        let mut looks = 0;
        loop {
            let known = members.iter().filter_map(Weak::upgrade);
            let mut largest: Vec<(usize, Arc<dyn HoldsBuffers>)> = known
                .map(|member| (member.buffer_bytes(), member))
                .filter(|(bytes, _)| *bytes >= WORTH_A_FLUSH_BYTES)
                .collect();
            largest.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
            for (held, member) in largest {
                if let Some(room) = self.take_room(bytes) {
                    return room;
                }
                if let Err(error) = member.release() {
                    tracing::warn!(?member, held, %error, "write buffers could not be flushed for others");
                }
            }
            let known = members.iter().filter_map(Weak::upgrade);
            let unflushed: usize = known.map(|member| member.unflushed_bytes()).sum();
            let mut taken = self.rooms.bytes.lock();
            let staying = unflushed.saturating_add(self.empty_bytes());
            let leaving = self.write_buffers.get_usage().saturating_sub(staying);
            if self.fits(*taken, bytes) {
                return self.room(&mut taken, bytes);
            }
            if *taken > 0 {
                // Whoever has room is writing, and needs nothing of this one for that.
                self.rooms.given_back.wait(&mut taken);
            } else if leaving >= FREED_BYTES_MIN && looks < FREED_LOOKS_MAX {
                looks += 1;
                self.rooms.given_back.wait_for(&mut taken, FREED_LOOK);
            } else {
                return self.room(&mut taken, bytes);
            }
        }
    }

    /// Room for a batch of `bytes`, if there is.
    fn take_room(&self, bytes: usize) -> Option<Room> {
        let mut taken = self.rooms.bytes.lock();
        self.fits(*taken, bytes).then(|| self.room(&mut taken, bytes))
    }

    fn fits(&self, taken: usize, bytes: usize) -> bool {
        let limit = self.limits.write_buffer_bytes.load(Ordering::Relaxed);
        let empty = self.empty_bytes();
        let limit = limit.max(empty.saturating_add(limit / 4));
        let used = self.write_buffers.get_usage().saturating_add(taken);
        used.saturating_add(bytes) <= limit
    }

    fn room(&self, taken: &mut usize, bytes: usize) -> Room {
        *taken += bytes;
        Room {
            rooms: Arc::clone(&self.rooms),
            bytes,
        }
    }
}

impl std::fmt::Debug for RocksBudget {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RocksBudget")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "budget_test.rs"]
mod budget_test;
