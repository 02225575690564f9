//! Sub-topologies find their directories again, wherever they stand in the program.

use std::collections::BTreeMap;

use super::StateLayout;
use crate::dsl::StreamsBuilder;
use crate::state::{StoredTask, TaskId};
use crate::topology::Topology;
use millpond_log::types::{Offset, PartitionId, TopicName, TopicPartition};

fn topology(build: impl Fn(&StreamsBuilder)) -> Topology {
    let builder = StreamsBuilder::new();
    build(&builder);
    builder.build().expect("a sound topology")
}

fn count(builder: &StreamsBuilder, topic: &str, store: &str) {
    builder
        .stream::<String, String>(topic)
        .group_by_key()
        .count(store);
}

fn copy(builder: &StreamsBuilder, topic: &str) {
    builder.stream::<String, String>(topic).to("out");
}

fn stored(stores: &[&str], inputs: &[&str]) -> StoredTask {
    let partition = |topic: &&str| TopicPartition::new(TopicName::new(topic).expect("a name"), 0);
    StoredTask {
        shapes: stores
            .iter()
            .map(|store| ((*store).to_owned(), "key-value".to_owned()))
            .collect(),
        changelogs: BTreeMap::new(),
        inputs: inputs
            .iter()
            .map(|topic| (partition(topic), Offset::new(1)))
            .collect(),
    }
}

fn numbers<const N: usize>(topology: &Topology, on_disk: [(u32, StoredTask); N]) -> Vec<u32> {
    let layout = StateLayout::match_up(topology, "app", &BTreeMap::from(on_disk));
    (0..topology.sub_topologies().len() as u32)
        .map(|sub| {
            layout
                .state_of(TaskId::new(sub, PartitionId::new(3)))
                .sub_topology
        })
        .collect()
}

#[test]
fn without_state_the_numbers_are_those_of_the_sub_topologies() {
    let topology = topology(|builder| {
        count(builder, "a", "as");
        count(builder, "b", "bs");
    });
    assert_eq!(numbers(&topology, []), [0, 1]);
}

#[test]
fn state_is_found_when_sub_topologies_are_reordered_or_put_in_front() {
    let topology = topology(|builder| {
        copy(builder, "new");
        count(builder, "b", "bs");
        count(builder, "a", "as");
    });
    let on_disk = || [(0, stored(&["as"], &["a"])), (1, stored(&["bs"], &["b"]))];
    assert_eq!(numbers(&topology, on_disk()), [2, 1, 0]);
}

#[test]
fn a_new_sub_topology_never_gets_a_directory_that_was_used() {
    let topology = topology(|builder| {
        copy(builder, "new");
        count(builder, "a", "as");
    });
    let on_disk = [(0, stored(&["as"], &["a"])), (2, stored(&["dropped"], &["new"]))];
    assert_eq!(numbers(&topology, on_disk), [1, 0]);
}

#[test]
fn one_without_stores_is_found_by_what_it_read() {
    let topology = topology(|builder| {
        copy(builder, "x");
        copy(builder, "y");
    });
    let on_disk = [(0, stored(&[], &["y"])), (1, stored(&[], &["x"]))];
    assert_eq!(numbers(&topology, on_disk), [1, 0]);
}

#[test]
fn a_directory_with_stores_of_two_goes_to_the_one_with_more() {
    let topology = topology(|builder| {
        count(builder, "a", "as");
        let rows = builder.stream::<String, String>("b").group_by_key();
        rows.count("bs");
        rows.count("cs");
    });
    let on_disk = [(0, stored(&["as", "bs", "cs"], &["a"]))];
    assert_eq!(numbers(&topology, on_disk), [1, 0]);
}
