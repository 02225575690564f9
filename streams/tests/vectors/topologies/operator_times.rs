//! Where an operator's time is not that of the records read: behind filters, null keys, repartition topics, with several inputs.

use millpond_streams::dsl::{
    CogroupedKStream, EmitStrategy, JoinWindows, KGroupedStream, KStream, Materialized, SlidingWindows,
    StreamJoined, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows,
};
use millpond_streams::serde::DefaultSerde;

use super::replays;
use super::session_windowed::{joined, of as gaps, sessions_to};
use super::values::{Text, add_or_delete, even, group, ms, pair};
use crate::checks::Cached;

replays! {
    time_filter_tumbling: |builder| tumbling(&grouped(builder), of(10, 0)), Cached::Last;
    time_filter_tumbling_grace: |builder| tumbling(&grouped(builder), of(10, 5)), Cached::Last;
    time_filter_hopping: |builder| tumbling(&grouped(builder), of(10, 3).advance_by(ms(4))), Cached::Last;
    time_filter_sliding: |builder| sliding(&grouped(builder), apart(10, 0)), Cached::Last;
    time_filter_sliding_grace: |builder| sliding(&grouped(builder), apart(10, 6)), Cached::Last;
    time_filter_session: |builder| sessions(&grouped(builder), 5, 0), Cached::Last;
    time_filter_session_grace: |builder| sessions(&grouped(builder), 5, 10), Cached::Last;
    time_filter_tumbling_on_close: |builder| on_close(&grouped(builder), of(10, 5)), Cached::Same;
    time_filter_hopping_on_close: |builder| on_close(&grouped(builder), of(10, 0).advance_by(ms(4))), Cached::Same;
    time_filter_sliding_on_close: sliding_on_close, Cached::Same;
    time_filter_session_on_close: sessions_on_close, Cached::Same;
    time_null_keys_tumbling: |builder| tumbling(&unfiltered(builder), of(10, 0)), Cached::Last;
    time_nulls_sliding: |builder| sliding(&unfiltered(builder), apart(10, 0)), Cached::Last;
    time_null_keys_session: |builder| sessions(&unfiltered(builder), 5, 0), Cached::Last;
    time_cogroup_tumbling: cogroup_tumbling, Cached::Last;
    time_cogroup_sliding: cogroup_sliding, Cached::Last;
    time_cogroup_session: cogroup_session, Cached::Last;
    time_join_filtered_inner: join_inner, Cached::Same;
    time_join_filtered_left: join_left, Cached::Same;
    time_join_filtered_outer: join_outer, Cached::Same;
    time_rekeyed_tumbling: |builder| tumbling(&regrouped(builder), of(10, 0)), Cached::Last;
    time_rekeyed_hopping: |builder| tumbling(&regrouped(builder), of(10, 3).advance_by(ms(4))), Cached::Last;
    time_rekeyed_sliding: |builder| sliding(&regrouped(builder), apart(10, 4)), Cached::Last;
    time_rekeyed_session: |builder| sessions(&regrouped(builder), 4, 0), Cached::Last;
    time_rekeyed_tumbling_on_close: |builder| on_close(&regrouped(builder), of(10, 5)), Cached::Same;
    time_rekeyed_suppress: rekeyed_suppress, Cached::Last;
    time_rekeyed_join_left: rekeyed_join_left, Cached::Same;
    time_rekeyed_join_outer: rekeyed_join_outer, Cached::Same;
}

fn of(size: u64, grace: u64) -> TimeWindows {
    TimeWindows::of(ms(size)).grace(ms(grace))
}

fn apart(difference: u64, grace: u64) -> SlidingWindows {
    SlidingWindows::of_time_difference(ms(difference)).grace(ms(grace))
}

fn within(difference: u64, grace: u64) -> JoinWindows {
    JoinWindows::of_time_difference_and_grace(ms(difference), ms(grace))
}

fn named() -> StreamJoined<Text, Text, Text> {
    StreamJoined::named("j")
}

fn unfiltered(builder: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    builder.stream("in").group_by_key()
}

fn only_even(builder: &StreamsBuilder, topic: &str) -> KStream<Text, Text> {
    let input: KStream<Text, Text> = builder.stream(topic);
    input.filter(|_, value| even(value.as_deref()))
}

fn grouped(builder: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    only_even(builder, "in").group_by_key()
}

fn regrouped(builder: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    only_even(builder, "in").group_by(|_, value| group(value.as_deref()))
}

fn tumbling(grouped: &KGroupedStream<Text, Text>, windows: TimeWindows) {
    grouped.windowed_by(windows).count("counts").to_stream().to("out");
}

fn sliding(grouped: &KGroupedStream<Text, Text>, windows: SlidingWindows) {
    grouped.windowed_by(windows).count("counts").to_stream().to("out");
}

fn sessions(grouped: &KGroupedStream<Text, Text>, gap: u64, grace: u64) {
    let sessions = grouped.windowed_by(gaps(gap, grace));
    sessions_to(&sessions.count_with("counts", kept_for_long()), "out");
}

fn on_close(grouped: &KGroupedStream<Text, Text>, windows: TimeWindows) {
    let windows = grouped
        .windowed_by(windows)
        .emit_strategy(EmitStrategy::on_window_close());
    windows.count("counts").to_stream().to("out");
}

fn sliding_on_close(builder: &StreamsBuilder) {
    let windows = grouped(builder)
        .windowed_by(apart(10, 5))
        .emit_strategy(EmitStrategy::on_window_close());
    windows.count("counts").to_stream().to("out");
}

fn sessions_on_close(builder: &StreamsBuilder) {
    let windows = grouped(builder)
        .windowed_by(gaps(5, 5))
        .emit_strategy(EmitStrategy::on_window_close());
    sessions_to(&windows.count_with("counts", kept_for_long()), "out");
}

fn both(builder: &StreamsBuilder) -> CogroupedKStream<Text, String> {
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    let left = builder.stream::<Text, Text>("left").group_by_key();
    left.cogroup(add)
        .cogroup(&builder.stream::<Text, Text>("right").group_by_key(), add)
}

fn zero() -> String {
    "0".to_owned()
}

/// Closed sessions can still be met, and of two inputs one may be far behind the other: the recordings are of stores that keep what is past.
fn kept_for_long<A: DefaultSerde>() -> Materialized<A> {
    Materialized::default().retention(ms(3_600_000))
}

fn cogroup_tumbling(builder: &StreamsBuilder) {
    both(builder)
        .windowed_by(of(10, 0))
        .aggregate_with("cogrouped", zero, kept_for_long())
        .to_stream()
        .to("out");
}

fn cogroup_sliding(builder: &StreamsBuilder) {
    both(builder)
        .windowed_by(apart(10, 3))
        .aggregate_with("cogrouped", zero, kept_for_long())
        .to_stream()
        .to("out");
}

fn cogroup_session(builder: &StreamsBuilder) {
    let sessions = both(builder).windowed_by(gaps(5, 0));
    let table = sessions.aggregate_with("cogrouped", zero, joined, kept_for_long());
    sessions_to(&table, "out");
}

fn either(left: &Text, right: &Text) -> String {
    pair(left.as_deref(), right.as_deref())
}

fn left_or_both(left: &Text, right: Option<&Text>) -> String {
    any(Some(left), right)
}

fn any(left: Option<&Text>, right: Option<&Text>) -> String {
    pair(left.and_then(Option::as_deref), right.and_then(Option::as_deref))
}

fn join_inner(builder: &StreamsBuilder) {
    let (left, right) = (only_even(builder, "left"), only_even(builder, "right"));
    left.join(&right, either, within(8, 0), named()).to("out");
}

fn join_left(builder: &StreamsBuilder) {
    let (left, right) = (only_even(builder, "left"), only_even(builder, "right"));
    left.left_join(&right, left_or_both, within(10, 5), named())
        .to("out");
}

fn join_outer(builder: &StreamsBuilder) {
    let (left, right) = (only_even(builder, "left"), only_even(builder, "right"));
    left.outer_join(&right, any, within(10, 0), named()).to("out");
}

fn rekeyed_suppress(builder: &StreamsBuilder) {
    let counts = regrouped(builder).windowed_by(of(10, 5)).count("counts");
    counts
        .suppress(
            "final",
            Suppressed::until_window_closes(StrictBuffer::unbounded()),
        )
        .to_stream()
        .to("out");
}

fn halves(builder: &StreamsBuilder) -> (KStream<Text, Text>, KStream<Text, Text>) {
    let input: KStream<Text, Text> = builder.stream("in");
    let all = input
        .select_key(|_, value| group(value.as_deref()))
        .repartition("by-group");
    let evens = all.filter(|_, value| even(value.as_deref()));
    (evens, all.filter(|_, value| !even(value.as_deref())))
}

fn rekeyed_join_left(builder: &StreamsBuilder) {
    let (evens, odds) = halves(builder);
    evens
        .left_join(&odds, left_or_both, within(10, 5), named())
        .to("out");
}

fn rekeyed_join_outer(builder: &StreamsBuilder) {
    let (evens, odds) = halves(builder);
    evens.outer_join(&odds, any, within(6, 0), named()).to("out");
}
