//! What typed stores promise, in memory and on disk: the cases of Kafka Streams' `AbstractKeyValueStoreTest` and `AbstractWindowBytesStoreTest` that apply to
//! what a processor does with them, then time to live and lists, which it does not have.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::Timestamp;

use super::{KeyValueStore, ListStore, SessionStore, Stores, WindowStore};
use crate::dsl::{
    ProcessorContext, ProcessorInit, Record, RecordProcessor, StreamsBuilder, Window, Windowed,
};
use crate::processor::BoxError;
use crate::testing::{DriverOptions, TestRecord, TopologyTestDriver};

type Context<'a> = ProcessorContext<'a, Probe>;
type Step = Arc<dyn Fn(&Handles, &mut Context<'_>) -> Result<String, BoxError> + Send + Sync>;

#[derive(Clone)]
struct Handles {
    entries: KeyValueStore<String, i64>,
    short: KeyValueStore<String, i64>,
    windows: WindowStore<String, i64>,
    sessions: SessionStore<String, i64>,
    lists: ListStore<String, String>,
}

/// Takes one step per record, the one whose number is the value, and forwards what it says.
struct Probe {
    steps: Arc<Vec<Step>>,
    handles: Option<Handles>,
}

impl RecordProcessor for Probe {
    type KeyIn = String;
    type ValueIn = u64;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, context: &mut ProcessorInit<'_, Self>) -> Result<(), BoxError> {
        self.handles = Some(Handles {
            entries: context.store("entries")?,
            short: context.store("short")?,
            windows: context.store("windows")?,
            sessions: context.store("sessions")?,
            lists: context.store("lists")?,
        });
        Ok(())
    }

    fn process(&mut self, record: Record<String, u64>, context: &mut Context<'_>) -> Result<(), BoxError> {
        let handles = self.handles.as_ref().ok_or("not started")?;
        let said = self.steps[record.value as usize](handles, context)?;
        context.forward(record.with_value(said));
        Ok(())
    }
}

/// Steps to be taken, each with the timestamp of its record.
#[derive(Default)]
struct Plan {
    steps: Vec<Step>,
    times: Vec<Timestamp>,
}

impl Plan {
    fn at<T: std::fmt::Debug>(
        mut self,
        time: Timestamp,
        step: impl Fn(&Handles, &mut Context<'_>) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.times.push(time);
        self.steps.push(Arc::new(move |handles, context| {
            step(handles, context).map(|said| format!("{said:?}"))
        }));
        self
    }

    /// What the steps say: in memory and on disk, committed after each or after all.
    fn says(self, expected: &[&str]) {
        let steps = Arc::new(self.steps);
        for (in_memory, auto_commit) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut driver = driver(steps.clone(), in_memory, auto_commit);
            let input = driver.input::<String, u64>("in");
            for (number, time) in self.times.iter().enumerate() {
                let record = TestRecord::new("k".to_owned(), number as u64, *time);
                driver.pipe_all(&input, [record]).expect("goes through");
            }
            driver.commit().expect("commits");
            assert!(driver.dead_letters().is_empty(), "{:?}", driver.dead_letters());
            let output = driver.output::<String, String>("out");
            let found = driver.read_values(&output).expect("readable");
            assert_eq!(
                found, expected,
                "in memory: {in_memory}, committed: {auto_commit}"
            );
        }
    }
}

fn driver(steps: Arc<Vec<Step>>, in_memory: bool, auto_commit: bool) -> TopologyTestDriver {
    let builder = StreamsBuilder::new();
    let entries = Stores::key_value::<String, i64>("entries");
    let short = Stores::key_value::<String, i64>("short").with_ttl(Duration::from_millis(100));
    let windows =
        Stores::window::<String, i64>("windows", Duration::from_millis(10), Duration::from_millis(100));
    let sessions = Stores::session::<String, i64>("sessions", Duration::from_millis(100));
    let lists = Stores::list::<String, String>("lists");
    if in_memory {
        builder
            .add_state_store(entries.in_memory())
            .add_state_store(short.in_memory())
            .add_state_store(windows.in_memory())
            .add_state_store(sessions.in_memory())
            .add_state_store(lists.in_memory());
    } else {
        builder
            .add_state_store(entries)
            .add_state_store(short)
            .add_state_store(windows)
            .add_state_store(sessions)
            .add_state_store(lists);
    }
    let make = move || Probe {
        steps: steps.clone(),
        handles: None,
    };
    let stores = ["entries", "short", "windows", "sessions", "lists"];
    builder
        .stream::<String, u64>("in")
        .process(make, &stores)
        .to("out");
    let options = DriverOptions {
        auto_commit,
        ..DriverOptions::default()
    };
    TopologyTestDriver::with_options(&builder.build().expect("sound"), options).expect("it runs")
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_key_value_store_keeps_the_last_value_of_each_key_in_the_order_of_keys() {
    Plan::default()
        .at(5, |on, context| {
            let (a, b, c) = (text("a"), text("b"), text("c"));
            on.entries
                .put_all(context, [(&b, &2), (&c, &3), (&a, &0), (&a, &1)])?;
            Ok(on.entries.get_with_timestamp(context, &a)?)
        })
        .at(6, |on, context| Ok(on.entries.all(context)?))
        .at(7, |on, context| Ok(on.entries.reverse_all(context)?))
        .at(7, |on, context| {
            let (from, to) = (text("b"), text("c"));
            let both = on.entries.range(context, Some(&from), Some(&to))?;
            let open = on.entries.reverse_range(context, None, Some(&from))?;
            Ok((both, open))
        })
        .at(8, |on, context| {
            let a = text("a");
            let had = on.entries.put_if_absent(context, &a, &9)?;
            let gone = on.entries.delete(context, &a)?;
            let absent = on.entries.put_if_absent(context, &a, &9)?;
            Ok((had, gone, absent, on.entries.get(context, &a)?))
        })
        .at(9, |on, context| {
            on.entries.put(context, &text("ab"), &4)?;
            Ok(on.entries.prefix_scan(context, "a")?)
        })
        .at(10, |on, context| {
            on.entries.put_at(context, &text("b"), &7, 1)?;
            on.entries.delete(context, &text("zzz"))?;
            Ok(on
                .entries
                .get_with_timestamp(context, &text("b"))?
                .map(|found| found.timestamp))
        })
        .says(&[
            "Some(ValueAndTimestamp { value: 1, timestamp: 5 })",
            r#"[("a", 1), ("b", 2), ("c", 3)]"#,
            r#"[("c", 3), ("b", 2), ("a", 1)]"#,
            r#"([("b", 2), ("c", 3)], [("b", 2), ("a", 1)])"#,
            "(Some(1), Some(1), None, Some(9))",
            r#"[("a", 9), ("ab", 4)]"#,
            "Some(1)",
        ]);
}

#[test]
fn an_entry_is_gone_when_its_time_to_live_is_over_and_not_before() {
    Plan::default()
        .at(0, |on, context| Ok(on.short.put(context, &text("a"), &1)?))
        .at(50, |on, context| Ok(on.short.put(context, &text("b"), &2)?))
        .at(99, |on, context| Ok(on.short.all(context)?))
        .at(100, |on, context| {
            let a = on.short.get(context, &text("a"))?;
            let absent = on.short.put_if_absent(context, &text("c"), &3)?;
            Ok((a, absent, on.short.all(context)?))
        })
        .at(60, |on, context| {
            // Late: its time to live began when it happened, so the new one is shorter.
            on.short.put(context, &text("c"), &4)?;
            Ok(on.short.get(context, &text("c"))?)
        })
        .at(149, |on, context| Ok(on.short.put(context, &text("b"), &5)?))
        .at(160, |on, context| Ok(on.short.all(context)?))
        .at(249, |on, context| Ok(on.short.all(context)?))
        .says(&[
            "()",
            "()",
            r#"[("a", 1), ("b", 2)]"#,
            r#"(None, None, [("b", 2), ("c", 3)])"#,
            "Some(4)",
            "()",
            r#"[("b", 5)]"#,
            "[]",
        ]);
}

#[test]
fn expired_entries_are_removed_with_their_index_entries() {
    let mut plan = Plan::default();
    for (number, time) in [0, 10, 20, 300].into_iter().enumerate() {
        plan = plan.at(time, move |on, context| {
            on.short.put(context, &format!("k{number}"), &1)?;
            on.short.put(context, &text("again"), &(number as i64))?;
            Ok(())
        });
    }
    let mut driver = driver(Arc::new(plan.steps), false, true);
    let input = driver.input::<String, u64>("in");
    for (number, time) in plan.times.iter().enumerate() {
        driver
            .pipe(&input, text("k"), number as u64, *time)
            .expect("goes through");
    }
    let left = driver.entries::<String, i64>("short").expect("a store");
    assert_eq!(left, [(text("again"), 3), (text("k3"), 1)]);
    assert_eq!(
        driver.store_len("short-expiry").expect("its index"),
        2,
        "one for each entry"
    );
}

#[test]
fn a_window_store_answers_by_key_and_time_until_retention_is_over() {
    Plan::default()
        .at(0, |on, context| {
            for (key, start, value) in [("a", 0, 1), ("b", 0, 2), ("a", 10, 3), ("a", 20, 4), ("b", 20, 5)] {
                assert!(on.windows.put(context, &text(key), &value, start)?);
            }
            Ok(on.windows.fetch(context, &text("a"), 10)?)
        })
        .at(1, |on, context| {
            let some = on.windows.fetch_range(context, &text("a"), 0, 10)?;
            Ok((
                some,
                on.windows.backward_fetch_range(context, &text("a"), 10, 99)?,
            ))
        })
        .at(2, |on, context| {
            let found = on.windows.fetch_all(context, 5, 20)?;
            assert_eq!(
                found[0],
                (
                    Windowed {
                        key: text("a"),
                        window: Window {
                            start_ms: 10,
                            end_ms: 20
                        }
                    },
                    3
                )
            );
            let found = found.iter().map(|(key, value)| (key.key.clone(), *value));
            Ok(found.collect::<Vec<_>>())
        })
        .at(3, |on, context| {
            let b = text("b");
            let only = on.windows.fetch_keys(context, Some(&b), None, 0, 99)?;
            let latest = on.windows.backward_all(context)?;
            Ok((only.len(), latest.len(), latest[0].1))
        })
        .at(99, |on, context| Ok(on.windows.fetch(context, &text("a"), 0)?))
        .at(100, |on, context| {
            let gone = on.windows.fetch(context, &text("a"), 0)?;
            let refused = on.windows.put(context, &text("a"), &9, 0)?;
            let taken = on.windows.put(context, &text("a"), &9, 1)?;
            Ok((gone, refused, taken, on.windows.all(context)?.len()))
        })
        .at(115, |on, context| Ok(on.windows.all(context)?.len()))
        .says(&[
            "Some(3)",
            "([(0, 1), (10, 3)], [(20, 4), (10, 3)])",
            r#"[("a", 3), ("a", 4), ("b", 5)]"#,
            "(2, 5, 5)",
            "Some(1)",
            "(None, false, true, 4)",
            "2",
        ]);
}

fn session(key: &str, start_ms: Timestamp, end_ms: Timestamp) -> Windowed<String> {
    let window = Window { start_ms, end_ms };
    let key = text(key);
    Windowed { key, window }
}

/// Start, end and value.
fn short(found: Vec<(Windowed<String>, i64)>) -> Vec<(Timestamp, Timestamp, i64)> {
    let short = |(found, value): (Windowed<String>, i64)| (found.window.start_ms, found.window.end_ms, value);
    found.into_iter().map(short).collect()
}

#[test]
fn a_session_store_finds_sessions_by_key_and_by_the_times_they_touch() {
    Plan::default()
        .at(0, |on, context| {
            for (key, start, end, value) in [
                ("a", 0, 0, 1),
                ("a", 10, 30, 2),
                ("a", 25, 28, 3),
                ("a", 50, 60, 4),
                ("b", 5, 40, 5),
                ("ab", 20, 29, 6),
            ] {
                assert!(on.sessions.put(context, &session(key, start, end), &value)?);
            }
            Ok(short(on.sessions.fetch(context, &text("a"))?))
        })
        .at(1, |on, context| {
            let some = on.sessions.find_sessions(context, &text("a"), 28, 49)?;
            let back = on.sessions.backward_find_sessions(context, &text("a"), 29, 50)?;
            Ok((short(some), short(back)))
        })
        .at(2, |on, context| {
            let exact = on.sessions.fetch_session(context, &text("a"), 10, 30)?;
            let other = on.sessions.fetch_session(context, &text("a"), 10, 29)?;
            Ok((
                exact,
                other,
                short(on.sessions.find_all_sessions(context, 29, 40)?),
            ))
        })
        .at(3, |on, context| {
            on.sessions.put(context, &session("a", 10, 30), &7)?;
            on.sessions.remove(context, &session("a", 25, 28))?;
            on.sessions.remove(context, &session("a", 1, 2))?;
            assert!(on.sessions.put(context, &session("a", 2, 1), &0).is_err());
            Ok(short(on.sessions.find_sessions(context, &text("a"), 0, 99)?))
        })
        .at(130, |on, context| {
            let kept = on.sessions.put(context, &session("a", 0, 31), &8)?;
            let refused = on.sessions.put(context, &session("a", 0, 30), &9)?;
            let all = on
                .sessions
                .find_all_sessions(context, Timestamp::MIN, Timestamp::MAX)?;
            Ok((kept, refused, short(all)))
        })
        .at(160, |on, context| {
            Ok(short(on.sessions.fetch(context, &text("a"))?))
        })
        .says(&[
            "[(0, 0, 1), (25, 28, 3), (10, 30, 2), (50, 60, 4)]",
            "([(25, 28, 3), (10, 30, 2)], [(50, 60, 4), (10, 30, 2)])",
            "(Some(2), None, [(20, 29, 6), (10, 30, 2), (5, 40, 5)])",
            "[(0, 0, 1), (10, 30, 7), (50, 60, 4)]",
            "(true, false, [(0, 31, 8), (5, 40, 5), (50, 60, 4)])",
            "[]",
        ]);
}

#[test]
fn sessions_far_apart_in_time_are_found_by_a_walk() {
    Plan::default()
        .at(0, |on, context| {
            for end in [0, 90, 1_000_000, i64::MAX] {
                on.sessions.put(context, &session("a", 0, end), &end)?;
                on.sessions.put(context, &session("b", 0, end), &end)?;
            }
            Ok(short(on.sessions.find_sessions(context, &text("a"), 1, 0)?).len())
        })
        .says(&["3"]);
}

#[test]
fn a_list_store_keeps_every_value_of_a_key_apart_from_other_keys() {
    Plan::default()
        .at(0, |on, context| {
            for (key, value) in [("a", "1"), ("ab", "x"), ("a", "2"), ("", "nothing"), ("a", "3")] {
                on.lists.push(context, &text(key), &text(value))?;
            }
            Ok(on.lists.get(context, &text("a"))?)
        })
        .at(1, |on, context| {
            let front = on.lists.pop_front(context, &text("a"))?;
            Ok((front, on.lists.len(context, &text("a"))?))
        })
        .at(2, |on, context| {
            on.lists.push(context, &text("a"), &text("4"))?;
            Ok(on.lists.all(context)?)
        })
        .at(3, |on, context| {
            let taken = on.lists.take(context, &text("a"))?;
            let left = on.lists.take(context, &text("a"))?;
            Ok((taken, left, on.lists.is_empty(context, &text("a"))?))
        })
        .at(4, |on, context| {
            on.lists.pop_front(context, &text("ab"))?;
            on.lists.push(context, &text("a"), &text("5"))?;
            Ok(on.lists.all(context)?)
        })
        .says(&[
            r#"["1", "2", "3"]"#,
            r#"(Some("1"), 2)"#,
            r#"[("", ["nothing"]), ("a", ["2", "3", "4"]), ("ab", ["x"])]"#,
            r#"(["2", "3", "4"], [], true)"#,
            r#"[("", ["nothing"]), ("a", ["5"])]"#,
        ]);
}

#[test]
fn a_window_store_that_forgets_before_a_window_is_over_is_refused() {
    let builder = StreamsBuilder::new();
    builder.add_state_store(Stores::window::<String, i64>(
        "windows",
        Duration::from_millis(10),
        Duration::from_millis(9),
    ));
    builder.stream::<String, i64>("in").to("out");
    let error = builder.build().expect_err("retention is too short");
    assert!(error.to_string().contains("shorter than a window"), "{error}");
}
