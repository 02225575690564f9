//! A Kafka-Streams-style DSL for Rust on the millpond log, with RocksDB state and exactly-once.
//!
//! ```
//! use std::time::Duration;
//! use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
//! use millpond_streams::testing::TopologyTestDriver;
//!
//! // Count words per minute.
//! let builder = StreamsBuilder::new();
//! builder
//!     .stream::<(), String>("lines")
//!     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .group_by(|_, word| word.clone())
//!     .windowed_by(TimeWindows::of(Duration::from_secs(60)).grace(Duration::from_secs(5)))
//!     .count("words-per-minute")
//!     .updates()
//!     .map(|windowed, count| (windowed.key, count))
//!     .to("counts");
//!
//! // The same topology runs on a node or a cluster; here in memory, by hand.
//! let mut driver = TopologyTestDriver::new(&builder.build()?)?;
//! let (lines, counts) = (driver.input::<(), String>("lines"), driver.output::<String, u64>("counts"));
//! driver.pipe(&lines, (), "to be or not to be".to_owned(), 1_000)?;
//! let found = driver.read_pairs(&counts)?;
//! assert!(found.contains(&("be".to_owned(), 2)) && found.contains(&("or".to_owned(), 1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From Kafka Streams
//!
//! `docs/streams.md` sets everything Kafka Streams has beside what is here, with the test that shows it; in short:
//!
//! | Kafka Streams | here |
//! | --- | --- |
//! | `StreamsBuilder.stream(topic, Consumed.with(..))` | [`builder.stream::<K, V>(topic)`](dsl::StreamsBuilder::stream), [`stream_with`](dsl::StreamsBuilder::stream_with) |
//! | `builder.table(topic, Materialized.as(name))` | [`builder.table::<K, V>(topic, name)`](dsl::StreamsBuilder::table) |
//! | `mapValues`, `flatMap`, `filterNot`, `selectKey`, `peek`, `foreach` | [`map_values`](dsl::KStream::map_values), [`flat_map`](dsl::KStream::flat_map), … `for_each` |
//! | an exception in a lambda, `ProcessingExceptionHandler` | [`try_map_values`](dsl::KStream::try_map_values) and its kin, [`ErrorPolicy`](config::ErrorPolicy) |
//! | `split().branch(p, Branched.as(n)).defaultBranch()` | [`split(name)`](dsl::KStream::split), [`branch`](dsl::SplitStream::branch), [`default_branch`](dsl::SplitStream::default_branch) |
//! | `groupBy(..).count(Materialized.as(name))` | [`group_by(..).count(name)`](dsl::KGroupedStream::count): the name is not optional |
//! | `TimeWindows.ofSizeAndGrace(s, g).advanceBy(h)` | [`TimeWindows::of(s).advance_by(h).grace(g)`](dsl::TimeWindows) |
//! | `SlidingWindows`, `UnlimitedWindows`, `SessionWindows` | [`SlidingWindows::of_time_difference(d).grace(g)`](dsl::SlidingWindows), [`UnlimitedWindows`](dsl::UnlimitedWindows), [`SessionWindows::with_inactivity_gap(d).grace(g)`](dsl::SessionWindows) |
//! | `emitStrategy(EmitStrategy.onWindowClose())` | [`emit_strategy(EmitStrategy::on_window_close())`](dsl::EmitStrategy), and early results with [`every`](dsl::EmitStrategy::every) |
//! | `grouped.cogroup(a).cogroup(other, b).aggregate(i)` | [`grouped.cogroup(a).cogroup(&other, b).aggregate(name, i)`](dsl::CogroupedKStream), also [`windowed_by`](dsl::CogroupedKStream::windowed_by) |
//! | `stream.join(other, joiner, JoinWindows, StreamJoined.as(name))`, `leftJoin`, `outerJoin` | [`join`](dsl::KStream::join), [`left_join`](dsl::KStream::left_join), [`outer_join`](dsl::KStream::outer_join), with [`StreamJoined::named`](dsl::StreamJoined::named) |
//! | `stream.join(table, joiner, Joined.with(..))`, grace on versioned tables | [`join_table`](dsl::KStream::join_table), [`left_join_table`](dsl::KStream::left_join_table), [`Joined::grace`](dsl::Joined::grace) |
//! | `builder.globalTable(topic)`, `stream.join(globalTable, mapper, joiner)` | [`builder.global_table(topic, name)`](dsl::StreamsBuilder::global_table), [`join_global_table`](dsl::KStream::join_global_table), [`left_join_global_table`](dsl::KStream::left_join_global_table) |
//! | `Stores.persistentVersionedKeyValueStore(name, retention)` | [`Materialized::versioned(retention)`](dsl::Materialized::versioned) |
//! | `VersionedKeyQuery`, `MultiVersionedKeyQuery` | [`get_as_of`](query::StoreView::get_as_of), [`versions`](query::StoreView::versions) |
//! | returning `null` from a reducer or aggregator | returning `None` |
//! | `null` keys and values | `Option<_>` as the stream's type; other types never see null |
//! | `stream.toTable(Materialized.as(name))` | [`to_table(name)`](dsl::KStream::to_table), [`to_table_with_tombstones`](dsl::KStream::to_table_with_tombstones) |
//! | `KTable.filter`, `mapValues`, with `Materialized.as(name)` | [`filter`](dsl::KTable::filter), [`map_values`](dsl::KTable::map_values), [`filter_with(name, ..)`](dsl::KTable::filter_with), … |
//! | `KTable.transformValues(..)` | [`transform_values`](dsl::KTable::transform_values) with a [`ValueTransformerWithKey`](dsl::ValueTransformerWithKey) |
//! | `KTable.groupBy(..).aggregate(init, adder, subtractor)` | [`group_by(..)`](dsl::KTable::group_by)[`.aggregate(name, init, add, subtract)`](dsl::KGroupedTable::aggregate) |
//! | `KTable.join`, `leftJoin`, `outerJoin` | [`join`](dsl::KTable::join), [`left_join`](dsl::KTable::left_join), [`outer_join`](dsl::KTable::outer_join) |
//! | `KTable.join(other, foreignKeyExtractor, joiner)` | [`foreign_key_join(name, ..)`](dsl::KTable::foreign_key_join), [`foreign_key_left_join`](dsl::KTable::foreign_key_left_join) |
//! | `suppress(untilWindowCloses(unbounded()))`, `untilTimeLimit` | [`suppress(name, Suppressed::until_window_closes(..))`](dsl::KTable::suppress), [`until_time_limit`](dsl::Suppressed::until_time_limit) |
//! | `KTable.toStream()` | [`to_stream`](dsl::KTable::to_stream) (`None` = tombstone), [`updates`](dsl::KTable::updates) (without them) |
//! | `Serdes.String()`, `Serdes.Long()`, JSON serde of your own | by type: `String`, `i64`, tuples; [`json_serde!`](json_serde), [`bincode_serde!`](bincode_serde) for types of yours, [`Json<T>`](serde::Json), [`Bincode<T>`](serde::Bincode) around others |
//! | `TimestampExtractor`, `WallclockTimestampExtractor`, `LogAndSkipOnInvalidTimestamp` | [`TimestampExtractor`](dsl::TimestampExtractor)`::{record, value, with, wall_clock}`, `.log_and_skip()`, `.fail_on_invalid()` |
//! | `statestore.cache.max.bytes`, cache of 0 | [`ProcessingConfig::cache_max_bytes`](config::ProcessingConfig), [`emit_every_update`](config::ProcessingConfig::emit_every_update) |
//! | dropped-records metric | [`TaskCounters`](processor::TaskCounters), [`on_late`](dsl::TimeWindowedKStream::on_late), and late records as a stream: [`with_late`](dsl::TimeWindowedKStream::with_late) |
//! | `DeserializationExceptionHandler`, `ProcessingExceptionHandler`, `ProductionExceptionHandler` | [`ErrorPolicy`](config::ErrorPolicy) per node, stage or application: fail, skip, dead letter, or a closure |
//! | dead letter queue (KIP-1034) | dead letters by default, in `{app}-dead-letters`, same header names |
//! | `StreamsUncaughtExceptionHandler` | [`RestartPolicy`](runtime::RestartPolicy) |
//! | `KafkaStreams.addStreamThread()`, `removeStreamThread()` | [`add_worker`](runtime::StreamsHandle::add_worker), [`remove_worker`](runtime::StreamsHandle::remove_worker) |
//! | `setStateListener`, `KafkaStreams.State` | [`on_state_change`](runtime::StreamsLauncher::on_state_change), [`StreamsState`](runtime::StreamsState) |
//! | `RocksDBConfigSetter` with a shared cache | [`rocksdb_memory_limit`](runtime::StreamsLauncher::rocksdb_memory_limit): one number for the process |
//! | `StateRestoreListener` | [`on_restore`](runtime::StreamsLauncher::on_restore) |
//! | `KafkaStreams.pause()`, paused named topologies | [`pause`](runtime::StreamsHandle::pause), [`pause_part`](runtime::StreamsHandle::pause_part) |
//! | `Topology.describe()` | [`describe`](topology::Topology::describe), and [`diff`](topology::Topology::diff), [`dry_run`](runtime::StreamsLauncher::dry_run) before an upgrade |
//! | `kafka-streams-application-reset`, `cleanUp()` | `millpond streams reset` |
//! | JMX metrics | [`StreamsMetrics`](metrics::StreamsMetrics), and [`StreamsCollector`](metrics::StreamsCollector) for Prometheus |
//! | `process(supplier, stores)`, `processValues(..)` | [`process`](dsl::KStream::process) with a [`RecordProcessor`](dsl::RecordProcessor), [`process_values`](dsl::KStream::process_values) with a [`FixedKeyProcessor`](dsl::FixedKeyProcessor) |
//! | `addStateStore(Stores.keyValueStoreBuilder(..))` | [`add_state_store(Stores::key_value(..))`](dsl::StreamsBuilder::add_state_store), also [`window`](dsl::Stores::window), [`session`](dsl::Stores::session), [`list`](dsl::Stores::list) |
//! | `context.schedule(d, type, ..)` | [`ProcessorInit::schedule`](dsl::ProcessorInit::schedule), anchored: [`schedule_at`](dsl::ProcessorInit::schedule_at); per key: [`timer`](dsl::ProcessorContext::timer) |
//! | `context.commit()` | [`ProcessorContext::commit`](dsl::ProcessorContext::commit) |
//! | `Topology.addProcessor` on whole batches | [`Processor`](processor::Processor), [`TopologyBuilder`](topology::TopologyBuilder) |
//! | `TopologyTestDriver`, `TestInputTopic` | [`TopologyTestDriver`](testing::TopologyTestDriver) |
//!
//! # Map of the crate
//!
//! [`dsl`] builds a [`topology`]; [`processor`] runs one task of it over [`state`]; [`runtime`] feeds tasks from a log and commits; [`testing`] does so in memory;
//! [`query`] reads committed state from outside. Begin reading at `processor/graph_executor.rs`.

pub mod config;
pub mod dsl;
pub mod error;
pub mod metrics;
pub mod processor;
pub mod query;
pub mod runtime;
pub mod serde;
pub mod state;
pub mod testing;
pub mod topology;

pub use error::{ErrorKind, StreamsError};

/// The Rust blocks of the user's page are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/streams.md")]
pub struct UserPage;
