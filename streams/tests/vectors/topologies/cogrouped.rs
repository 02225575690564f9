//! Several streams in one aggregate.

use millpond_streams::dsl::{CogroupedKStream, KStream, SlidingWindows, StreamsBuilder, TimeWindows};

use super::replays;
use super::session_windowed::{joined, of as sessions_of, sessions_to};
use super::values::{Text, add_or_delete, even, ms, text};
use crate::checks::Cached;

replays! {
    cogroup: plain, Cached::Last;
    cogroup_rekeyed: rekeyed, Cached::Differs;
    cogroup_tumbling: tumbling, Cached::Last;
    cogroup_sliding: sliding, Cached::Last;
    cogroup_session: session, Cached::Last;
}

fn plus(_: &Text, value: &Text, so_far: String) -> Text {
    add_or_delete(&so_far, value.as_deref())
}

fn star(_: &Text, value: &Text, so_far: String) -> String {
    let value = text(value.as_deref());
    if so_far.len() > 20 {
        format!("*{value}")
    } else {
        format!("{so_far}*{value}")
    }
}

fn zero() -> String {
    "0".to_owned()
}

fn both(builder: &StreamsBuilder) -> CogroupedKStream<Text, String> {
    let left = builder.stream::<Text, Text>("left").group_by_key();
    left.cogroup(plus)
        .cogroup(&builder.stream::<Text, Text>("right").group_by_key(), star)
}

fn plain(builder: &StreamsBuilder) {
    both(builder).aggregate("cogrouped", zero).to_stream().to("out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let third: KStream<Text, Text> = builder.stream("third");
    let parity = |value: &str| (if even(Some(value)) { "a" } else { "b" }).to_owned();
    let third = third.group_by(move |_, value| value.as_deref().map(parity));
    both(builder)
        .cogroup(&third, star)
        .aggregate("cogrouped", zero)
        .to_stream()
        .to("out");
}

fn tumbling(builder: &StreamsBuilder) {
    let windows = TimeWindows::of(ms(10)).grace(ms(500));
    both(builder)
        .windowed_by(windows)
        .aggregate("cogrouped", zero)
        .to_stream()
        .to("out");
}

fn sliding(builder: &StreamsBuilder) {
    let windows = SlidingWindows::of_time_difference(ms(10)).grace(ms(500));
    both(builder)
        .windowed_by(windows)
        .aggregate("cogrouped", zero)
        .to_stream()
        .to("out");
}

fn session(builder: &StreamsBuilder) {
    sessions_to(
        &both(builder)
            .windowed_by(sessions_of(5, 500))
            .aggregate("cogrouped", zero, joined),
        "out",
    );
}
