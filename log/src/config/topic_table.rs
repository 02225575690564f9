//! Every topic setting: Kafka 4.3's, and `durability`, which is ours.
//!
//! Always true: sorted by name; a setting has an effect (`kept` is none, `topic.rs` has its value) or is only kept (`kept` has its default and its
//! check). Those that are only kept concern other replicas, tiered storage, or a flush that needs no telling here. Pure.

use super::kind::{Check, ConfigKind};

/// A topic setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDefinition {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: ConfigKind,
    /// Name of the broker setting that is its default, if there is one.
    pub broker_name: Option<&'static str>,
    /// What it does, in a sentence or two.
    pub documentation: &'static str,
    /// Default and check of a setting that is only kept.
    pub(super) kept: Option<(&'static str, Check)>,
}

const fn live(
    name: &'static str,
    kind: ConfigKind,
    broker_name: &'static str,
    documentation: &'static str,
) -> TopicDefinition {
    TopicDefinition {
        name,
        kind,
        broker_name: Some(broker_name),
        documentation,
        kept: None,
    }
}

const fn kept(
    name: &'static str,
    kind: ConfigKind,
    broker_name: Option<&'static str>,
    default: &'static str,
    check: Check,
    documentation: &'static str,
) -> TopicDefinition {
    TopicDefinition {
        name,
        kind,
        broker_name,
        documentation,
        kept: Some((default, check)),
    }
}

const LONG_MAX: &str = "9223372036854775807";

use ConfigKind::{Boolean, Double, Int, List, Long, String};

/// Every topic setting, by name.
pub const TOPIC_DEFINITIONS: &[TopicDefinition] = &[
    live(
        "cleanup.policy",
        List,
        "log.cleanup.policy",
        "What happens to old records: delete drops whole segments by age and size, compact keeps the newest record of each key.",
    ),
    kept(
        "compression.gzip.level",
        Int,
        Some("compression.gzip.level"),
        "-1",
        Check::NumberOrDefault(1, 9),
        "Level of gzip if compression.type is gzip. Kept; batches are stored at the default level.",
    ),
    kept(
        "compression.lz4.level",
        Int,
        Some("compression.lz4.level"),
        "9",
        Check::Number(1, 17),
        "Level of lz4 if compression.type is lz4. Kept; batches are stored at the default level.",
    ),
    live(
        "compression.type",
        String,
        "compression.type",
        "Codec batches are stored with: uncompressed, gzip, snappy, lz4, zstd, or producer for the one they came with.",
    ),
    kept(
        "compression.zstd.level",
        Int,
        Some("compression.zstd.level"),
        "3",
        Check::Number(-131_072, 22),
        "Level of zstd if compression.type is zstd. Kept; batches are stored at the default level.",
    ),
    live(
        "delete.retention.ms",
        Long,
        "log.cleaner.delete.retention.ms",
        "How long the tombstones of a compacted topic are kept after the compaction that first saw them.",
    ),
    live(
        "durability",
        String,
        "log.durability",
        "When a write is acknowledged: fsync after it reached the medium, page-cache when the operating system has it.",
    ),
    live(
        "file.delete.delay.ms",
        Long,
        "log.segment.delete.delay.ms",
        "How long a deleted segment's files stay before they are removed.",
    ),
    kept(
        "flush.messages",
        Long,
        Some("log.flush.interval.messages"),
        LONG_MAX,
        Check::Number(1, i64::MAX),
        "Records between two forced flushes. Kept; durability decides when a write is flushed.",
    ),
    kept(
        "flush.ms",
        Long,
        Some("log.flush.interval.ms"),
        LONG_MAX,
        Check::Number(0, i64::MAX),
        "Time between two forced flushes. Kept; durability decides when a write is flushed.",
    ),
    kept(
        "follower.replication.throttled.replicas",
        List,
        None,
        "",
        Check::Replicas,
        "Replicas whose following is throttled: PARTITION:BROKER pairs, or *. Kept; there is one replica.",
    ),
    live(
        "index.interval.bytes",
        Int,
        "log.index.interval.bytes",
        "Bytes of log between two entries of the offset index.",
    ),
    kept(
        "leader.replication.throttled.replicas",
        List,
        None,
        "",
        Check::Replicas,
        "Replicas whose leading is throttled: PARTITION:BROKER pairs, or *. Kept; there is one replica.",
    ),
    kept(
        "local.retention.bytes",
        Long,
        Some("log.local.retention.bytes"),
        "-2",
        Check::Number(-2, i64::MAX),
        "Bytes kept locally of a topic with remote storage; -2 means retention.bytes. Kept; there is no remote storage.",
    ),
    kept(
        "local.retention.ms",
        Long,
        Some("log.local.retention.ms"),
        "-2",
        Check::Number(-2, i64::MAX),
        "Time kept locally of a topic with remote storage; -2 means retention.ms. Kept; there is no remote storage.",
    ),
    live(
        "max.compaction.lag.ms",
        Long,
        "log.cleaner.max.compaction.lag.ms",
        "A record older than this makes its log due for compaction.",
    ),
    live(
        "max.message.bytes",
        Int,
        "message.max.bytes",
        "Largest batch accepted, as it is stored.",
    ),
    live(
        "message.timestamp.after.max.ms",
        Long,
        "log.message.timestamp.after.max.ms",
        "How far a record's timestamp may lie after the broker's time; later ones are refused. Not for LogAppendTime.",
    ),
    live(
        "message.timestamp.before.max.ms",
        Long,
        "log.message.timestamp.before.max.ms",
        "How far a record's timestamp may lie before the broker's time; earlier ones are refused. Not for LogAppendTime.",
    ),
    live(
        "message.timestamp.type",
        String,
        "log.message.timestamp.type",
        "Whose time records carry: CreateTime is the producer's, LogAppendTime the broker's.",
    ),
    live(
        "min.cleanable.dirty.ratio",
        Double,
        "log.cleaner.min.cleanable.ratio",
        "Share of dirty bytes that makes a log due for compaction.",
    ),
    live(
        "min.compaction.lag.ms",
        Long,
        "log.cleaner.min.compaction.lag.ms",
        "A record younger than this is never compacted.",
    ),
    kept(
        "min.insync.replicas",
        Int,
        Some("min.insync.replicas"),
        "1",
        Check::Number(1, i32::MAX as i64),
        "Replicas that must have a write before it is acknowledged with acks=all. Kept; there is one replica.",
    ),
    kept(
        "preallocate",
        Boolean,
        Some("log.preallocate"),
        "false",
        Check::Boolean,
        "Whether segment files get their full size when they are created. Kept; they never do.",
    ),
    kept(
        "remote.log.copy.disable",
        Boolean,
        None,
        "false",
        Check::Off,
        "Whether a topic with remote storage stops copying to it. There is no remote storage.",
    ),
    kept(
        "remote.log.delete.on.disable",
        Boolean,
        None,
        "false",
        Check::Off,
        "Whether remote data goes when remote storage is switched off. There is no remote storage.",
    ),
    kept(
        "remote.storage.enable",
        Boolean,
        None,
        "false",
        Check::Off,
        "Whether old segments go to remote storage. There is none.",
    ),
    live(
        "retention.bytes",
        Long,
        "log.retention.bytes",
        "Bytes a partition keeps before its oldest segments are deleted; -1 keeps all.",
    ),
    live(
        "retention.ms",
        Long,
        "log.retention.ms",
        "How long records are kept before their segments are deleted; -1 keeps them for ever.",
    ),
    live(
        "segment.bytes",
        Int,
        "log.segment.bytes",
        "A segment is closed before it would grow beyond this.",
    ),
    live(
        "segment.index.bytes",
        Int,
        "log.index.size.max.bytes",
        "Most bytes of a segment's offset index.",
    ),
    kept(
        "segment.jitter.ms",
        Long,
        Some("log.roll.jitter.ms"),
        "0",
        Check::Number(0, i64::MAX),
        "Spread taken off segment.ms at random. Kept; segments are closed one at a time here.",
    ),
    live(
        "segment.ms",
        Long,
        "log.roll.ms",
        "A segment is closed when its first record is older than this.",
    ),
    kept(
        "unclean.leader.election.enable",
        Boolean,
        Some("unclean.leader.election.enable"),
        "false",
        Check::Boolean,
        "Whether a replica that is not in sync may lead. Kept; there is one replica.",
    ),
];

/// The definition of a topic setting.
pub(super) fn topic_definition(name: &str) -> Option<&'static TopicDefinition> {
    TOPIC_DEFINITIONS
        .binary_search_by(|definition| definition.name.cmp(name))
        .ok()
        .map(|at| &TOPIC_DEFINITIONS[at])
}
