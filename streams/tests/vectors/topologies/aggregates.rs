//! Grouped streams without windows.

use millpond_streams::dsl::{KGroupedStream, KStream, StreamsBuilder};

use super::replays;
use super::values::{Text, add_or_delete, group};
use crate::checks::Cached;

replays! {
    count: counted, Cached::Last;
    count_rekeyed: rekeyed, Cached::Last;
    reduce: reduced, Cached::Last;
    aggregate: aggregated, Cached::Last;
    count_of_counts: twice, Cached::Differs;
    count_views: views, Cached::EvenWithout;
}

fn grouped(builder: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    builder.stream("in").group_by_key()
}

fn counted(builder: &StreamsBuilder) {
    grouped(builder).count("counts").to_stream().to("out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    input
        .group_by(|_, value| group(value.as_deref()))
        .count("counts")
        .to_stream()
        .to("out");
}

fn reduced(builder: &StreamsBuilder) {
    let add =
        |so_far: Text, value: &Text| add_or_delete(so_far.as_deref().unwrap_or_default(), value.as_deref());
    grouped(builder).reduce("reduced", add).to_stream().to("out");
}

fn aggregated(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    grouped(builder)
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}

fn twice(builder: &StreamsBuilder) {
    let parity = |count: Option<u64>| {
        if count.is_some_and(|count| count % 2 == 0) {
            "even"
        } else {
            "odd"
        }
    };
    let counts = grouped(builder).count("counts").to_stream();
    counts
        .group_by(move |_, count| parity(*count).to_owned())
        .count("parities")
        .to_stream()
        .to("out");
}

fn views(builder: &StreamsBuilder) {
    let counts = grouped(builder).count("counts");
    counts.filter(|_, count| count % 2 == 0).to_stream().to("even");
    counts.map_values(|count| count * 10).to_stream().to("tens");
}
