//! Streams joined in windows.

use millpond_streams::dsl::{JoinWindows, KStream, StreamJoined, StreamsBuilder};

use super::replays;
use super::values::{Text, group, ms, pair, text};
use crate::checks::Cached;

replays! {
    stream_join_inner: |builder| inner(builder, of(10, 20)), Cached::Same;
    stream_join_left: |builder| left(builder, of(10, 5)), Cached::Same;
    stream_join_outer: |builder| outer(builder, of(10, 5)), Cached::Same;
    stream_join_inner_no_grace: |builder| inner(builder, of(8, 0)), Cached::Same;
    stream_join_left_no_grace: |builder| left(builder, of(8, 0)), Cached::Same;
    stream_join_outer_no_grace: |builder| outer(builder, of(8, 0)), Cached::Same;
    stream_join_inner_asymmetric: |builder| inner(builder, sides(3, 12, 5)), Cached::Same;
    stream_join_left_asymmetric: |builder| left(builder, sides(12, 3, 5)), Cached::Same;
    stream_join_outer_asymmetric: |builder| outer(builder, sides(2, 15, 3)), Cached::Same;
    stream_join_left_before_only: |builder| left(builder, sides(10, 0, 0)), Cached::Same;
    stream_join_outer_after_only: |builder| outer(builder, sides(0, 10, 4)), Cached::Same;
    stream_join_same_time: |builder| outer(builder, of(0, 10)), Cached::Same;
    stream_join_with_key: with_key, Cached::Same;
    stream_join_rekeyed: rekeyed, Cached::Same;
    stream_join_self: with_itself, Cached::Same;
    stream_join_chain: chain, Cached::Same;
}

fn of(difference: u64, grace: u64) -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(ms(difference), ms(grace))
}

/// The right record up to `before` ms before and `after` ms after the left one.
fn sides(before: u64, after: u64, grace: u64) -> JoinWindows {
    of(0, grace).before(ms(before)).after(ms(after))
}

fn stream(builder: &StreamsBuilder, topic: &str) -> KStream<Text, Text> {
    builder.stream(topic)
}

fn joined() -> StreamJoined<Text, Text, Text> {
    StreamJoined::named("j")
}

fn both(left: &Text, right: &Text) -> String {
    pair(left.as_deref(), right.as_deref())
}

fn left_or_both(left: &Text, right: Option<&Text>) -> String {
    any(Some(left), right)
}

fn any(left: Option<&Text>, right: Option<&Text>) -> String {
    pair(left.and_then(Option::as_deref), right.and_then(Option::as_deref))
}

fn inner(builder: &StreamsBuilder, windows: JoinWindows) {
    stream(builder, "left")
        .join(&stream(builder, "right"), both, windows, joined())
        .to("out");
}

fn left(builder: &StreamsBuilder, windows: JoinWindows) {
    stream(builder, "left")
        .left_join(&stream(builder, "right"), left_or_both, windows, joined())
        .to("out");
}

fn outer(builder: &StreamsBuilder, windows: JoinWindows) {
    stream(builder, "left")
        .outer_join(&stream(builder, "right"), any, windows, joined())
        .to("out");
}

fn with_key(builder: &StreamsBuilder) {
    let join =
        |key: &Text, left: &Text, right: &Text| format!("{}:{}", text(key.as_deref()), both(left, right));
    stream(builder, "left")
        .join_with_key(&stream(builder, "right"), join, of(10, 20), joined())
        .to("out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let by_group = |topic: &str| stream(builder, topic).select_key(|_, value| group(value.as_deref()));
    by_group("left")
        .join(&by_group("right"), both, of(10, 500), joined())
        .to("out");
}

fn with_itself(builder: &StreamsBuilder) {
    let left = stream(builder, "left");
    left.join(&left, both, of(6, 10), joined()).to("out");
}

fn chain(builder: &StreamsBuilder) {
    let first = stream(builder, "left").join(&stream(builder, "right"), both, of(10, 5), joined());
    let join = |first: &String, third: Option<&Text>| pair(Some(first), third.and_then(Option::as_deref));
    first
        .left_join(
            &stream(builder, "third"),
            join,
            of(5, 5),
            StreamJoined::named("k"),
        )
        .to("out");
}
