//! A topology told in lines of words, `name = operator argument…`, as it stands in the head of a recording.
//!
//! Always true: the same lines make the same topology here and in the recorder's `Plan.java`; `README.md` lists the operators. Keys and values are text, windowed keys
//! become `key@start` or `key@start..end` where a table turns into a stream. What the record cache may change is told by `settled.rs`.

mod settled;
mod windows;
mod words;

use std::collections::BTreeMap;

use millpond_streams::dsl::{
    CogroupedKStream, Consumed, EagerBuffer, GlobalKTable, Grouped, JoinWindows, Joined, KGroupedStream,
    KGroupedTable, KStream, KTable, Materialized, StreamJoined, StreamsBuilder, StrictBuffer, Suppressed,
    TableJoined, Windowed,
};
use millpond_streams::serde::DefaultSerde;

pub(crate) use settled::settled_outputs;
use windows::Windows;
use words::{Text, add, key, number, pair, predicate, value};

/// What a line makes.
enum Made {
    Stream(KStream<Text, Text>),
    Table(KTable<Text, String>),
    WindowTable {
        table: KTable<Windowed<Text>, String>,
        sessions: bool,
    },
    Global(GlobalKTable<Text, String>),
    Grouped(KGroupedStream<Text, Text>),
    Together(CogroupedKStream<Text, String>),
    GroupedTable(KGroupedTable<Text, String>),
    Windows(Windows),
}

/// Builds the plan's topology.
pub(crate) fn build(builder: &StreamsBuilder, lines: &[String]) {
    let mut plan = Plan {
        builder,
        made: BTreeMap::new(),
    };
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        plan.line(&words);
    }
}

struct Plan<'a> {
    builder: &'a StreamsBuilder,
    made: BTreeMap<String, Made>,
}

/// The argument `name:…` behind the fixed ones.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
}

fn ms(text: &str) -> std::time::Duration {
    std::time::Duration::from_millis(number(text))
}

fn stored(words: &[&str]) -> Materialized<String> {
    let stored = Materialized::with(String::default_serde());
    match option(words, "versioned") {
        Some(history) => stored.versioned(ms(history)),
        None => stored,
    }
}

impl Plan<'_> {
    fn line(&mut self, words: &[&str]) {
        match *words {
            ["to", name, topic] => self.stream(name).to(topic),
            [names, "=", "split", from, takes] => {
                let (left, right) = names.split_once(',').expect("two names");
                let takes = predicate(takes);
                let parts = self.stream(from).split(&format!("split-{left}"));
                let taken = parts.branch("a", move |key, value| takes(key.as_deref(), value.as_deref()));
                let rest = parts.default_branch("b");
                self.made.insert(left.to_owned(), Made::Stream(taken));
                self.made.insert(right.to_owned(), Made::Stream(rest));
            }
            [name, "=", operator, ref arguments @ ..] => {
                let made = self.make(operator, arguments);
                self.made.insert(name.to_owned(), made);
            }
            _ => panic!("{words:?} is no line of a plan"),
        }
    }

    fn get(&self, name: &str) -> &Made {
        self.made
            .get(name)
            .unwrap_or_else(|| panic!("{name} was not made yet"))
    }

    fn stream(&self, name: &str) -> KStream<Text, Text> {
        match self.get(name) {
            Made::Stream(stream) => stream.clone(),
            _ => panic!("{name} is no stream"),
        }
    }

    fn table(&self, name: &str) -> KTable<Text, String> {
        match self.get(name) {
            Made::Table(table) => table.clone(),
            _ => panic!("{name} is no table"),
        }
    }

    fn grouped(&self, name: &str) -> KGroupedStream<Text, Text> {
        match self.get(name) {
            Made::Grouped(grouped) => grouped.clone(),
            _ => panic!("{name} is no grouped stream"),
        }
    }

    fn make(&self, operator: &str, words: &[&str]) -> Made {
        let first = words[0];
        let at = |place: usize| {
            *words
                .get(place)
                .unwrap_or_else(|| panic!("{operator} {words:?} lacks a word"))
        };
        match operator {
            "stream" => {
                let topics: Vec<&str> = first.split(',').collect();
                Made::Stream(self.builder.streams_with(&topics, Consumed::default()))
            }
            "table" => Made::Table(
                self.builder
                    .table_with(first, at(1), Consumed::default(), stored(words)),
            ),
            "global" => Made::Global(self.builder.global_table(first, at(1))),
            "filter" => self.filter(words, true),
            "filter-not" => self.filter(words, false),
            "map-values" => self.map_values(words),
            "select-key" => {
                let select = key(at(1));
                let select = move |key: &Text, value: &Text| select(key.as_deref(), value.as_deref());
                Made::Stream(self.stream(first).select_key(select))
            }
            "map" => {
                let (select, map) = (key(at(1)), value(at(2)));
                let both = move |key: Text, value: Text| {
                    let (key, value) = (key.as_deref(), value.as_deref());
                    (select(key, value), map(key, value))
                };
                Made::Stream(self.stream(first).map(both))
            }
            "flat-map" => {
                let select = key(at(1));
                let twice = move |key: Text, value: Text| {
                    let other = select(key.as_deref(), value.as_deref());
                    [(key, value.clone()), (other, value)]
                };
                Made::Stream(self.stream(first).flat_map(twice))
            }
            "merge" => Made::Stream(self.stream(first).merge(&self.stream(at(1)))),
            "repartition" => Made::Stream(self.stream(first).repartition(at(1))),
            "to-table" => {
                let stream = self.stream(first);
                Made::Table(stream.to_table_with_tombstones_with(at(1), Grouped::default(), stored(words)))
            }
            "to-stream" => Made::Stream(self.to_stream(first)),
            "group" => self.group(words),
            "window" => Made::Windows(Windows::new(self.get(first), at(1), words.contains(&"on-close"))),
            "cogroup" => self.cogroup(words),
            "count" => self.count(first, at(1)),
            "reduce" => self.reduce(words),
            "aggregate" => self.aggregate(words),
            "join" => self.join(words),
            "foreign-join" => self.foreign_join(words),
            "suppress" => self.suppress(words),
            _ => panic!("{operator} is no operator of a plan"),
        }
    }

    fn filter(&self, words: &[&str], kept: bool) -> Made {
        let takes = predicate(words[1]);
        match self.get(words[0]) {
            Made::Stream(stream) => Made::Stream(
                stream
                    .filter(move |key: &Text, value: &Text| takes(key.as_deref(), value.as_deref()) == kept),
            ),
            Made::Table(table) => {
                let takes = move |key: &Text, value: &String| takes(key.as_deref(), Some(value)) == kept;
                Made::Table(match option(words, "stored") {
                    Some(store) => table.filter_with(store, takes, stored(words)),
                    None => table.filter(takes),
                })
            }
            _ => panic!("{words:?} filters neither a stream nor a table"),
        }
    }

    fn map_values(&self, words: &[&str]) -> Made {
        let map = value(words[1]);
        match self.get(words[0]) {
            Made::Stream(stream) => Made::Stream(
                stream.map_values_with_key(move |key, value| map(key.as_deref(), value.as_deref())),
            ),
            Made::Table(table) => {
                let map = move |key: &Text, value: String| {
                    map(key.as_deref(), Some(&value)).expect("tables of plans map to no null")
                };
                Made::Table(match option(words, "stored") {
                    Some(store) => table.map_values_with(store, map, stored(words)),
                    None => table.map_values_with_key(map),
                })
            }
            _ => panic!("{words:?} maps neither a stream nor a table"),
        }
    }

    fn to_stream(&self, name: &str) -> KStream<Text, Text> {
        match self.get(name) {
            Made::Table(table) => table.to_stream(),
            Made::WindowTable { table, sessions } => {
                let sessions = *sessions;
                table.to_stream().select_key(move |windowed: &Windowed<Text>, _| {
                    let (key, window) = (windowed.key.as_deref().unwrap_or("null"), windowed.window);
                    Some(if sessions {
                        format!("{key}@{}..{}", window.start_ms, window.end_ms)
                    } else {
                        format!("{key}@{}", window.start_ms)
                    })
                })
            }
            _ => panic!("{name} is no table"),
        }
    }

    fn group(&self, words: &[&str]) -> Made {
        match (self.get(words[0]), words) {
            (Made::Stream(stream), [_]) => Made::Grouped(stream.group_by_key()),
            (Made::Stream(stream), [_, select, name]) => {
                let select = key(select);
                let select = move |key: &Text, value: &Text| select(key.as_deref(), value.as_deref());
                let grouped = Grouped::default().named(name);
                Made::Grouped(stream.group_by_with(select, grouped))
            }
            (Made::Table(table), [_, select, map, _]) => {
                let (select, map) = (key(select), value(map));
                Made::GroupedTable(table.group_by(move |key: &Text, value: String| {
                    let (key, value) = (key.as_deref(), Some(value.as_str()));
                    let mapped = map(key, value).expect("tables of plans map to no null");
                    (select(key, value), mapped)
                }))
            }
            _ => panic!("{words:?} groups neither a stream nor a table"),
        }
    }

    fn cogroup(&self, words: &[&str]) -> Made {
        let adding = |word: &str| {
            let add = add(word);
            move |_: &Text, value: &Text, so_far: String| add(Some(&so_far), value.as_deref())
        };
        Made::Together(match self.get(words[0]) {
            Made::Grouped(grouped) => grouped.cogroup(adding(words[1])),
            Made::Together(together) => together
                .clone()
                .cogroup(&self.grouped(words[1]), adding(words[2])),
            _ => panic!("{words:?} cogroups no grouped stream"),
        })
    }

    fn count(&self, from: &str, store: &str) -> Made {
        let counts = match self.get(from) {
            Made::Windows(windows) => return windows.count(store),
            Made::Grouped(grouped) => grouped.count(store),
            Made::GroupedTable(grouped) => grouped.count(store),
            _ => panic!("{from} is nothing that is counted"),
        };
        Made::Table(counts.map_values(|count| format!("c{count}")))
    }

    fn reduce(&self, words: &[&str]) -> Made {
        let (store, adds) = (words[1], add(words[2]));
        match self.get(words[0]) {
            Made::Windows(windows) => windows.reduce(store, &adds),
            Made::Grouped(grouped) => {
                let reduced = grouped.reduce(store, move |so_far: Text, value: &Text| {
                    adds(so_far.as_deref(), value.as_deref())
                });
                Made::Table(reduced.map_values(Option::unwrap_or_default))
            }
            Made::GroupedTable(grouped) => {
                let subtracts = add(words[3]);
                Made::Table(grouped.reduce(
                    store,
                    move |so_far: String, value: &String| adds(Some(&so_far), Some(value)),
                    move |so_far: String, value: &String| subtracts(Some(&so_far), Some(value)),
                ))
            }
            _ => panic!("{words:?} reduces nothing grouped"),
        }
    }

    fn aggregate(&self, words: &[&str]) -> Made {
        let (store, zero) = (words[1], || "0".to_owned());
        match self.get(words[0]) {
            Made::Windows(windows) => windows.aggregate(store, words.get(2).map(|word| add(word)).as_ref()),
            Made::Together(together) => Made::Table(together.aggregate(store, zero)),
            Made::Grouped(grouped) => {
                let adds = add(words[2]);
                let adds =
                    move |_: &Text, value: &Text, so_far: String| adds(Some(&so_far), value.as_deref());
                Made::Table(grouped.aggregate(store, zero, adds))
            }
            Made::GroupedTable(grouped) => {
                let (adds, subtracts) = (add(words[2]), add(words[3]));
                Made::Table(grouped.aggregate(
                    store,
                    zero,
                    move |_: &Text, value: &String, so_far: String| adds(Some(&so_far), Some(value)),
                    move |_: &Text, value: &String, so_far: String| subtracts(Some(&so_far), Some(value)),
                ))
            }
            _ => panic!("{words:?} aggregates nothing grouped"),
        }
    }

    fn join(&self, words: &[&str]) -> Made {
        match (self.get(words[0]), self.get(words[1])) {
            (Made::Stream(left), Made::Stream(right)) => Made::Stream(join_streams(left, right, words)),
            (Made::Stream(stream), Made::Table(table)) => {
                let joined = Joined::named(words[3]);
                let joined = match option(words, "grace") {
                    Some(grace) => joined.grace(ms(grace)),
                    None => joined,
                };
                Made::Stream(match words[2] {
                    "inner" => stream.join_table(
                        table,
                        |left, right| Some(pair(left.as_deref(), Some(right))),
                        joined,
                    ),
                    "left" => stream.left_join_table(
                        table,
                        |left, right| Some(pair(left.as_deref(), right.map(String::as_str))),
                        joined,
                    ),
                    kind => panic!("streams and tables have no {kind} join"),
                })
            }
            (Made::Stream(stream), Made::Global(global)) => {
                let select = key(words[3]);
                let select = move |key: &Text, value: &Text| select(key.as_deref(), value.as_deref());
                let joined = Joined::named(&format!("{}-{}", words[0], words[1]));
                Made::Stream(match words[2] {
                    "inner" => stream.join_global_table(
                        global,
                        select,
                        |left, right| Some(pair(left.as_deref(), Some(right))),
                        joined,
                    ),
                    "left" => stream.left_join_global_table(
                        global,
                        select,
                        |left, right| Some(pair(left.as_deref(), right.map(String::as_str))),
                        joined,
                    ),
                    kind => panic!("streams and global tables have no {kind} join"),
                })
            }
            (Made::Table(left), Made::Table(right)) => Made::Table(join_tables(left, right, words)),
            _ => panic!("{words:?} cannot be joined"),
        }
    }

    fn foreign_join(&self, words: &[&str]) -> Made {
        let (left, right) = (self.table(words[0]), self.table(words[1]));
        let (select, name) = (key(words[3]), words[4]);
        let select = move |key: &Text, value: &String| select(key.as_deref(), Some(value)).map(Some);
        let both = |left: &String, right: &String| pair(Some(left), Some(right));
        let any = |left: &String, right: Option<&String>| pair(Some(left), right.map(String::as_str));
        let serdes = TableJoined::default();
        Made::Table(match (words[2], words.contains(&"stored")) {
            ("inner", false) => left.foreign_key_join(name, &right, select, both),
            ("inner", true) => left.foreign_key_join_with(name, &right, select, both, serdes, stored(words)),
            (_, false) => left.foreign_key_left_join(name, &right, select, any),
            (_, true) => left.foreign_key_left_join_with(name, &right, select, any, serdes, stored(words)),
        })
    }

    fn suppress(&self, words: &[&str]) -> Made {
        let (how, name) = (words[1].split(':').collect::<Vec<_>>(), words[2]);
        match (self.get(words[0]), how.as_slice()) {
            (Made::WindowTable { table, sessions }, ["closes"]) => Made::WindowTable {
                table: table.suppress(name, Suppressed::until_window_closes(StrictBuffer::unbounded())),
                sessions: *sessions,
            },
            (Made::WindowTable { table, sessions }, ["time", limit]) => Made::WindowTable {
                table: table.suppress(
                    name,
                    Suppressed::until_time_limit(ms(limit), StrictBuffer::unbounded()),
                ),
                sessions: *sessions,
            },
            (Made::Table(table), ["time", limit]) => Made::Table(table.suppress(
                name,
                Suppressed::until_time_limit(ms(limit), StrictBuffer::unbounded()),
            )),
            (Made::Table(table), ["time", limit, records]) => Made::Table(table.suppress(
                name,
                Suppressed::until_time_limit(ms(limit), EagerBuffer::max_records(number(records))),
            )),
            _ => panic!("{words:?} cannot be suppressed"),
        }
    }
}

fn join_streams(
    left: &KStream<Text, Text>,
    right: &KStream<Text, Text>,
    words: &[&str],
) -> KStream<Text, Text> {
    let times: Vec<&str> = words[3].split(':').collect();
    let windows = JoinWindows::of_time_difference_and_grace(ms("0"), ms(times[2]))
        .before(ms(times[0]))
        .after(ms(times[1]));
    let joined = StreamJoined::named(words[4]);
    let text = |value: Option<&Text>| value.and_then(Clone::clone);
    match words[2] {
        "inner" => left.join(
            right,
            |left, right| Some(pair(left.as_deref(), right.as_deref())),
            windows,
            joined,
        ),
        "left" => left.left_join(
            right,
            move |left, right| Some(pair(left.as_deref(), text(right).as_deref())),
            windows,
            joined,
        ),
        "outer" => left.outer_join(
            right,
            move |left, right| Some(pair(text(left).as_deref(), text(right).as_deref())),
            windows,
            joined,
        ),
        kind => panic!("streams have no {kind} join"),
    }
}

fn join_tables(
    left: &KTable<Text, String>,
    right: &KTable<Text, String>,
    words: &[&str],
) -> KTable<Text, String> {
    let text = |value: Option<&String>| value.cloned();
    let inner = |left: &String, right: &String| pair(Some(left), Some(right));
    let left_or_both = |left: &String, right: Option<&String>| pair(Some(left), right.map(String::as_str));
    let any = move |left: Option<&String>, right: Option<&String>| {
        pair(text(left).as_deref(), text(right).as_deref())
    };
    match (words[2], option(words, "stored")) {
        ("inner", None) => left.join(right, inner),
        ("inner", Some(store)) => left.join_with(store, right, inner, stored(words)),
        ("left", None) => left.left_join(right, left_or_both),
        ("left", Some(store)) => left.left_join_with(store, right, left_or_both, stored(words)),
        ("outer", None) => left.outer_join(right, any),
        ("outer", Some(store)) => left.outer_join_with(store, right, any, stored(words)),
        (kind, _) => panic!("tables have no {kind} join"),
    }
}
