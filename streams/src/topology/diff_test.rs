//! What a diff says about the changes people make.

use std::time::Duration;

use crate::dsl::{KStream, StreamsBuilder, TimeWindows};
use crate::topology::Topology;

fn topology(build: impl Fn(&StreamsBuilder)) -> Topology {
    let builder = StreamsBuilder::new();
    build(&builder);
    builder.build().expect("a sound topology")
}

fn count(words: &KStream<String, String>) {
    words
        .group_by(|_, word| word.clone())
        .count("counts")
        .to_stream()
        .to("out");
}

#[test]
fn stateless_operators_change_no_store_and_no_topic() {
    let old = topology(|builder| count(&builder.stream("in")));
    let new = topology(|builder| {
        let words = builder
            .stream::<String, String>("in")
            .filter(|_, word| !word.is_empty());
        count(&words.map_values(|word| word.to_lowercase()));
    });
    let diff = new.diff(&old);
    assert_eq!(
        diff.to_string(),
        "+ operator KSTREAM-FILTER\n+ operator KSTREAM-MAPVALUES\n"
    );
    assert!(diff.stores.is_empty() && diff.sources.is_empty() && diff.sinks.is_empty());
    let back = old.diff(&new);
    assert_eq!(
        back.to_string(),
        "- operator KSTREAM-FILTER\n- operator KSTREAM-MAPVALUES\n"
    );
    assert_eq!(old.diff(&old).to_string(), "no difference\n");
}

#[test]
fn stores_that_come_go_or_change_their_shape_are_named() {
    let windows = || TimeWindows::of(Duration::from_secs(1));
    let old = topology(|builder| {
        let rows = builder.stream::<String, String>("in").group_by_key();
        rows.count("changed");
        rows.count("gone");
    });
    let new = topology(|builder| {
        let rows = builder.stream::<String, String>("in").group_by_key();
        rows.windowed_by(windows()).count("changed");
        rows.count("new");
    });
    let text = new.diff(&old).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("~ store changed: was key-value"), "{text}");
    assert!(lines[0].contains(", is window of 1000 ms"), "{text}");
    assert_eq!(
        &lines[1..],
        ["- store gone", "+ store new", "- operator gone", "+ operator new"]
    );
}

#[test]
fn topics_and_partition_counts_that_change_are_named() {
    let old = topology(|builder| {
        builder
            .stream::<String, String>("in")
            .repartition("by-key")
            .to("out");
    });
    let new = topology(|builder| {
        let five = crate::dsl::Grouped::default().partitions(5);
        builder
            .stream::<String, String>("other")
            .repartition_with("by-key", five)
            .to("out");
    });
    assert_eq!(
        new.diff(&old).to_string(),
        "- reads topic in\n\
         + reads topic other\n\
         ~ repartition by-key: was to have any number of partitions, is to have 5\n"
    );
}

#[test]
fn a_store_that_joins_others_in_a_sub_topology_is_named() {
    let old = topology(|builder| {
        builder.stream::<String, String>("a").group_by_key().count("as");
        builder.stream::<String, String>("b").group_by_key().count("bs");
    });
    let new = topology(|builder| {
        let a = builder.stream::<String, String>("a");
        let b = builder.stream::<String, String>("b");
        a.group_by_key().count("as");
        b.group_by_key().count("bs");
        a.merge(&b).to("out");
    });
    let text = new.diff(&old).to_string();
    assert!(
        text.contains("~ store as: was in a sub-topology with [as], is with [as, bs]\n"),
        "{text}"
    );
    assert!(
        text.contains("~ store bs: was in a sub-topology with [bs], is with [as, bs]\n"),
        "{text}"
    );
}
