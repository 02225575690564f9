//! Queries of every kind of store, over several tasks, in memory and on RocksDB; what is not committed is never seen, and what is not there is told.

use std::sync::Arc;
use std::time::Duration;

use millpond_log::types::PartitionId;

use super::{QueryError, StoreRegistry, StoreView, VersionedRecord, WindowEntry};
use crate::dsl::{Consumed, Materialized, SessionWindows, StreamsBuilder, TimeWindows};
use crate::serde::DefaultSerde;
use crate::state::{RocksBudget, RocksHosts, StateLimits, StoreSpec, TaskId};
use crate::testing::{DriverOptions, TopologyTestDriver};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `test` with state in memory, and on RocksDB with nothing in front of it.
fn on_all_hosts(builder: &StreamsBuilder, test: impl Fn(&mut TopologyTestDriver)) {
    let topology = builder.build().expect("a sound topology");
    let options = || DriverOptions {
        partitions: [("in".to_owned(), 3)].into(),
        auto_commit: false,
        ..DriverOptions::default()
    };
    test(&mut TopologyTestDriver::with_options(&topology, options()).expect("it runs"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = DriverOptions {
        hosts: Arc::new(RocksHosts::new(RocksBudget::new(1 << 20, 1 << 20))),
        state_dir: dir.path().to_owned(),
        limits: StateLimits {
            memory_bytes_max: 0,
            ..StateLimits::default()
        },
        ..options()
    };
    test(&mut TopologyTestDriver::with_options(&topology, options).expect("it runs"));
}

fn pipe(driver: &mut TopologyTestDriver, records: &[(&str, Option<&str>, i64)]) {
    let input = driver.input::<String, Option<String>>("in");
    for (key, value, timestamp) in records {
        let value = value.map(str::to_owned);
        driver
            .pipe(&input, (*key).to_owned(), value, *timestamp)
            .expect("it goes through");
    }
}

fn view<V: DefaultSerde>(driver: &TopologyTestDriver, store: &str) -> StoreView<String, V> {
    driver.query(store).expect("there is such a store")
}

fn keys<V>(found: &[(String, V)]) -> Vec<&str> {
    found.iter().map(|(key, _)| key.as_str()).collect()
}

fn text(key: &str) -> String {
    key.to_owned()
}

#[test]
fn keys_are_found_one_by_one_by_range_and_by_prefix_in_both_orders_over_all_tasks() {
    let builder = StreamsBuilder::new();
    builder.table::<String, String>("in", "table");
    on_all_hosts(&builder, |driver| {
        let store = view::<String>(driver, "table");
        for (time, key) in (0..).zip(["ab", "aa", "c", "b", "ac", "gone"]) {
            pipe(driver, &[(key, Some(key), time)]);
        }
        pipe(driver, &[("gone", None, 9)]);
        assert_eq!(store.all().expect("readable"), [], "nothing is committed");
        driver.commit().expect("it commits");
        pipe(driver, &[("later", Some("x"), 10), ("aa", Some("y"), 10)]);

        assert_eq!(store.get(&text("aa")).expect("readable"), Some(text("aa")));
        assert_eq!(store.get(&text("gone")).expect("readable"), None);
        let found = store
            .get_with_timestamp(&text("c"))
            .expect("readable")
            .expect("there");
        assert_eq!((found.value.as_str(), found.timestamp), ("c", 2));
        assert_eq!(
            keys(&store.all().expect("readable")),
            ["aa", "ab", "ac", "b", "c"]
        );
        assert_eq!(
            keys(&store.reverse_all().expect("readable")),
            ["c", "b", "ac", "ab", "aa"]
        );
        let (from, to) = (text("ab"), text("b"));
        let range = store.range(Some(&from), Some(&to)).expect("readable");
        assert_eq!(keys(&range), ["ab", "ac", "b"]);
        let range = store.reverse_range(None, Some(&to)).expect("readable");
        assert_eq!(keys(&range), ["b", "ac", "ab", "aa"]);
        let range = store.range(Some(&to), None).expect("readable");
        assert_eq!(keys(&range), ["b", "c"]);
        assert_eq!(
            keys(&store.range(Some(&to), Some(&from)).expect("readable")),
            Vec::<&str>::new()
        );
        assert_eq!(
            keys(&store.prefix_scan("a").expect("readable")),
            ["aa", "ab", "ac"]
        );
        let no_past = store.get_as_of(&from, 0).expect_err("it has no past");
        assert!(no_past.to_string().contains("without versions"), "{no_past}");
    });
}

fn times<V: Clone>(found: &[WindowEntry<String, V>]) -> Vec<(&str, i64, i64, V)> {
    let line = |entry: &WindowEntry<String, V>| (entry.start_ms, entry.end_ms, entry.value.clone());
    found
        .iter()
        .map(|entry| {
            let (start, end, value) = line(entry);
            (entry.key.as_str(), start, end, value)
        })
        .collect()
}

#[test]
fn windows_are_found_by_key_and_time_in_both_orders() {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of(ms(10)).grace(ms(100));
    let stream = builder.stream::<String, String>("in");
    stream.group_by_key().windowed_by(windows).count("counts");
    on_all_hosts(&builder, |driver| {
        let store = view::<u64>(driver, "counts");
        for (key, time) in [("a", 1), ("a", 2), ("b", 12), ("a", 15), ("a", 33)] {
            pipe(driver, &[(key, Some("x"), time)]);
        }
        driver.commit().expect("it commits");
        let (a, none) = (text("a"), text("none"));
        assert_eq!(store.fetch_at(&a, 0).expect("readable"), Some(2));
        assert_eq!(store.fetch_at(&a, 20).expect("readable"), None);
        let found = store.fetch(&a, 0, 10).expect("readable");
        assert_eq!(times(&found), [("a", 0, 10, 2), ("a", 10, 20, 1)]);
        let found = store.backward_fetch(&a, 0, 10).expect("readable");
        assert_eq!(times(&found), [("a", 10, 20, 1), ("a", 0, 10, 2)]);
        assert_eq!(times(&store.fetch(&none, 0, 100).expect("readable")), []);
        let found = store.fetch_all(5, 30).expect("readable");
        assert_eq!(
            times(&found),
            [("a", 10, 20, 1), ("b", 10, 20, 1), ("a", 30, 40, 1)]
        );
        let found = store.backward_fetch_all(5, 30).expect("readable");
        assert_eq!(
            times(&found),
            [("a", 30, 40, 1), ("b", 10, 20, 1), ("a", 10, 20, 1)]
        );
        let wrong = store.get(&a).expect_err("its keys have windows");
        assert!(matches!(wrong, QueryError::WrongKind { .. }), "{wrong}");
    });
}

#[test]
fn sessions_are_found_by_key_by_time_and_by_their_ends() {
    let builder = StreamsBuilder::new();
    let windows = SessionWindows::with_inactivity_gap(ms(5)).grace(ms(500));
    let stream = builder.stream::<String, String>("in");
    stream.group_by_key().windowed_by(windows).count("sessions");
    on_all_hosts(&builder, |driver| {
        let store = view::<u64>(driver, "sessions");
        for (key, time) in [("a", 1), ("a", 4), ("b", 12), ("a", 50), ("a", 300), ("a", 302)] {
            pipe(driver, &[(key, Some("x"), time)]);
        }
        driver.commit().expect("it commits");
        let a = text("a");
        let found = store.fetch_sessions(&a).expect("readable");
        assert_eq!(
            times(&found),
            [("a", 1, 4, 2), ("a", 50, 50, 1), ("a", 300, 302, 2)]
        );
        let found = store.find_sessions(&a, 50, 299).expect("readable");
        assert_eq!(times(&found), [("a", 50, 50, 1)]);
        let found = store.backward_find_sessions(&a, 0, 300).expect("readable");
        assert_eq!(
            times(&found),
            [("a", 300, 302, 2), ("a", 50, 50, 1), ("a", 1, 4, 2)]
        );
        assert_eq!(store.fetch_session(&a, 300, 302).expect("readable"), Some(2));
        assert_eq!(store.fetch_session(&a, 300, 301).expect("readable"), None);
        let found = store.find_all_sessions(5, 60).expect("readable");
        assert_eq!(times(&found), [("b", 12, 12, 1), ("a", 50, 50, 1)]);
    });
}

#[test]
fn versions_are_found_as_of_a_time_and_over_a_time_as_far_as_the_retention_goes() {
    let builder = StreamsBuilder::new();
    let stored = Materialized::default().versioned(ms(100));
    builder.table_with::<String, String>("in", "table", Consumed::default(), stored);
    on_all_hosts(&builder, |driver| {
        let store = view::<String>(driver, "table");
        let records = [
            ("a", Some("a10"), 10),
            ("a", Some("a40"), 40),
            ("a", None, 60),
            ("a", Some("a20"), 20),
            ("a", Some("a80"), 80),
            ("b", Some("b5"), 5),
            ("b", Some("b95"), 95),
        ];
        pipe(driver, &records);
        assert_eq!(
            store.get_as_of(&text("a"), 90).expect("readable"),
            None,
            "nothing is committed"
        );
        driver.commit().expect("it commits");
        let version = |value: &str, valid_from_ms: i64, valid_to_ms: Option<i64>| VersionedRecord {
            value: value.to_owned(),
            valid_from_ms,
            valid_to_ms,
        };
        let a = text("a");
        for (at, expected) in [
            (9, None),
            (10, Some(version("a10", 10, Some(20)))),
            (39, Some(version("a20", 20, Some(40)))),
            (40, Some(version("a40", 40, Some(60)))),
            (60, None),
            (79, None),
            (1_000, Some(version("a80", 80, None))),
        ] {
            assert_eq!(store.get_as_of(&a, at).expect("readable"), expected, "at {at}");
        }
        let found = store.versions(&a, 25, 85).expect("readable");
        let expected = [
            version("a20", 20, Some(40)),
            version("a40", 40, Some(60)),
            version("a80", 80, None),
        ];
        assert_eq!(found, expected);
        let found = store.reverse_versions(&a, i64::MIN, 20).expect("readable");
        assert_eq!(
            found,
            [version("a20", 20, Some(40)), version("a10", 10, Some(20))]
        );
        assert_eq!(store.get(&a).expect("readable"), Some(text("a80")));

        // Time goes on for all keys of the task: "a" and "b" must share one for this, so both get a record.
        pipe(driver, &[("a", Some("a300"), 300), ("b", Some("b300"), 300)]);
        driver.commit().expect("it commits");
        let b = text("b");
        assert_eq!(
            store.get_as_of(&b, 50).expect("readable"),
            None,
            "past the retention"
        );
        let found = store.get_as_of(&b, 250).expect("readable");
        assert_eq!(found, Some(version("b95", 95, Some(300))));
        assert_eq!(
            store.get_as_of(&b, 300).expect("readable"),
            Some(version("b300", 300, None))
        );
    });
}

#[test]
fn what_cannot_be_read_is_told_with_the_state_of_the_task_it_waits_for() {
    let registry = Arc::new(StoreRegistry::default());
    let (first, second) = (
        TaskId::new(0, PartitionId::new(0)),
        TaskId::new(0, PartitionId::new(1)),
    );
    registry.announce(&StoreSpec::key_value("table"), vec![first, second]);
    let open = |name: &str| {
        let (key, value) = (String::default_serde(), String::default_serde());
        StoreView::<String, String>::new(registry.clone(), name, key, value)
    };
    let unknown = open("tables").expect_err("there is none of that name");
    assert_eq!(
        unknown.to_string(),
        r#"there is no store "tables"; the application has table"#
    );
    let store = open("table").expect("there is one of that name");
    let refused = || store.get(&text("a")).expect_err("it is not complete");
    let waiting = refused();
    assert!(
        matches!(waiting, QueryError::NotReady { task, .. } if task == first),
        "{waiting}"
    );
    registry.restoring(first);
    let restoring = refused();
    assert!(
        matches!(restoring, QueryError::Restoring { open: 0, all: 2, task, .. } if task == first),
        "{restoring}"
    );
    registry.unregister(first);
    let closed = refused();
    assert!(
        matches!(closed, QueryError::NotHere { task, .. } if task == first),
        "{closed}"
    );
}
