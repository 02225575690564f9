//! Tumbling, hopping and unlimited windows.

use millpond_streams::dsl::{
    EmitStrategy, KGroupedStream, KStream, StreamsBuilder, TimeWindows, UnlimitedWindows,
};

use super::replays;
use super::values::{Text, add, add_or_delete, group, ms};
use crate::checks::Cached;

replays! {
    tumbling_count: tumbling, Cached::Last;
    tumbling_count_no_grace: no_grace, Cached::Last;
    tumbling_count_rekeyed: rekeyed, Cached::Last;
    hopping_count: hopping, Cached::Last;
    hopping_aggregate: hopping_joined, Cached::Last;
    tumbling_aggregate: tumbling_joined, Cached::Last;
    tumbling_reduce: reduced, Cached::Last;
    tumbling_reduce_null_values: reduced, Cached::Last;
    unlimited_count: unlimited, Cached::Last;
    tumbling_count_on_close: on_close, Cached::Same;
    hopping_aggregate_on_close: hopping_on_close, Cached::Same;
    tumbling_count_on_close_no_grace: on_close_no_grace, Cached::Same;
}

fn of(size: u64, grace: u64) -> TimeWindows {
    TimeWindows::of(ms(size)).grace(ms(grace))
}

pub(super) fn grouped(builder: &StreamsBuilder) -> KGroupedStream<Text, Text> {
    builder.stream("in").group_by_key()
}

fn tumbling(builder: &StreamsBuilder) {
    grouped(builder)
        .windowed_by(of(10, 5))
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
    groups
        .windowed_by(of(10, 5))
        .count("counts")
        .to_stream()
        .to("out");
}

fn hopping(builder: &StreamsBuilder) {
    grouped(builder)
        .windowed_by(of(10, 8).advance_by(ms(4)))
        .count("counts")
        .to_stream()
        .to("out");
}

fn hopping_joined(builder: &StreamsBuilder) {
    let windows = grouped(builder).windowed_by(of(10, 20).advance_by(ms(5)));
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    windows
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}

fn tumbling_joined(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add(&so_far, value.as_deref());
    let windows = grouped(builder).windowed_by(of(20, 10));
    windows
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}

fn reduced(builder: &StreamsBuilder) {
    let add =
        |so_far: Text, value: &Text| add_or_delete(so_far.as_deref().unwrap_or_default(), value.as_deref());
    grouped(builder)
        .windowed_by(of(15, 10))
        .reduce("reduced", add)
        .to_stream()
        .to("out");
}

fn unlimited(builder: &StreamsBuilder) {
    let windows = UnlimitedWindows::of().start_on(ms(120));
    grouped(builder)
        .windowed_by(windows)
        .count("counts")
        .to_stream()
        .to("out");
}

fn on_close(builder: &StreamsBuilder) {
    let windows = grouped(builder)
        .windowed_by(of(10, 5))
        .emit_strategy(EmitStrategy::on_window_close());
    windows.count("counts").to_stream().to("out");
}

fn on_close_no_grace(builder: &StreamsBuilder) {
    let windows = grouped(builder)
        .windowed_by(of(10, 0))
        .emit_strategy(EmitStrategy::on_window_close());
    windows.count("counts").to_stream().to("out");
}

fn hopping_on_close(builder: &StreamsBuilder) {
    let hopping = of(10, 3).advance_by(ms(4));
    let windows = grouped(builder)
        .windowed_by(hopping)
        .emit_strategy(EmitStrategy::on_window_close());
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    windows
        .aggregate("joined", || "0".to_owned(), add)
        .to_stream()
        .to("out");
}
