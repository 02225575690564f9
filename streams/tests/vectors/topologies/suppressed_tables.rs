//! Tables whose updates are held back.

use millpond_streams::dsl::{
    EagerBuffer, SlidingWindows, StreamsBuilder, StrictBuffer, Suppressed, TimeWindows,
};

use super::replays;
use super::session_windowed::{of as sessions_of, sessions_to};
use super::tables::table_of;
use super::values::{Text, add_or_delete, even, ms};
use crate::checks::Cached;

replays! {
    suppress_tumbling: tumbling, Cached::Last;
    suppress_hopping: hopping, Cached::Differs;
    suppress_session: session, Cached::Last;
    suppress_sliding: sliding, Cached::Last;
    suppress_time_limit: time_limit, Cached::Differs;
    suppress_time_limit_records: two_keys, Cached::Differs;
    suppress_time_limit_windows: three_windows, Cached::Differs;
    suppress_zero: no_time, Cached::Last;
    suppress_filtered: filtered, Cached::Differs;
}

fn unbounded() -> StrictBuffer {
    StrictBuffer::unbounded()
}

fn tumbling(builder: &StreamsBuilder) {
    let windows = builder
        .stream::<Text, Text>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)).grace(ms(5)));
    windows
        .count("counts")
        .suppress("final", Suppressed::until_window_closes(unbounded()))
        .to_stream()
        .to("out");
}

fn hopping(builder: &StreamsBuilder) {
    let windows = TimeWindows::of(ms(10)).grace(ms(3)).advance_by(ms(4));
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    let joined = builder
        .stream::<Text, Text>("in")
        .group_by_key()
        .windowed_by(windows)
        .aggregate("joined", || "0".to_owned(), add);
    joined
        .suppress("final", Suppressed::until_window_closes(unbounded()))
        .to_stream()
        .to("out");
}

fn session(builder: &StreamsBuilder) {
    let counts = builder
        .stream::<Text, Text>("in")
        .group_by_key()
        .windowed_by(sessions_of(5, 5))
        .count("counts");
    sessions_to(
        &counts.suppress("final", Suppressed::until_window_closes(unbounded())),
        "out",
    );
}

fn sliding(builder: &StreamsBuilder) {
    let windows = SlidingWindows::of_time_difference(ms(10)).grace(ms(5));
    let counts = builder
        .stream::<Text, Text>("in")
        .group_by_key()
        .windowed_by(windows)
        .count("counts");
    counts
        .suppress("final", Suppressed::until_window_closes(unbounded()))
        .to_stream()
        .to("out");
}

fn time_limit(builder: &StreamsBuilder) {
    table_of(builder, "in")
        .suppress("held", Suppressed::until_time_limit(ms(10), unbounded()))
        .to_stream()
        .to("out");
}

fn two_keys(builder: &StreamsBuilder) {
    let limit = Suppressed::until_time_limit(ms(30), EagerBuffer::max_records(2));
    table_of(builder, "in")
        .suppress("held", limit)
        .to_stream()
        .to("out");
}

fn three_windows(builder: &StreamsBuilder) {
    let windows = builder
        .stream::<Text, Text>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(ms(10)).grace(ms(20)));
    let limit = Suppressed::until_time_limit(ms(8), EagerBuffer::max_records(3));
    windows
        .count("counts")
        .suppress("held", limit)
        .to_stream()
        .to("out");
}

fn no_time(builder: &StreamsBuilder) {
    let counts = builder.stream::<Text, Text>("in").group_by_key().count("counts");
    counts
        .suppress("held", Suppressed::until_time_limit(ms(0), unbounded()))
        .to_stream()
        .to("out");
}

fn filtered(builder: &StreamsBuilder) {
    let table = table_of(builder, "in").filter(|_, value| even(Some(value)));
    table
        .suppress("held", Suppressed::until_time_limit(ms(6), unbounded()))
        .to_stream()
        .to("out");
}
