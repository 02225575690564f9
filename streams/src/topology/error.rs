//! Mistakes in a topology, found before anything runs.

/// Why a topology cannot be built or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Two things share a name.
    #[error("{kind} {name:?} exists twice; names identify state and topics, so each must be used once")]
    DuplicateName {
        /// "node", "store" or "repartition".
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name is empty or holds characters a topic name may not have.
    #[error("{kind} name {name:?} is not allowed: 1 to 200 characters out of a-z A-Z 0-9 . _ -")]
    InvalidName {
        /// What it names.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A topic name Kafka would refuse.
    #[error("topic name {name:?} is not allowed: {reason}")]
    InvalidTopic {
        /// The name.
        name: String,
        /// Kafka's rule that it breaks.
        reason: String,
    },
    /// A topic is read by two sources.
    #[error(
        "topic {topic:?} is read by both {first:?} and {second:?}; read it once and use the stream twice"
    )]
    TopicReadTwice {
        /// The topic.
        topic: String,
        /// The first source.
        first: String,
        /// The second source.
        second: String,
    },
    /// A node refers to a store that was not added.
    #[error("node {node:?} uses store {store:?}, which was never added; known stores: {known:?}")]
    UnknownStore {
        /// The node.
        node: String,
        /// The store.
        store: String,
        /// The stores there are.
        known: Vec<String>,
    },
    /// A store no node uses: almost certainly a slip.
    #[error("store {store:?} is not used by any node")]
    UnusedStore {
        /// The store.
        store: String,
    },
    /// Nothing to read.
    #[error("the topology reads no topic")]
    NoSource,
    /// Windows, retention or another setting of an operator that cannot work.
    #[error("operator {node:?}: {reason}")]
    InvalidOperator {
        /// The operator.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A source topic does not exist.
    #[error("source topic {topic:?} of sub-topology {sub_topology} does not exist")]
    MissingTopic {
        /// The topic.
        topic: String,
        /// The sub-topology reading it.
        sub_topology: u32,
    },
    /// Topics that feed one store have different partition counts, so equal keys would meet in different tasks.
    #[error(
        "store {store:?} is fed by topics with different partition counts ({}); give them the same count or repartition() one of them",
        counts.iter().map(|(topic, count)| format!("{topic}: {count}")).collect::<Vec<_>>().join(", ")
    )]
    NotCoPartitioned {
        /// The store.
        store: String,
        /// Topics and their partition counts.
        counts: Vec<(String, i32)>,
    },
    /// Topics that meet in a join or a grouping have different partition counts, so equal keys would meet in different tasks.
    #[error("{}", copartition_text(topics, asked))]
    CopartitionMismatch {
        /// Topics of the user with their partition counts.
        topics: Vec<(String, i32)>,
        /// Repartition topics with the partition counts asked for.
        asked: Vec<(String, i32)>,
    },
}

fn copartition_text(topics: &[(String, i32)], asked: &[(String, i32)]) -> String {
    let list = |of: &[(String, i32)]| {
        let each = of.iter().map(|(topic, count)| format!("{topic}: {count}"));
        each.collect::<Vec<_>>().join(", ")
    };
    match topics {
        [] => format!(
            "repartition topics that are joined or grouped together must have the same partition count, but were asked to have {}; ask for one number, or for none",
            list(asked)
        ),
        [(_, first), others @ ..] if others.iter().all(|(_, count)| count == first) => format!(
            "repartition topics must have the partition count of what they are joined or grouped with, {}, but were asked to have {}; ask for {first} partitions, or for no number",
            list(topics),
            list(asked)
        ),
        _ => format!(
            "topics that are joined or grouped together must have the same partition count, but have {}; create them with the same count, or send one of the streams through `repartition(name)` before",
            list(topics)
        ),
    }
}
