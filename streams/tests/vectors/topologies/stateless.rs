//! Operators without state, repartition topics and timestamps.

use millpond_streams::dsl::{Consumed, KStream, StreamsBuilder, TimeWindows, TimestampExtractor};

use super::replays;
use super::values::{Text, even, group, ms, number, pair};
use crate::checks::Cached;

replays! {
    stateless_values: values, Cached::Same;
    stateless_keys: keys, Cached::Same;
    split: split_and_merge, Cached::Same;
    repartition: through_repartition, Cached::Same;
    topic_extractor: extracted, Cached::Same;
    timestamps_of_values: times_of_values, Cached::Last;
    timestamps_of_partition: times_of_partition, Cached::Same;
}

fn input(builder: &StreamsBuilder) -> KStream<Text, Text> {
    builder.stream("in")
}

fn values(builder: &StreamsBuilder) {
    let input = input(builder);
    input
        .map_values(|value| value.map_or_else(|| "none".to_owned(), |value| value + "!"))
        .to("mapped");
    input
        .map_values_with_key(|key, value| pair(key.as_deref(), value.as_deref()))
        .to("keyed");
    let letters = |value: Text| {
        value
            .into_iter()
            .flat_map(|value| value.chars().map(String::from).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    input.flat_map_values(letters).to("flat");
    input.filter(|_, value| even(value.as_deref())).to("kept");
    input
        .peek(|_, _| {})
        .filter_not(|_, value| even(value.as_deref()))
        .to("dropped");
}

fn keys(builder: &StreamsBuilder) {
    let input = builder.streams_with(&["in", "other"], Consumed::<Text, Text>::default());
    input.map(|key, value| (value, key)).to("swapped");
    input
        .flat_map(|key, value| [(key.clone(), value), (Some("x".to_owned()), key)])
        .to("twice");
    input
        .select_key(|_, value| group(value.as_deref()))
        .to("selected");
}

fn split_and_merge(builder: &StreamsBuilder) {
    let input = input(builder);
    let parts = input.split("s");
    parts.branch("nulls", |_, value| value.is_none()).to("nulls");
    let even_ones = parts.branch("even", |_, value| even(value.as_deref()));
    let rest = parts
        .default_branch("odd")
        .map_values(|value| value.map(|value| value + "?"));
    even_ones.merge(&rest).to("merged");
    input
        .split("t")
        .branch("one", |_, value| number(value.as_deref()) % 3 == 1)
        .to("thirds");
    input.merge(&builder.stream("other")).to("both");
}

fn through_repartition(builder: &StreamsBuilder) {
    input(builder)
        .select_key(|_, value| group(value.as_deref()))
        .repartition("by-group")
        .to("out");
}

fn extracted(builder: &StreamsBuilder) {
    input(builder).to_extracted(&["even", "odd"], |_, value, _| {
        if even(value.as_deref()) { "even" } else { "odd" }
    });
}

fn times_of_values(builder: &StreamsBuilder) {
    let by_value = TimestampExtractor::with(|_, value: &Option<i64>, record| Some(value.unwrap_or(record)));
    let input = builder.stream_with(
        "in",
        Consumed::<Text, Option<i64>>::default().timestamps(by_value),
    );
    input.to("times");
    let windows = TimeWindows::of(ms(10)).grace(ms(5));
    input
        .group_by_key()
        .windowed_by(windows)
        .count("counts")
        .to_stream()
        .to("counts");
}

fn times_of_partition(builder: &StreamsBuilder) {
    let by_value = TimestampExtractor::with(|_, value: &Option<i64>, record| Some(value.unwrap_or(record)));
    let consumed = Consumed::<Text, Option<i64>>::default().timestamps(by_value.use_partition_time());
    builder.stream_with("in", consumed).to("times");
}
