//! The jobs: their topics, their topologies, and what of their output counts. `java/src/beside/Topologies.java` says the same in Kafka Streams' words.

use std::time::Duration;

use bytes::Bytes;
use millpond_streams::dsl::{
    JoinWindows, Produced, SessionWindowedSerde, SessionWindows, StreamJoined, StreamsBuilder, TimeWindows,
};
use millpond_streams::serde::DefaultSerde;
use millpond_streams::topology::{Topology, TopologyError};

/// Partitions of every topic: one for each of two cores.
pub(crate) const PARTITIONS: i32 = 2;
/// Every job writes here.
pub(crate) const OUTPUT: &str = "out";

const WINDOW: Duration = Duration::from_secs(3600);
const GAP: Duration = Duration::from_secs(30);
const SESSION_GRACE: Duration = Duration::from_secs(10);
const APART: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Map and filter; half of the records pass.
    Stateless,
    /// Counts per key in windows of an hour.
    WindowedCount,
    /// Inner join of two streams, a minute apart at most.
    StreamJoin,
    /// Inner join of two tables.
    TableJoin,
    /// Counts per session.
    Sessions,
    /// The latest value of every key: much state, quickly made.
    Restart,
}

impl Job {
    pub(crate) fn named(name: &str) -> Option<Job> {
        Some(match name {
            "stateless" => Job::Stateless,
            "windowed-count" => Job::WindowedCount,
            "stream-join" => Job::StreamJoin,
            "table-join" => Job::TableJoin,
            "sessions" => Job::Sessions,
            "restart" => Job::Restart,
            _ => return None,
        })
    }

    /// Input topics.
    pub(crate) fn inputs(self) -> &'static [&'static str] {
        match self {
            Job::StreamJoin | Job::TableJoin => &["left", "right"],
            Job::Stateless | Job::WindowedCount | Job::Sessions | Job::Restart => &["in"],
        }
    }

    /// Whether a later record of a key replaces an earlier one in the output: how many there are of them depends on commits and caches, the last does not.
    pub(crate) fn writes_updates(self) -> bool {
        match self {
            Job::Stateless | Job::StreamJoin => false,
            Job::WindowedCount | Job::TableJoin | Job::Sessions | Job::Restart => true,
        }
    }

    pub(crate) fn topology(self) -> Result<Topology, TopologyError> {
        let builder = StreamsBuilder::new();
        match self {
            Job::Stateless => builder
                .stream::<Bytes, Bytes>("in")
                .map_values(|value| value.slice(..value.len() - 1))
                .filter(|_, value| value[7] % 2 == 0)
                .to(OUTPUT),
            Job::WindowedCount => builder
                .stream::<Bytes, Bytes>("in")
                .group_by_key()
                .windowed_by(TimeWindows::of(WINDOW))
                .count("counts")
                .to_stream()
                .to(OUTPUT),
            Job::StreamJoin => builder
                .stream::<Bytes, Bytes>("left")
                .join(
                    &builder.stream::<Bytes, Bytes>("right"),
                    |left, right| [left.as_ref(), right.as_ref()].concat(),
                    JoinWindows::of_time_difference_and_grace(APART, APART),
                    StreamJoined::named("pairs"),
                )
                .to(OUTPUT),
            Job::TableJoin => builder
                .table::<Bytes, Bytes>("left", "left-table")
                .join(
                    &builder.table::<Bytes, Bytes>("right", "right-table"),
                    |left, right| [left.as_ref(), right.as_ref()].concat(),
                )
                .to_stream()
                .to(OUTPUT),
            Job::Sessions => builder
                .stream::<Bytes, Bytes>("in")
                .group_by_key()
                .windowed_by(SessionWindows::with_inactivity_gap(GAP).grace(SESSION_GRACE))
                .count("sessions")
                .to_stream()
                .to_with(
                    OUTPUT,
                    Produced::with(
                        SessionWindowedSerde::<Bytes>::default_of(),
                        Option::<u64>::default_serde(),
                    ),
                ),
            Job::Restart => builder
                .stream::<Bytes, Bytes>("in")
                .group_by_key()
                .reduce("latest", |_, new: &Bytes| new.clone())
                .to_stream()
                .map_values(|value| value.map(|value| value.slice(..8)))
                .to(OUTPUT),
        }
        builder.build()
    }
}
