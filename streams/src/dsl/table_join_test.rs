//! Cases of Kafka Streams' `KTableKTable{Inner,Left,Outer}JoinTest`, with and without coalescing, a store of the result, and old values.

use super::table_test_support::{Texts, pipe, read, start, write_changes};
use super::{KTable, Materialized, StreamsBuilder};
use crate::testing::{DriverError, DriverOptions, TestRecord, TopologyTestDriver};
use crate::topology::TopologyError;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Inner,
    Left,
    Outer,
}

type Table = KTable<Option<String>, String>;

fn text(left: Option<&String>, right: Option<&String>) -> String {
    let side = |side: Option<&String>| side.map_or("null".to_owned(), String::clone);
    format!("{}+{}", side(left), side(right))
}

fn join(kind: Kind, left: &Table, right: &Table, store: bool) -> Table {
    let stored = Materialized::default();
    match (kind, store) {
        (Kind::Inner, false) => left.join(right, |left, right| text(Some(left), Some(right))),
        (Kind::Inner, true) => left.join_with(
            "joined",
            right,
            |left, right| text(Some(left), Some(right)),
            stored,
        ),
        (Kind::Left, false) => left.left_join(right, |left, right| text(Some(left), right)),
        (Kind::Left, true) => {
            left.left_join_with("joined", right, |left, right| text(Some(left), right), stored)
        }
        (Kind::Outer, false) => left.outer_join(right, text),
        (Kind::Outer, true) => left.outer_join_with("joined", right, text, stored),
    }
}

/// The input of Kafka Streams' tests, step by step: side, key, value, timestamp. No key or value is null.
const STEPS: [&[(char, &str, &str, i64)]; 8] = [
    &[('L', "0", "X0", 5), ('L', "1", "X1", 6), ('L', "", "SomeVal", 42)],
    &[
        ('R', "0", "Y0", 0),
        ('R', "1", "Y1", 10),
        ('R', "", "AnotherVal", 73),
    ],
    &[
        ('L', "0", "XX0", 7),
        ('L', "1", "XX1", 7),
        ('L', "2", "XX2", 7),
        ('L', "3", "XX3", 7),
    ],
    &[
        ('R', "0", "YY0", 0),
        ('R', "1", "YY1", 5),
        ('R', "2", "YY2", 10),
        ('R', "3", "YY3", 15),
    ],
    &[
        ('L', "0", "XXX0", 6),
        ('L', "1", "XXX1", 6),
        ('L', "2", "XXX2", 6),
        ('L', "3", "XXX3", 6),
    ],
    &[('R', "0", "", 5), ('R', "1", "", 7)],
    &[
        ('L', "0", "XXXX0", 13),
        ('L', "1", "XXXX1", 13),
        ('L', "2", "XXXX2", 13),
        ('L', "3", "XXXX3", 13),
    ],
    &[
        ('L', "0", "", 0),
        ('L', "1", "", 42),
        ('L', "2", "", 5),
        ('L', "3", "", 20),
    ],
];

/// What comes out step by step, by Kafka Streams' tests: changes with old values.
fn expected(kind: Kind) -> [&'static [&'static str]; 8] {
    let unmatched_too = !matches!(kind, Kind::Inner);
    [
        if unmatched_too {
            &["0 X0+null<--@5", "1 X1+null<--@6"]
        } else {
            &[]
        },
        if unmatched_too {
            &["0 X0+Y0<-X0+null@5", "1 X1+Y1<-X1+null@10"]
        } else {
            &["0 X0+Y0<--@5", "1 X1+Y1<--@10"]
        },
        if unmatched_too {
            &[
                "0 XX0+Y0<-X0+Y0@7",
                "1 XX1+Y1<-X1+Y1@10",
                "2 XX2+null<--@7",
                "3 XX3+null<--@7",
            ]
        } else {
            &["0 XX0+Y0<-X0+Y0@7", "1 XX1+Y1<-X1+Y1@10"]
        },
        if unmatched_too {
            &[
                "0 XX0+YY0<-XX0+Y0@7",
                "1 XX1+YY1<-XX1+Y1@7",
                "2 XX2+YY2<-XX2+null@10",
                "3 XX3+YY3<-XX3+null@15",
            ]
        } else {
            &[
                "0 XX0+YY0<-XX0+Y0@7",
                "1 XX1+YY1<-XX1+Y1@7",
                "2 XX2+YY2<--@10",
                "3 XX3+YY3<--@15",
            ]
        },
        &[
            "0 XXX0+YY0<-XX0+YY0@6",
            "1 XXX1+YY1<-XX1+YY1@6",
            "2 XXX2+YY2<-XX2+YY2@10",
            "3 XXX3+YY3<-XX3+YY3@15",
        ],
        if unmatched_too {
            &["0 XXX0+null<-XXX0+YY0@6", "1 XXX1+null<-XXX1+YY1@7"]
        } else {
            &["0 -<-XXX0+YY0@6", "1 -<-XXX1+YY1@7"]
        },
        if unmatched_too {
            &[
                "0 XXXX0+null<-XXX0+null@13",
                "1 XXXX1+null<-XXX1+null@13",
                "2 XXXX2+YY2<-XXX2+YY2@13",
                "3 XXXX3+YY3<-XXX3+YY3@15",
            ]
        } else {
            &["2 XXXX2+YY2<-XXX2+YY2@13", "3 XXXX3+YY3<-XXX3+YY3@15"]
        },
        match kind {
            Kind::Inner => &["2 -<-XXXX2+YY2@10", "3 -<-XXXX3+YY3@20"],
            Kind::Left => &[
                "0 -<-XXXX0+null@0",
                "1 -<-XXXX1+null@42",
                "2 -<-XXXX2+YY2@10",
                "3 -<-XXXX3+YY3@20",
            ],
            Kind::Outer => &[
                "0 -<-XXXX0+null@0",
                "1 -<-XXXX1+null@42",
                "2 null+YY2<-XXXX2+YY2@10",
                "3 null+YY3<-XXXX3+YY3@20",
            ],
        },
    ]
}

/// The same without old values.
fn without_old(line: &str) -> String {
    let (change, timestamp) = line.split_once('@').expect("a timestamp");
    let (new, _) = change.split_once("<-").expect("a change");
    format!("{new}<--@{timestamp}")
}

struct Sides {
    driver: TopologyTestDriver,
    left: Texts,
    right: Texts,
}

impl Sides {
    fn start(builder: &StreamsBuilder, every_update: bool) -> Sides {
        let driver = start(builder, every_update);
        let (left, right) = (driver.input("left"), driver.input("right"));
        Sides { driver, left, right }
    }

    fn pipe(&mut self, side: char, key: &str, value: &str, timestamp: i64) {
        let input = if side == 'L' { &self.left } else { &self.right };
        pipe(&mut self.driver, input, key, value, timestamp);
    }
}

/// Keys may be null on the wire; no table has such an entry.
fn table(builder: &StreamsBuilder, name: &str) -> Table {
    builder.table(name, name)
}

fn tables(builder: &StreamsBuilder) -> (Table, Table) {
    (table(builder, "left"), table(builder, "right"))
}

#[test]
fn joins_give_what_kafka_streams_gives() {
    for kind in [Kind::Inner, Kind::Left, Kind::Outer] {
        for every_update in [false, true] {
            for (store, old_values) in [(false, false), (false, true), (true, false), (true, true)] {
                let builder = StreamsBuilder::new();
                let (left, right) = tables(&builder);
                let joined = join(kind, &left, &right, store);
                if old_values {
                    joined.enable_old_values();
                }
                write_changes(&joined, "out");
                let mut sides = Sides::start(&builder, every_update);
                for (step, (records, expected)) in STEPS.into_iter().zip(expected(kind)).enumerate() {
                    for (side, key, value, timestamp) in records {
                        sides.pipe(*side, key, value, *timestamp);
                    }
                    let expected: Vec<String> = match old_values {
                        true => expected.iter().map(|line| (*line).to_owned()).collect(),
                        false => expected.iter().map(|line| without_old(line)).collect(),
                    };
                    let case = format!(
                        "{kind:?}, step {step}, every update {every_update}, store {store}, old {old_values}"
                    );
                    assert_eq!(read(&mut sides.driver, "out"), expected, "{case}");
                }
            }
        }
    }
}

#[test]
fn a_deletion_that_meets_nothing_leaves_no_trace() {
    for kind in [Kind::Inner, Kind::Left, Kind::Outer] {
        let builder = StreamsBuilder::new();
        let (left, right) = tables(&builder);
        join(kind, &left, &right, false).to_stream().to("out");
        let mut sides = Sides::start(&builder, true);
        sides.pipe('L', "A", "", 1);
        sides.pipe('R', "A", "", 2);
        assert_eq!(read(&mut sides.driver, "out"), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn a_join_without_a_store_can_be_joined_again() {
    for kind in [Kind::Inner, Kind::Left, Kind::Outer] {
        for every_update in [false, true] {
            let builder = StreamsBuilder::new();
            let (left, right) = tables(&builder);
            let third = table(&builder, "third");
            let joined = join(kind, &left, &right, false);
            join(Kind::Inner, &third, &joined, false).to_stream().to("out");
            let mut sides = Sides::start(&builder, every_update);
            let third = sides.driver.input("third");
            sides.pipe('L', "A", "a", 1);
            sides.pipe('R', "A", "b", 7);
            read(&mut sides.driver, "out");
            pipe(&mut sides.driver, &third, "A", "c", 3);
            assert_eq!(read(&mut sides.driver, "out"), ["A c+a+b@7"], "{kind:?}");
            sides.pipe('R', "A", "", 9);
            let expected = match kind {
                Kind::Inner => "A null@9",
                Kind::Left | Kind::Outer => "A c+a+null@9",
            };
            assert_eq!(read(&mut sides.driver, "out"), [expected], "{kind:?}");
        }
    }
}

#[test]
fn filtered_and_mapped_tables_are_looked_up_through_their_parents() {
    for every_update in [false, true] {
        for store in [false, true] {
            let builder = StreamsBuilder::new();
            let (left, right) = tables(&builder);
            let right = match store {
                false => right
                    .filter(|_, value| value != "no")
                    .map_values(|value| value.to_uppercase()),
                true => right
                    .filter_with("yes", |_, value| value != "no", Materialized::default())
                    .map_values_with("upper", |_, value| value.to_uppercase(), Materialized::default()),
            };
            join(Kind::Left, &left, &right, false).to_stream().to("out");
            let mut sides = Sides::start(&builder, every_update);
            sides.pipe('R', "A", "yes", 4);
            sides.pipe('R', "B", "no", 4);
            sides.pipe('L', "A", "a", 1);
            sides.pipe('L', "B", "b", 1);
            assert_eq!(
                read(&mut sides.driver, "out"),
                ["A a+YES@4", "B b+null@1"],
                "store {store}"
            );
        }
    }
}

#[test]
fn a_counted_stream_joins_with_what_was_counted_so_far() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let counts = builder
            .stream::<String, String>("clicks")
            .group_by_key()
            .count("counts");
        let names = builder.table::<String, String>("names", "names");
        names
            .join(&counts, |name, count| format!("{name} {count}"))
            .to_stream()
            .to("out");
        let mut driver = start(&builder, every_update);
        let (clicks, names) = (driver.input("clicks"), driver.input("names"));
        pipe(&mut driver, &clicks, "A", "x", 1);
        pipe(&mut driver, &clicks, "A", "x", 2);
        assert_eq!(read(&mut driver, "out"), Vec::<String>::new());
        pipe(&mut driver, &names, "A", "Ada", 1);
        pipe(&mut driver, &clicks, "A", "x", 3);
        assert_eq!(
            read(&mut driver, "out"),
            ["A Ada 2@2", "A Ada 3@3"],
            "every update {every_update}"
        );
    }
}

#[test]
fn a_table_joins_with_itself() {
    for every_update in [false, true] {
        let builder = StreamsBuilder::new();
        let (left, _) = tables(&builder);
        join(Kind::Inner, &left, &left, false).to_stream().to("out");
        let mut sides = Sides::start(&builder, every_update);
        sides.pipe('L', "A", "a", 1);
        sides.pipe('L', "A", "b", 2);
        sides.pipe('L', "A", "", 3);
        // Both sides hear of each update, as in Kafka Streams; of the deletion neither finds a partner.
        assert_eq!(
            read(&mut sides.driver, "out"),
            ["A a+a@1", "A a+a@1", "A b+b@2", "A b+b@2"]
        );
    }
}

#[test]
fn tables_of_one_source_join_the_same_however_the_input_is_cut() {
    let mut rng = fastrand::Rng::with_seed(5);
    let records: Vec<TestRecord<String, Option<String>>> = (0..300)
        .map(|n| {
            let value = (rng.u8(..4) > 0).then(|| rng.u8(..10).to_string());
            TestRecord::new(format!("k{}", rng.u8(..4)), value, n)
        })
        .collect();
    let run = |kind: Kind, cut: usize, derived: bool| {
        let builder = StreamsBuilder::new();
        let left = table(&builder, "left");
        let right = match derived {
            false => left.clone(),
            true => left
                .filter(|_, value| value.as_str() > "4")
                .map_values(|value| value + "!"),
        };
        let joined = join(kind, &left, &right, false);
        joined.enable_old_values();
        write_changes(&joined, "out");
        let mut driver = start(&builder, true);
        let input = driver.input::<String, Option<String>>("left");
        for chunk in records.chunks(cut) {
            driver
                .pipe_all(&input, chunk.iter().cloned())
                .expect("goes through");
        }
        // Between keys there is no order.
        let mut found = read(&mut driver, "out");
        found.sort_by(|one, other| one.split(' ').next().cmp(&other.split(' ').next()));
        found
    };
    for kind in [Kind::Inner, Kind::Left, Kind::Outer] {
        for derived in [false, true] {
            let expected = run(kind, 1, derived);
            assert!(expected.len() > 100, "there is something to compare");
            for cut in [2, 17, 300] {
                assert_eq!(
                    run(kind, cut, derived),
                    expected,
                    "{kind:?}, derived {derived}, {cut} at a time"
                );
            }
        }
    }
}

#[test]
fn joined_tables_must_have_the_same_number_of_partitions() {
    let builder = StreamsBuilder::new();
    let (left, right) = tables(&builder);
    join(Kind::Inner, &left, &right, false);
    let options = DriverOptions {
        partitions: [("left".to_owned(), 2), ("right".to_owned(), 3)].into(),
        ..DriverOptions::default()
    };
    let topology = builder.build().expect("a sound topology");
    let started = TopologyTestDriver::with_options(&topology, options);
    assert!(matches!(started, Err(DriverError::Topology(_))));
}

#[test]
fn tables_of_two_builders_cannot_be_joined() {
    let (one, other) = (StreamsBuilder::new(), StreamsBuilder::new());
    let (left, right) = (table(&one, "left"), table(&other, "right"));
    join(Kind::Inner, &left, &right, false);
    assert!(matches!(one.build(), Err(TopologyError::InvalidOperator { .. })));
}
