//! Tables that remember their past.

use millpond_streams::dsl::{Consumed, Joined, KTable, StreamsBuilder};

use super::replays;
use super::stream_table_joins::{both, left_or_both, stream};
use super::table_aggregates::write_steps;
use super::tables::stored;
use super::values::{Text, even, group, ms, pair};
use crate::checks::Cached;

replays! {
    versioned_table: of_topic, Cached::Same;
    versioned_table_filter: filtered, Cached::Same;
    versioned_foreign_key: by_value, Cached::LastValue;
    versioned_table_aggregate: aggregated, Cached::Last;
    versioned_stream_table_inner: inner, Cached::Same;
    versioned_stream_table_left: left, Cached::Same;
    versioned_stream_table_inner_grace: inner_grace, Cached::Same;
    versioned_stream_table_left_grace: left_grace, Cached::Same;
    versioned_table_join: table_join, Cached::Same;
}

fn versioned(builder: &StreamsBuilder, topic: &str, history_ms: u64) -> KTable<Text, String> {
    let stored = stored().versioned(ms(history_ms));
    builder.table_with(topic, &format!("{topic}-table"), Consumed::default(), stored)
}

fn of_topic(builder: &StreamsBuilder) {
    versioned(builder, "in", 30).to_stream().to("out");
}

fn filtered(builder: &StreamsBuilder) {
    versioned(builder, "in", 30)
        .filter(|_, value| even(Some(value)))
        .to_stream()
        .to("out");
}

fn by_value(builder: &StreamsBuilder) {
    let foreign = |_: &Text, value: &String| Some(Some(value[..1].to_owned()));
    versioned(builder, "left", 40)
        .foreign_key_left_join("fk", &versioned(builder, "right", 40), foreign, |left, right| {
            pair(Some(left), right.map(String::as_str))
        })
        .to_stream()
        .to("out");
}

fn aggregated(builder: &StreamsBuilder) {
    write_steps(&versioned(builder, "in", 30).group_by(|_, value| (group(Some(&value)), value)));
}

fn inner(builder: &StreamsBuilder) {
    stream(builder)
        .join_table(&versioned(builder, "table", 60), both, Joined::named("j"))
        .to("out");
}

fn left(builder: &StreamsBuilder) {
    stream(builder)
        .left_join_table(&versioned(builder, "table", 25), left_or_both, Joined::named("j"))
        .to("out");
}

fn inner_grace(builder: &StreamsBuilder) {
    stream(builder)
        .join_table(
            &versioned(builder, "table", 60),
            both,
            Joined::named("j").grace(ms(10)),
        )
        .to("out");
}

fn left_grace(builder: &StreamsBuilder) {
    stream(builder)
        .left_join_table(
            &versioned(builder, "table", 25),
            left_or_both,
            Joined::named("j").grace(ms(5)),
        )
        .to("out");
}

fn table_join(builder: &StreamsBuilder) {
    let join = |left: Option<&String>, right: Option<&String>| {
        pair(left.map(String::as_str), right.map(String::as_str))
    };
    versioned(builder, "left", 40)
        .outer_join(&versioned(builder, "right", 40), join)
        .to_stream()
        .to("out");
}
