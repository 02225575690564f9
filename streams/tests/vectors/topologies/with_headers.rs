//! Which headers results carry.

use millpond_streams::dsl::{
    JoinWindows, Joined, KStream, StreamJoined, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows,
};

use super::replays;
use super::session_windowed::{of as sessions_of, sessions_to};
use super::tables::{stored, table_of};
use super::values::{Text, add, add_or_delete, even, group, ms, pair};
use crate::checks::Cached;

replays! {
    headers_aggregates: aggregates, Cached::Last;
    headers_tables: tables, Cached::Last;
    headers_windows: windows, Cached::Last;
    headers_sessions: sessions, Cached::LastValue;
    headers_stream_join_inner: stream_join_inner, Cached::Same;
    headers_stream_join_outer: stream_join_outer, Cached::Same;
    headers_stream_table: stream_table, Cached::Same;
    headers_table_joins: table_joins, Cached::LastValue;
}

fn aggregates(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    input.group_by_key().count("counts").to_stream().to("counts");
    let add =
        |so_far: Text, value: &Text| add_or_delete(so_far.as_deref().unwrap_or_default(), value.as_deref());
    input
        .group_by_key()
        .reduce("reduced", add)
        .to_stream()
        .to("reduced");
    input
        .group_by(|_, value| group(value.as_deref()))
        .count("rekeyed")
        .to_stream()
        .to("rekeyed");
}

fn tables(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    table.to_stream().to("table");
    table.filter(|_, value| even(Some(value))).to_stream().to("view");
    let groups = |_: &Text, value: String| group(Some(&value)).unwrap_or_default();
    table
        .map_values_with("stored", groups, stored())
        .to_stream()
        .to("stored");
    table
        .group_by(|_, value| (group(Some(&value)), value))
        .count("grouped")
        .to_stream()
        .to("grouped");
    table
        .suppress(
            "held",
            Suppressed::until_time_limit(ms(6), StrictBuffer::unbounded()),
        )
        .to_stream()
        .to("held");
}

fn windows(builder: &StreamsBuilder) {
    let input = builder.stream::<Text, Text>("in").group_by_key();
    let tumbling = TimeWindows::of(ms(10)).grace(ms(5));
    input
        .windowed_by(tumbling)
        .count("tumbling")
        .to_stream()
        .to("tumbling");
    let add = |_: &Text, value: &Text, so_far: String| add(&so_far, value.as_deref());
    let hopping = input.windowed_by(tumbling.advance_by(ms(5)));
    hopping
        .aggregate("hopping", || "0".to_owned(), add)
        .to_stream()
        .to("hopping");
}

fn sessions(builder: &StreamsBuilder) {
    let input = builder.stream::<Text, Text>("in").group_by_key();
    sessions_to(&input.windowed_by(sessions_of(5, 5)).count("open"), "open");
}

fn table_joins(builder: &StreamsBuilder) {
    let (left, right) = (table_of(builder, "left"), table_of(builder, "right"));
    let text = |value: Option<&String>| value.map(String::as_str).map(str::to_owned);
    let any = move |left: Option<&String>, right: Option<&String>| {
        pair(text(left).as_deref(), text(right).as_deref())
    };
    left.outer_join(&right, any).to_stream().to("by-key");
    let foreign =
        |_: &Text, value: &String| Some(Some((if even(Some(value)) { "a" } else { "b" }).to_owned()));
    let joined = left.foreign_key_left_join("fk", &right, foreign, |left, right| {
        pair(Some(left), right.map(String::as_str))
    });
    joined.to_stream().to("by-value");
}

fn join_windows() -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(ms(8), ms(3))
}

fn stream_join_inner(builder: &StreamsBuilder) {
    let (left, right) = (
        builder.stream::<Text, Text>("left"),
        builder.stream::<Text, Text>("right"),
    );
    let join = |left: &Text, right: &Text| pair(left.as_deref(), right.as_deref());
    left.join(&right, join, join_windows(), StreamJoined::named("j"))
        .to("out");
}

fn stream_join_outer(builder: &StreamsBuilder) {
    let (left, right) = (
        builder.stream::<Text, Text>("left"),
        builder.stream::<Text, Text>("right"),
    );
    let join = |left: Option<&Text>, right: Option<&Text>| {
        pair(left.and_then(Option::as_deref), right.and_then(Option::as_deref))
    };
    left.outer_join(&right, join, join_windows(), StreamJoined::named("j"))
        .to("out");
}

fn stream_table(builder: &StreamsBuilder) {
    let join = |value: &Text, entry: Option<&String>| pair(value.as_deref(), entry.map(String::as_str));
    builder
        .stream::<Text, Text>("left")
        .left_join_table(&table_of(builder, "right"), join, Joined::named("j"))
        .to("out");
}
