//! Tables joined by a key in the left one's value.

use millpond_streams::dsl::{KTable, StreamsBuilder, TableJoined};

use super::replays;
use super::tables::{stored, table_of};
use super::values::{Text, group, number, pair};
use crate::checks::Cached;

replays! {
    foreign_key_inner: inner, Cached::Last;
    foreign_key_left: left, Cached::Last;
    foreign_key_inner_stored: inner_to_store, Cached::Last;
    foreign_key_left_stored: left_to_store, Cached::Last;
    foreign_key_of_views: of_views, Cached::Last;
    foreign_key_with_key: with_key, Cached::Last;
}

/// Values such as `x7` point at `x`; `-7` at nothing. The keys of tables are nullable here, so a foreign key that is there is `Some(Some(_))`.
fn foreign(_: &Text, value: &String) -> Option<Text> {
    (!value.starts_with('-')).then(|| Some(value[..1].to_owned()))
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

fn inner(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.foreign_key_join("fk", &right, foreign, both)
        .to_stream()
        .to("out");
}

fn left(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.foreign_key_left_join("fk", &right, foreign, left_or_both)
        .to_stream()
        .to("out");
}

fn inner_to_store(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.foreign_key_join_with("joined", &right, foreign, both, TableJoined::default(), stored())
        .to_stream()
        .to("out");
}

fn left_to_store(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    left.foreign_key_left_join_with(
        "joined",
        &right,
        foreign,
        left_or_both,
        TableJoined::default(),
        stored(),
    )
    .to_stream()
    .to("out");
}

fn of_views(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    let groups = right.map_values(|value| group(Some(&value)).unwrap_or_default());
    left.filter(|_, value| number(Some(value)) % 4 != 0)
        .foreign_key_left_join("fk", &groups, foreign, left_or_both)
        .to_stream()
        .to("out");
}

fn with_key(builder: &StreamsBuilder) {
    let (left, right) = sides(builder);
    let foreign = |key: &Text, value: &String| {
        let points_at_x = key.as_deref() == Some("a") && number(Some(value)) % 2 == 0;
        if points_at_x {
            Some(Some("x".to_owned()))
        } else {
            foreign(key, value)
        }
    };
    left.foreign_key_join("fk", &right, foreign, both)
        .to_stream()
        .to("out");
}
