//! Tables of topics and streams, filtered and mapped.

use millpond_streams::dsl::{
    KStream, KTable, Materialized, StreamsBuilder, ValueTransformerContext, ValueTransformerWithKey,
};
use millpond_streams::processor::BoxError;
use millpond_streams::serde::DefaultSerde;

use super::replays;
use super::values::{Text, even, group, number, pair};
use crate::checks::Cached;

replays! {
    table: of_topic, Cached::Last;
    table_filter: filtered, Cached::Last;
    table_filter_stored: filtered_to_store, Cached::Last;
    table_filter_chain: views_of_views, Cached::Last;
    table_map_values: mapped, Cached::Last;
    table_map_values_stored: mapped_to_store, Cached::Last;
    table_map_to_null: mapped_to_null, Cached::Last;
    table_transform_values: transformed, Cached::Last;
    to_table: of_stream, Cached::Last;
    to_table_rekeyed: of_rekeyed_stream, Cached::Last;
}

pub(super) fn table_of(builder: &StreamsBuilder, topic: &str) -> KTable<Text, String> {
    builder.table(topic, &format!("{topic}-table"))
}

pub(super) fn stored() -> Materialized<String> {
    Materialized::with(String::default_serde())
}

fn of_topic(builder: &StreamsBuilder) {
    table_of(builder, "in").to_stream().to("out");
}

fn filtered(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table.filter(|_, value| even(Some(value))).to_stream().to("out");
}

fn filtered_to_store(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table
        .filter_with("filtered", |_, value| even(Some(value)), stored())
        .to_stream()
        .to("out");
}

fn views_of_views(builder: &StreamsBuilder) {
    table_of(builder, "in")
        .filter(|_, value| number(Some(value)) % 3 != 0)
        .map_values(|value| value + "0")
        .filter_not_with("last", |_, value| number(Some(value)) % 20 == 0, stored())
        .to_stream()
        .to("out");
}

fn mapped(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table
        .map_values(|value| group(Some(&value)).unwrap_or_default())
        .to_stream()
        .to("out");
}

fn mapped_to_store(builder: &StreamsBuilder) {
    let group = |_: &Text, value: String| group(Some(&value)).unwrap_or_default();
    table_of(builder, "in")
        .map_values_with("mapped", group, stored())
        .to_stream()
        .to("out");
}

fn mapped_to_null(builder: &StreamsBuilder) {
    let odd = |key: &Text, value: String| (!even(Some(&value))).then(|| pair(key.as_deref(), Some(&value)));
    table_of(builder, "in")
        .map_values_with_key(odd)
        .to_stream()
        .to("out");
}

/// `key/value`, tombstones included.
struct Transformed;

impl ValueTransformerWithKey for Transformed {
    type Key = Text;
    type ValueIn = String;
    type ValueOut = String;

    fn transform(
        &mut self,
        key: &Text,
        value: Option<String>,
        _context: &mut ValueTransformerContext<'_>,
    ) -> Result<Option<String>, BoxError> {
        Ok(value.map(|value| pair(key.as_deref(), Some(&value))))
    }
}

fn transformed(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table
        .transform_values(|| Transformed, &[])
        .to_stream()
        .to("plain");
    table
        .transform_values_with("transformed", || Transformed, &[], stored())
        .to_stream()
        .to("stored");
}

fn of_stream(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    input.to_table_with_tombstones("table").to_stream().to("out");
}

fn of_rekeyed_stream(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    let grouped = input
        .select_key(|_, value| group(value.as_deref()))
        .repartition("by-group");
    grouped.to_table_with_tombstones("table").to_stream().to("out");
}
