//! Session windows.

use millpond_streams::dsl::{
    EmitStrategy, KStream, KTable, Produced, SessionWindowedSerde, SessionWindows, StreamsBuilder, Windowed,
};
use millpond_streams::serde::{Data, DefaultSerde};

use super::replays;
use super::time_windowed::grouped;
use super::values::{Text, add, add_or_delete, group, ms};
use crate::checks::Cached;

replays! {
    session_count: counted, Cached::Last;
    session_count_no_grace: no_grace, Cached::Last;
    session_count_rekeyed: rekeyed, Cached::Last;
    session_aggregate: aggregated, Cached::Last;
    session_aggregate_deletes: deleting, Cached::Last;
    session_reduce: reduced, Cached::Last;
    session_count_on_close: on_close, Cached::Same;
}

pub(super) fn of(gap: u64, grace: u64) -> SessionWindows {
    SessionWindows::with_inactivity_gap(ms(gap)).grace(ms(grace))
}

pub(super) fn sessions_to<V: Data + DefaultSerde>(table: &KTable<Windowed<Text>, V>, topic: &str) {
    let produced = Produced::with(SessionWindowedSerde::default_of(), Option::<V>::default_serde());
    table.to_stream().to_with(topic, produced);
}

fn counted(builder: &StreamsBuilder) {
    sessions_to(&grouped(builder).windowed_by(of(5, 15)).count("counts"), "out");
}

fn no_grace(builder: &StreamsBuilder) {
    sessions_to(&grouped(builder).windowed_by(of(5, 0)).count("counts"), "out");
}

fn rekeyed(builder: &StreamsBuilder) {
    let input: KStream<Text, Text> = builder.stream("in");
    let groups = input.group_by(|_, value| group(value.as_deref()));
    sessions_to(&groups.windowed_by(of(3, 5)).count("counts"), "out");
}

pub(super) fn joined(_: &Text, left: String, right: String) -> String {
    format!("{left}&{right}")
}

fn aggregated(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add(&so_far, value.as_deref());
    let sessions = grouped(builder).windowed_by(of(6, 30));
    sessions_to(
        &sessions.aggregate("joined", || "0".to_owned(), add, joined),
        "out",
    );
}

fn deleting(builder: &StreamsBuilder) {
    let add = |_: &Text, value: &Text, so_far: String| add_or_delete(&so_far, value.as_deref());
    let sessions = grouped(builder).windowed_by(of(6, 30));
    sessions_to(
        &sessions.aggregate("joined", || "0".to_owned(), add, joined),
        "out",
    );
}

fn reduced(builder: &StreamsBuilder) {
    let add = |so_far: Text, value: &Text| match so_far {
        None => value.clone(),
        Some(so_far) => add(&so_far, value.as_deref()),
    };
    sessions_to(
        &grouped(builder).windowed_by(of(4, 60)).reduce("reduced", add),
        "out",
    );
}

fn on_close(builder: &StreamsBuilder) {
    let sessions = grouped(builder)
        .windowed_by(of(5, 5))
        .emit_strategy(EmitStrategy::on_window_close());
    sessions_to(&sessions.count("counts"), "out");
}
