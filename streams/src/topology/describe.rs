//! `Topology::describe()`: the text Kafka Streams prints, so that its visualisers read ours too.

use super::{Node, NodeKind, Topology};

pub(super) fn describe(topology: &Topology) -> String {
    let mut text = String::from("Topologies:\n");
    for sub in topology.sub_topologies() {
        text.push_str(&format!("   Sub-topology: {}\n", sub.id()));
        let nodes = sub.nodes();
        for node in nodes {
            text.push_str(&format!("    {}\n", headline(node)));
            if !matches!(node.kind, NodeKind::Sink { .. }) {
                text.push_str(&format!("      --> {}\n", names(nodes, &node.children)));
            }
            if !matches!(node.kind, NodeKind::Source { .. }) {
                text.push_str(&format!("      <-- {}\n", names(nodes, &node.parents)));
            }
        }
        text.push('\n');
    }
    text
}

fn headline(node: &Node) -> String {
    match &node.kind {
        NodeKind::Source { topics, .. } => {
            let topics: Vec<String> = topics.iter().map(super::TopicRef::name).collect();
            format!("Source: {} (topics: [{}])", node.name, topics.join(", "))
        }
        NodeKind::Processor { .. } => {
            format!("Processor: {} (stores: [{}])", node.name, node.stores.join(", "))
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

fn names(nodes: &[Node], indices: &[usize]) -> String {
    if indices.is_empty() {
        return "none".to_owned();
    }
    indices
        .iter()
        .map(|index| nodes[*index].name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
