//! `Topology::describe()`: the text Kafka Streams prints, so that its visualisers read ours too.
//!
//! Nodes stand as there: those with the largest tree below them first, then by name; so do the names behind `-->` and `<--`. Topics and stores stand in the order of
//! Java's hash sets, which is what Kafka Streams prints. Only the first sub-topology is indented by three spaces; the others have two.

use super::{Node, NodeKind, Topology};

pub(super) fn describe(topology: &Topology) -> String {
    let mut text = String::from("Topologies:\n ");
    for sub in topology.sub_topologies() {
        text.push_str(&format!("  Sub-topology: {}\n", sub.id()));
        let nodes = sub.nodes();
        let sizes = tree_sizes(nodes);
        let order = |indices: &mut Vec<usize>| {
            indices.sort_by(|a, b| {
                let names = || nodes[*a].name.cmp(&nodes[*b].name);
                sizes[*b].cmp(&sizes[*a]).then_with(names)
            });
            indices.dedup();
        };
        let names = |indices: &[usize]| {
            let mut indices = indices.to_vec();
            order(&mut indices);
            match indices.as_slice() {
                [] => "none".to_owned(),
                some => {
                    let names: Vec<&str> = some.iter().map(|index| nodes[*index].name.as_str()).collect();
                    names.join(", ")
                }
            }
        };
        let mut all: Vec<usize> = (0..nodes.len()).collect();
        order(&mut all);
        for node in all.into_iter().map(|index| &nodes[index]) {
            text.push_str(&format!("    {}\n", headline(node)));
            if !matches!(node.kind, NodeKind::Sink { .. }) {
                text.push_str(&format!("      --> {}\n", names(&node.children)));
            }
            if !matches!(node.kind, NodeKind::Source { .. }) {
                text.push_str(&format!("      <-- {}\n", names(&node.parents)));
            }
        }
        text.push('\n');
    }
    let first_free = topology.sub_topologies().len();
    for (place, global) in topology.globals().iter().enumerate() {
        let (number, name) = (first_free + place, &global.store.name);
        text.push_str(&format!(
            "  Sub-topology: {number} for global store (will not generate tasks)\n"
        ));
        text.push_str(&format!(
            "    Source: {name}-source (topics: [{}])\n      --> {name}\n",
            global.topic
        ));
        text.push_str(&format!(
            "    Processor: {name} (stores: [{name}])\n      --> none\n      <-- {name}-source\n\n"
        ));
    }
    text
}

fn headline(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source { topics, .. } => {
            let topics = topics.iter().map(super::TopicRef::name).collect();
            format!(
                "Source: {} (topics: [{}])",
                node.name,
                as_java_set(topics).join(", ")
            )
        }
        NodeKind::Processor { .. } => {
            let stores = as_java_set(node.stores.clone());
            format!("Processor: {} (stores: [{}])", node.name, stores.join(", "))
        }
        NodeKind::Sink { topic, others, .. } if others.is_empty() => {
            format!("Sink: {} (topic: {})", node.name, topic.name())
        }
        NodeKind::Sink { topic, others, .. } => {
            let topics: Vec<String> = std::iter::once(topic)
                .chain(others)
                .map(super::TopicRef::name)
                .collect();
            format!("Sink: {} (one of topics: [{}])", node.name, topics.join(", "))
        }
    }
}

/// Nodes in the tree below each, itself included; one that is reached by two ways counts twice.
fn tree_sizes(nodes: &[Node]) -> Vec<usize> {
    let mut sizes = vec![1_usize; nodes.len()];
    // Children stand behind their parents.
    for index in (0..nodes.len()).rev() {
        let below: usize = nodes[index].children.iter().map(|child| sizes[*child]).sum();
        sizes[index] = sizes[index].saturating_add(below);
    }
    sizes
}

/// Names in the order a `java.util.HashSet` of them gives them out: by bucket, and within a bucket as they were put in.
fn as_java_set(names: Vec<String>) -> Vec<String> {
    let wanted = names.len() * 4 / 3 + 1;
    let buckets = wanted.next_power_of_two().max(16) as u32;
    let bucket = |name: &String| {
        let hash = name.encode_utf16().fold(0_u32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(u32::from(unit))
        });
        (hash ^ (hash >> 16)) & (buckets - 1)
    };
    let mut names = names;
    names.sort_by_key(bucket);
    names.dedup();
    names
}
