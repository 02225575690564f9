//! Streams joined with global tables, by a key of the stream's choice.

use millpond_streams::dsl::{GlobalKTable, Joined, StreamsBuilder};

use super::replays;
use super::stream_table_joins::{both, left_or_both, stream};
use super::values::{Text, even};
use crate::checks::Cached;

replays! {
    stream_global_inner: inner, Cached::Same;
    stream_global_left: left, Cached::Same;
    stream_global_by_key: by_key, Cached::Same;
}

fn table(builder: &StreamsBuilder) -> GlobalKTable<Text, String> {
    builder.global_table("table", "global")
}

fn parity(_: &Text, value: &Text) -> Text {
    let parity = if even(value.as_deref()) { "a" } else { "b" };
    value.as_ref().map(|_| parity.to_owned())
}

fn inner(builder: &StreamsBuilder) {
    stream(builder)
        .join_global_table(&table(builder), parity, both, Joined::named("j"))
        .to("out");
}

fn left(builder: &StreamsBuilder) {
    stream(builder)
        .left_join_global_table(&table(builder), parity, left_or_both, Joined::named("j"))
        .to("out");
}

fn by_key(builder: &StreamsBuilder) {
    let own = |key: &Text, _: &Text| key.clone();
    stream(builder)
        .left_join_global_table(&table(builder), own, left_or_both, Joined::named("j"))
        .to("out");
}
