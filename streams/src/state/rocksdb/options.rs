//! How a task's database is set up, and why.

use ::rocksdb::{BlockBasedOptions, DBCompressionType, LogLevel, Options, WriteOptions};

use super::RocksBudget;

/// A store's write buffer is flushed when it is as large.
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// And its bloom filter has this part of it, from the beginning.
const WRITE_BUFFER_PER_FILTER: usize = 100;
/// What an empty write buffer takes: its filter, and the first block of its arena.
pub(super) const EMPTY_STORE_BYTES: usize = WRITE_BUFFER_BYTES / WRITE_BUFFER_PER_FILTER + (2 << 10);

/// Settings of the database itself.
pub(super) fn database(budget: &RocksBudget) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // Without a WAL a flush is what makes data durable; atomic over all stores, so that whatever RocksDB decides to
    // flush by itself is one point in history, with its position.
    options.set_atomic_flush(true);
    options.set_write_buffer_manager(&budget.write_buffers);
    // Threads are RocksDB's own and shared by all databases of the process.
    options.set_max_background_jobs(2);
    options.set_max_open_files(512);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options
}

/// Settings of one store.
pub(super) fn store(budget: &RocksBudget) -> Options {
    let mut options = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&budget.cache);
    // Otherwise their memory is outside every limit.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // A key seen for the first time is the common miss.
    blocks.set_bloom_filter(10.0, false);
    blocks.set_whole_key_filtering(true);
    blocks.set_optimize_filters_for_memory(true);
    blocks.set_block_size(16 << 10);
    options.set_block_based_table_factory(&blocks);
    options.set_memtable_prefix_bloom_ratio(1.0 / WRITE_BUFFER_PER_FILTER as f64);
    options.set_memtable_whole_key_filtering(true);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    // A node has a hundred stores that are nearly idle: what each takes at least counts. The bloom filter takes most of it.
    options.set_arena_block_size(32 << 10);
    options.set_max_write_buffer_number(3);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

/// Every write: the changelog is the log, a WAL would be a second one.
pub(super) fn write() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    // A batch comes sorted: each insert starts where the one before ended.
    options.set_memtable_insert_hint_per_batch(true);
    options
}
