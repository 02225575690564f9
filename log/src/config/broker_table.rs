//! Every broker setting that is told: those with an effect here, and the usual ones that tools of the Kafka world read.
//!
//! Always true: sorted by name. `Source::Live` has its value in `broker.rs`; `Source::Topic` is the default of a topic setting; `Source::Kept` is checked
//! and told but has no effect on a node like ours (one replica, no thread pools to size); fixed ones tell how the node is built. Only the
//! dynamic ones may be changed while the broker runs. Pure.

use super::kind::{Check, ConfigKind};

/// A broker setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerDefinition {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Type of its value.
    pub kind: ConfigKind,
    /// Whether it may be changed while the broker runs.
    pub dynamic: bool,
    /// What it does.
    pub documentation: &'static str,
    pub(super) source: Source,
}

/// Where the value of a broker setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A field of `BrokerConfig`.
    Live,
    /// The default of this topic setting.
    Topic(&'static str),
    /// Kept as text; its default and check.
    Kept(&'static str, Check),
}

const fn live(name: &'static str, kind: ConfigKind, documentation: &'static str) -> BrokerDefinition {
    BrokerDefinition {
        name,
        kind,
        dynamic: false,
        documentation,
        source: Source::Live,
    }
}

const fn topic(name: &'static str, kind: ConfigKind, topic: &'static str) -> BrokerDefinition {
    BrokerDefinition {
        name,
        kind,
        dynamic: true,
        documentation: "Default of the topic setting that has it as its synonym; topics may override it.",
        source: Source::Topic(topic),
    }
}

const fn kept(
    name: &'static str,
    kind: ConfigKind,
    dynamic: bool,
    default: &'static str,
    check: Check,
) -> BrokerDefinition {
    BrokerDefinition {
        name,
        kind,
        dynamic,
        documentation: "Kept and told for Kafka's tools; it has no effect on this broker.",
        source: Source::Kept(default, check),
    }
}

const fn fixed(
    name: &'static str,
    kind: ConfigKind,
    value: &'static str,
    documentation: &'static str,
) -> BrokerDefinition {
    BrokerDefinition {
        name,
        kind,
        dynamic: false,
        documentation,
        source: Source::Kept(value, Check::Fixed),
    }
}

const POSITIVE: Check = Check::Number(1, i32::MAX as i64);
const COUNT: Check = Check::Number(0, i64::MAX);
const LONG_MAX: &str = "9223372036854775807";

use ConfigKind::{Boolean, Double, Int, List, Long, String};

/// Every broker setting, by name.
pub const BROKER_DEFINITIONS: &[BrokerDefinition] = &[
    fixed(
        "advertised.listeners",
        List,
        "",
        "What clients are told to connect to.",
    ),
    fixed("authorizer.class.name", String, "", "There is no authorizer."),
    live(
        "auto.create.topics.enable",
        Boolean,
        "Whether asking for the metadata of a topic that does not exist creates it.",
    ),
    kept(
        "auto.leader.rebalance.enable",
        Boolean,
        false,
        "true",
        Check::Boolean,
    ),
    kept("background.threads", Int, true, "10", POSITIVE),
    fixed("broker.id", Int, "1", "The id of this node."),
    kept("broker.rack", String, false, "", Check::Text),
    topic("compression.gzip.level", Int, "compression.gzip.level"),
    topic("compression.lz4.level", Int, "compression.lz4.level"),
    topic("compression.type", String, "compression.type"),
    topic("compression.zstd.level", Int, "compression.zstd.level"),
    kept(
        "controlled.shutdown.enable",
        Boolean,
        false,
        "true",
        Check::Boolean,
    ),
    kept("default.replication.factor", Int, false, "1", Check::Number(1, 1)),
    live("delete.topic.enable", Boolean, "Whether topics may be deleted."),
    live("fetch.max.bytes", Int, "Most bytes one fetch answers."),
    kept("follower.replication.throttled.rate", Long, true, LONG_MAX, COUNT),
    live(
        "group.consumer.assignors",
        List,
        "Assignors of consumer groups that clients may choose, the default first.",
    ),
    live(
        "group.consumer.heartbeat.interval.ms",
        Int,
        "How often members of consumer groups send heartbeats.",
    ),
    live(
        "group.consumer.max.heartbeat.interval.ms",
        Int,
        "Most a group may set its heartbeat interval to.",
    ),
    live(
        "group.consumer.max.session.timeout.ms",
        Int,
        "Most a group may set its session timeout to.",
    ),
    live("group.consumer.max.size", Int, "Members of one consumer group."),
    live(
        "group.consumer.migration.policy",
        String,
        "Which way groups may go between the classic and the consumer protocol.",
    ),
    live(
        "group.consumer.min.heartbeat.interval.ms",
        Int,
        "Least a group may set its heartbeat interval to.",
    ),
    live(
        "group.consumer.min.session.timeout.ms",
        Int,
        "Least a group may set its session timeout to.",
    ),
    live(
        "group.consumer.session.timeout.ms",
        Int,
        "A member of a consumer group that is silent for so long is removed.",
    ),
    live(
        "group.initial.rebalance.delay.ms",
        Int,
        "How long an empty group waits for more members than the first.",
    ),
    live(
        "group.max.session.timeout.ms",
        Int,
        "Longest session a member of a classic group may ask for.",
    ),
    live("group.max.size", Int, "Members of one classic group."),
    live(
        "group.min.session.timeout.ms",
        Int,
        "Shortest session a member of a classic group may ask for.",
    ),
    kept("leader.replication.throttled.rate", Long, true, LONG_MAX, COUNT),
    fixed("listeners", List, "", "Where the node listens for clients."),
    live(
        "log.cleaner.backoff.ms",
        Long,
        "Time between two looks for logs that need compaction.",
    ),
    live(
        "log.cleaner.dedupe.buffer.size",
        Long,
        "Bytes of keys one compaction pass may remember.",
    ),
    topic("log.cleaner.delete.retention.ms", Long, "delete.retention.ms"),
    fixed(
        "log.cleaner.enable",
        Boolean,
        "true",
        "Compacted topics are compacted.",
    ),
    kept(
        "log.cleaner.io.buffer.load.factor",
        Double,
        true,
        "0.9",
        Check::Fraction,
    ),
    kept("log.cleaner.io.buffer.size", Int, true, "524288", COUNT),
    topic("log.cleaner.max.compaction.lag.ms", Long, "max.compaction.lag.ms"),
    topic(
        "log.cleaner.min.cleanable.ratio",
        Double,
        "min.cleanable.dirty.ratio",
    ),
    topic("log.cleaner.min.compaction.lag.ms", Long, "min.compaction.lag.ms"),
    kept("log.cleaner.threads", Int, true, "1", POSITIVE),
    topic("log.cleanup.policy", List, "cleanup.policy"),
    fixed("log.dir", String, "", "The directory of the logs."),
    live(
        "log.dir.reserved.bytes",
        Long,
        "Free bytes of the file system that clients' appends leave alone.",
    ),
    fixed("log.dirs", String, "", "The directory of the logs."),
    topic("log.durability", String, "durability"),
    topic("log.flush.interval.messages", Long, "flush.messages"),
    topic("log.flush.interval.ms", Long, "flush.ms"),
    topic("log.index.interval.bytes", Int, "index.interval.bytes"),
    topic("log.index.size.max.bytes", Int, "segment.index.bytes"),
    topic("log.local.retention.bytes", Long, "local.retention.bytes"),
    topic("log.local.retention.ms", Long, "local.retention.ms"),
    topic(
        "log.message.timestamp.after.max.ms",
        Long,
        "message.timestamp.after.max.ms",
    ),
    topic(
        "log.message.timestamp.before.max.ms",
        Long,
        "message.timestamp.before.max.ms",
    ),
    topic("log.message.timestamp.type", String, "message.timestamp.type"),
    topic("log.preallocate", Boolean, "preallocate"),
    topic("log.retention.bytes", Long, "retention.bytes"),
    live(
        "log.retention.check.interval.ms",
        Long,
        "Time between two rounds of retention.",
    ),
    live(
        "log.retention.hours",
        Int,
        "log.retention.ms in hours; whichever of the two is set last holds.",
    ),
    live(
        "log.retention.lease.ms",
        Long,
        "A state store that was not heard of for so long keeps its changelog no more from retention and compaction; -1: keeps it for ever.",
    ),
    live(
        "log.retention.minutes",
        Int,
        "log.retention.ms in minutes; whichever of the two is set last holds.",
    ),
    topic("log.retention.ms", Long, "retention.ms"),
    live(
        "log.roll.hours",
        Int,
        "log.roll.ms in hours; whichever of the two is set last holds.",
    ),
    topic("log.roll.jitter.ms", Long, "segment.jitter.ms"),
    topic("log.roll.ms", Long, "segment.ms"),
    topic("log.segment.bytes", Int, "segment.bytes"),
    topic("log.segment.delete.delay.ms", Long, "file.delete.delay.ms"),
    topic("message.max.bytes", Int, "max.message.bytes"),
    kept("metric.reporters", List, true, "", Check::Text),
    topic("min.insync.replicas", Int, "min.insync.replicas"),
    fixed("node.id", Int, "1", "The id of this node."),
    kept("num.io.threads", Int, true, "8", POSITIVE),
    kept("num.network.threads", Int, true, "3", POSITIVE),
    live("num.partitions", Int, "Partitions of a topic created with -1."),
    kept("num.recovery.threads.per.data.dir", Int, true, "2", POSITIVE),
    kept("num.replica.fetchers", Int, true, "1", POSITIVE),
    live(
        "offset.metadata.max.bytes",
        Int,
        "Longest metadata of an offset commit.",
    ),
    live(
        "offsets.retention.check.interval.ms",
        Long,
        "How often expired offsets are looked for.",
    ),
    live(
        "offsets.retention.minutes",
        Int,
        "How long the offsets of a group without members are kept.",
    ),
    live(
        "offsets.topic.num.partitions",
        Int,
        "Partitions of __consumer_offsets; holds when the topic is made.",
    ),
    kept(
        "offsets.topic.replication.factor",
        Int,
        false,
        "1",
        Check::Number(1, 1),
    ),
    fixed(
        "process.roles",
        List,
        "broker,controller",
        "This node stores, serves and decides.",
    ),
    live(
        "producer.id.expiration.ms",
        Int,
        "An idle producer without an open transaction is forgotten after this.",
    ),
    kept("queued.max.requests", Int, false, "500", POSITIVE),
    fixed(
        "remote.log.storage.system.enable",
        Boolean,
        "false",
        "There is no remote storage.",
    ),
    kept(
        "replica.alter.log.dirs.io.max.bytes.per.second",
        Long,
        true,
        LONG_MAX,
        COUNT,
    ),
    kept("replica.fetch.max.bytes", Int, false, "1048576", COUNT),
    kept("replica.lag.time.max.ms", Long, false, "30000", COUNT),
    kept("request.timeout.ms", Int, false, "30000", COUNT),
    kept(
        "sasl.kerberos.min.time.before.relogin",
        Long,
        true,
        "60000",
        COUNT,
    ),
    kept(
        "sasl.kerberos.ticket.renew.jitter",
        Double,
        true,
        "0.05",
        Check::Fraction,
    ),
    kept(
        "sasl.kerberos.ticket.renew.window.factor",
        Double,
        true,
        "0.8",
        Check::Fraction,
    ),
    kept(
        "socket.receive.buffer.bytes",
        Int,
        false,
        "102400",
        Check::Number(-1, i32::MAX as i64),
    ),
    kept(
        "socket.send.buffer.bytes",
        Int,
        false,
        "102400",
        Check::Number(-1, i32::MAX as i64),
    ),
    live(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        Int,
        "How often transactions that are open for too long are looked for.",
    ),
    live(
        "transaction.max.timeout.ms",
        Int,
        "Longest transaction timeout a producer may ask for.",
    ),
    live(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        Int,
        "How often transactional ids that are not used any more are looked for.",
    ),
    kept(
        "transaction.state.log.min.isr",
        Int,
        false,
        "1",
        Check::Number(1, 1),
    ),
    live(
        "transaction.state.log.num.partitions",
        Int,
        "Partitions of __transaction_state; holds when the topic is made.",
    ),
    kept(
        "transaction.state.log.replication.factor",
        Int,
        false,
        "1",
        Check::Number(1, 1),
    ),
    live(
        "transactional.id.expiration.ms",
        Long,
        "How long a transactional id without an open transaction is remembered.",
    ),
    topic(
        "unclean.leader.election.enable",
        Boolean,
        "unclean.leader.election.enable",
    ),
];

/// The definition of a broker setting.
pub(super) fn broker_definition(name: &str) -> Option<&'static BrokerDefinition> {
    BROKER_DEFINITIONS
        .binary_search_by(|definition| definition.name.cmp(name))
        .ok()
        .map(|at| &BROKER_DEFINITIONS[at])
}
