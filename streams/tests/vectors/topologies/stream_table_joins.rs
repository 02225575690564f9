//! Streams joined with tables.

use millpond_streams::dsl::{Joined, KStream, StreamsBuilder};

use super::replays;
use super::tables::table_of;
use super::values::{Text, even, group, pair, text};
use crate::checks::Cached;

replays! {
    stream_table_inner: inner, Cached::Same;
    stream_table_left: left, Cached::Same;
    stream_table_of_view: of_view, Cached::Same;
    stream_table_of_count: of_count, Cached::Same;
    stream_table_rekeyed: rekeyed, Cached::Same;
}

pub(super) fn stream(builder: &StreamsBuilder) -> KStream<Text, Text> {
    builder.stream("stream")
}

pub(super) fn both(value: &Text, entry: &String) -> String {
    pair(value.as_deref(), Some(entry))
}

pub(super) fn left_or_both(value: &Text, entry: Option<&String>) -> String {
    pair(value.as_deref(), entry.map(String::as_str))
}

fn inner(builder: &StreamsBuilder) {
    stream(builder)
        .join_table(&table_of(builder, "table"), both, Joined::named("j"))
        .to("out");
}

fn left(builder: &StreamsBuilder) {
    stream(builder)
        .left_join_table(&table_of(builder, "table"), left_or_both, Joined::named("j"))
        .to("out");
}

fn of_view(builder: &StreamsBuilder) {
    let view = table_of(builder, "table")
        .filter(|_, value| even(Some(value)))
        .map_values(|value| group(Some(&value)).unwrap_or_default());
    stream(builder)
        .left_join_table(&view, left_or_both, Joined::named("j"))
        .to("out");
}

fn of_count(builder: &StreamsBuilder) {
    let counts = builder
        .stream::<Text, Text>("table")
        .group_by_key()
        .count("counts");
    let join =
        |value: &Text, count: Option<&u64>| pair(value.as_deref(), count.map(u64::to_string).as_deref());
    stream(builder)
        .left_join_table(&counts, join, Joined::named("j"))
        .to("out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let parity = |value: &str| (if even(Some(value)) { "a" } else { "b" }).to_owned();
    let by_parity = stream(builder).select_key(move |_, value| value.as_deref().map(parity));
    let join = |key: &Text, value: &Text, entry: Option<&String>| {
        format!("{}:{}", text(key.as_deref()), left_or_both(value, entry))
    };
    by_parity
        .left_join_table_with_key(&table_of(builder, "table"), join, Joined::named("j"))
        .to("out");
}
