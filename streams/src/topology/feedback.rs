//! Repartition topics that lead back to where they come from: between the two sides of a foreign-key join, say.
//!
//! Along them nobody can tell another's stream time: each would wait for the others to speak first. So their records count like those of ordinary
//! topics, by their timestamps, as in Kafka Streams.

use std::collections::{BTreeMap, BTreeSet};

use super::{SubTopology, TopicRef};

/// Names of the repartition topics whose readers lead, over other repartition topics, to their writers.
pub(super) fn feedback(subs: &[SubTopology]) -> BTreeSet<String> {
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, sub) in subs.iter().enumerate() {
        readers.extend(repartitions(sub.source_topics()).map(|name| (name, index)));
    }
    let next =
        |sub: usize| repartitions(subs[sub].sink_topics()).filter_map(|name| readers.get(name).copied());
    let leads_to = |from: usize, to: usize| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(sub) = left.pop() {
            if sub == to {
                return true;
            }
            if seen.insert(sub) {
                left.extend(next(sub));
            }
        }
        false
    };
    let mut found = BTreeSet::new();
    for (writer, sub) in subs.iter().enumerate() {
        for name in repartitions(sub.sink_topics()) {
            if readers.get(name).is_some_and(|reader| leads_to(*reader, writer)) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn repartitions<'a>(topics: impl Iterator<Item = &'a TopicRef>) -> impl Iterator<Item = &'a str> {
    topics.filter_map(|topic| match topic {
        TopicRef::Repartition(name) => Some(name.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod feedback_test {
    use super::*;
    use crate::topology::{RepartitionOptions, SinkOptions, SourceOptions, TopologyBuilder};

    /// A topology of sources that send to a repartition topic each: (topic or repartition read, repartition written).
    fn feedback_of(join: impl FnOnce(&mut TopologyBuilder)) -> Vec<String> {
        let mut builder = TopologyBuilder::new();
        join(&mut builder);
        let topology = builder.build().expect("a sound topology");
        feedback(topology.sub_topologies()).into_iter().collect()
    }

    #[test]
    fn a_chain_of_repartitions_leads_nowhere_back() {
        let found = feedback_of(|builder| {
            let source = builder.add_source("source", &["in"], SourceOptions::default());
            let one = builder.add_repartition("one", RepartitionOptions::default(), &[source]);
            let two = builder.add_repartition("two", RepartitionOptions::default(), &[one]);
            builder.add_sink("sink", "out", SinkOptions::default(), &[two]);
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn there_and_back_is_feedback_both_ways() {
        let found = feedback_of(|builder| {
            let left = builder.add_source("left", &["left"], SourceOptions::default());
            let there = builder.add_repartition("there", RepartitionOptions::default(), &[left]);
            let back = builder.add_repartition("back", RepartitionOptions::default(), &[there]);
            builder.add_sink("sink", "out", SinkOptions::default(), &[left, back]);
            let on = builder.add_repartition("on", RepartitionOptions::default(), &[back]);
            builder.add_sink("end", "end", SinkOptions::default(), &[on]);
        });
        assert_eq!(found, ["back", "there"]);
    }

    #[test]
    fn a_task_that_reads_what_it_writes_is_feedback() {
        let found = feedback_of(|builder| {
            let source = builder.add_source("source", &["in"], SourceOptions::default());
            let again = builder.add_repartition("again", RepartitionOptions::default(), &[source]);
            builder.add_sink("sink", "out", SinkOptions::default(), &[source, again]);
        });
        assert_eq!(found, ["again"]);
    }
}
