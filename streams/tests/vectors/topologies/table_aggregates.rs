//! Grouped tables: every update takes the old value out of its group and puts the new one into its own.

use millpond_streams::dsl::{KGroupedTable, KTable, StreamsBuilder};

use super::replays;
use super::tables::table_of;
use super::values::{Text, add, group, number};
use crate::checks::Cached;

replays! {
    table_count: counted, Cached::Last;
    table_reduce: summed, Cached::Last;
    table_reduce_to_null: summed_to_null, Cached::Last;
    table_aggregate: steps, Cached::Last;
    table_aggregate_same_key: steps_of_same_key, Cached::Last;
    table_aggregate_of_views: steps_of_views, Cached::Last;
    table_count_of_counts: count_of_counts, Cached::EvenWithout;
}

/// `so far-value`, begun anew when it grows long.
fn subtract(so_far: &str, value: &str) -> String {
    if so_far.len() > 20 {
        format!("-{value}")
    } else {
        format!("{so_far}-{value}")
    }
}

fn grouped(table: &KTable<Text, String>) -> KGroupedTable<Text, String> {
    table.group_by(|_, value| {
        let key = if number(Some(&value)) % 9 == 8 {
            None
        } else {
            group(Some(&value))
        };
        (key, value)
    })
}

pub(super) fn write_steps(grouped: &KGroupedTable<Text, String>) {
    let plus = |_: &Text, value: &String, so_far: String| add(&so_far, Some(value));
    let minus = |_: &Text, value: &String, so_far: String| subtract(&so_far, value);
    grouped
        .aggregate("steps", String::new, plus, minus)
        .to_stream()
        .to("out");
}

fn numbers(builder: &StreamsBuilder) -> KGroupedTable<String, i64> {
    let table: KTable<Text, i64> = builder.table("in", "in-table");
    table.group_by(|_, value| (format!("m{}", value % 3), value))
}

fn counted(builder: &StreamsBuilder) {
    grouped(&table_of(builder, "in"))
        .count("counts")
        .to_stream()
        .to("out");
}

fn summed(builder: &StreamsBuilder) {
    numbers(builder)
        .reduce("sums", |sum, value| sum + value, |sum, value| sum - value)
        .to_stream()
        .to("out");
}

fn summed_to_null(builder: &StreamsBuilder) {
    let not_zero = |sum: i64| (sum != 0).then_some(sum);
    let sums = numbers(builder).reduce(
        "sums",
        move |sum, value| not_zero(sum + value),
        move |sum, value| not_zero(sum - value),
    );
    sums.to_stream().to("out");
}

fn steps(builder: &StreamsBuilder) {
    write_steps(&grouped(&table_of(builder, "in")));
}

fn steps_of_same_key(builder: &StreamsBuilder) {
    write_steps(&table_of(builder, "in").group_by(|key, value| (key.clone(), value)));
}

fn steps_of_views(builder: &StreamsBuilder) {
    let table = table_of(builder, "in");
    write_steps(&grouped(
        &table
            .filter(|_, value| number(Some(value)) % 4 != 0)
            .map_values(|value| value + "1"),
    ));
}

fn count_of_counts(builder: &StreamsBuilder) {
    let counts = builder.stream::<Text, Text>("in").group_by_key().count("counts");
    let parities =
        counts.group_by(|_, count| ((if count % 2 == 0 { "even" } else { "odd" }).to_owned(), count));
    parities.count("parities").to_stream().to("out");
}
