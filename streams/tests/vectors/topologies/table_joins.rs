//! Tables joined by key.

use millpond_streams::dsl::{KTable, StreamsBuilder};

use super::replays;
use super::tables::{stored, table_of};
use super::values::{Text, even, group, pair};
use crate::checks::Cached;

replays! {
    table_join_inner: inner, Cached::Last;
    table_join_left: left, Cached::Last;
    table_join_outer: outer, Cached::Last;
    table_join_inner_stored: inner_to_store, Cached::Last;
    table_join_outer_stored: outer_to_store, Cached::Last;
    table_join_of_views: of_views, Cached::Last;
    table_join_chain: chain, Cached::Last;
    table_join_grouped: join_grouped, Cached::Last;
    table_join_self: with_itself, Cached::Last;
    table_join_counts: of_counts, Cached::Last;
}

fn sides(builder: &StreamsBuilder) -> (KTable<Text, String>, KTable<Text, String>) {
    (table_of(builder, "left"), table_of(builder, "right"))
}

fn both(left: &String, right: &String) -> String {
    pair(Some(left), Some(right))
}

fn left_or_both(left: &String, right: Option<&String>) -> String {
    pair(Some(left), right.map(String::as_str))
}

fn any(left: Option<&String>, right: Option<&String>) -> String {
    pair(left.map(String::as_str), right.map(String::as_str))
}

fn inner(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.join(&right, both).to_stream().to("out");
}

fn left(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.left_join(&right, left_or_both).to_stream().to("out");
}

fn outer(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.outer_join(&right, any).to_stream().to("out");
}

fn inner_to_store(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.join_with("joined", &right, both, stored())
        .to_stream()
        .to("out");
}

fn outer_to_store(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.outer_join_with("joined", &right, any, stored())
        .to_stream()
        .to("out");
}

fn of_views(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    let groups = right.map_values(|value| group(Some(&value)).unwrap_or_default());
    left.filter(|_, value| even(Some(value)))
        .left_join(&groups, left_or_both)
        .to_stream()
        .to("out");
}

fn chain(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.join(&right, both)
        .outer_join(&table_of(builder, "third"), any)
        .to_stream()
        .to("out");
}

fn join_grouped(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    let marked = left.left_join(&right, |left, right| {
        format!("{left}{}", if right.is_none() { "0" } else { "1" })
    });
    marked
        .group_by(|_, value| (group(Some(&value)), value))
        .count("counts")
        .to_stream()
        .to("out");
}

fn with_itself(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table
        .join(&table.filter(|_, value| even(Some(value))), both)
        .to_stream()
        .to("out");
}

fn of_counts(builder: &StreamsBuilder) {
    let counts = |topic: &str| {
        builder
            .stream::<Text, Text>(topic)
            .group_by_key()
            .count(&format!("{topic}-counts"))
    };
    let join = |left: Option<&u64>, right: Option<&u64>| {
        let text = |count: Option<&u64>| count.map(u64::to_string);
        pair(text(left).as_deref(), text(right).as_deref())
    };
    counts("left")
        .outer_join(&counts("right"), join)
        .to_stream()
        .to("out");
}
