//! Sliding windows.

use millpond_streams::dsl::{EmitStrategy, KStream, SlidingWindows, StreamsBuilder};

use super::replays;
use super::time_windowed::grouped;
use super::values::{Text, add, add_or_delete, group, ms};
use crate::checks::Cached;

replays! {
    sliding_count: counted, Cached::Last;
    sliding_count_no_grace: no_grace, Cached::Last;
    sliding_count_rekeyed: rekeyed, Cached::Last;
    sliding_aggregate: aggregated, Cached::Last;
    sliding_reduce: reduced, Cached::Last;
    sliding_aggregate_deletes: deleting, Cached::Last;
    sliding_count_on_close: on_close, Cached::Same;
}

fn of(difference: u64, grace: u64) -> SlidingWindows {
    SlidingWindows::of_time_difference(ms(difference)).grace(ms(grace))
}

fn counted(builder: &StreamsBuilder) {
    grouped(builder)
        .windowed_by(of(10, 20))
        .count("counts")
        .to_stream()
        .to("out");
}

fn no_grace(builder: &StreamsBuilder) {
    grouped(builder)
        .windowed_by(of(10, 0))
        .count("counts")
        .to_stream()
        .to("out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    let groups = input.group_by(|_, value| group(value.as_deref()));
    groups.windowed_by(of(8, 5)).count("counts").to_stream().to("out");
}

fn aggregated(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add(&so_far, value.as_deref());
    let windows = grouped(builder).windowed_by(of(10, 30));
    windows
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}

fn reduced(builder: &StreamsBuilder) {
    let add = |so_far: Text, value: &Text| add(so_far.as_deref().unwrap_or_default(), value.as_deref());
    grouped(builder)
        .windowed_by(of(5, 50))
        .reduce("reduced", add)
        .to_stream()
        .to("out");
}

fn deleting(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    let windows = grouped(builder).windowed_by(of(10, 30));
    windows
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}

fn on_close(builder: &StreamsBuilder) {
    let windows = grouped(builder)
        .windowed_by(of(10, 5))
        .emit_strategy(EmitStrategy::on_window_close());
    windows.count("counts").to_stream().to("out");
}
