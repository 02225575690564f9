//! Cases of Kafka Streams' `CogroupedKStreamImplTest` and of the windowed cogroup tests.

use super::windows_harness::{CACHES, Cache, driver, ms, read, records, write};
use super::{
    CogroupedKStream, Grouped, SessionWindows, SlidingWindows, StreamsBuilder, TimeWindows, Windowed,
};
use crate::testing::TopologyTestDriver;
use crate::topology::TopologyError;

type Key = Option<String>;

/// Topic "one" adds "+value", topic "two" adds "-value".
fn adding(builder: &StreamsBuilder) -> CogroupedKStream<Key, String> {
    let one = builder.stream::<Key, Option<String>>("one").group_by_key();
    let two = builder.stream::<Key, String>("two").group_by_key();
    one.cogroup(|_, value: &Option<String>, so_far: String| {
        format!("{so_far}+{}", value.clone().unwrap_or_default())
    })
    .cogroup(&two, |_, value, so_far| format!("{so_far}-{value}"))
}

/// Records as `topic key value@time`, a commit each.
fn pipe(driver: &mut TopologyTestDriver, text: &str) -> Vec<String> {
    for line in text.split(',') {
        let (topic, record) = line.trim().split_once(' ').expect("topic key value@time");
        let input = driver.input::<Key, String>(topic);
        driver.pipe_all(&input, records(record)).expect("goes through");
    }
    read(driver, "out")
}

#[test]
fn streams_with_shared_keys_are_folded_into_one_aggregate() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let table = adding(builder).aggregate("all", || "0".to_owned());
            let line = |key: Key, value: Option<String>| {
                (
                    (),
                    format!("{} {}", key.unwrap_or_default(), value.unwrap_or_default()),
                )
            };
            table.to_stream().map(line).to("out");
        });
        let text = "one k1 A@0, one k2 A@1, one k1 A@10, one k2 A@100, two k2 B@100, two k2 B@200, \
            two k1 B@1, two k2 B@500, two k1 B@500, two k3 B@500, two k2 B@100";
        assert_eq!(
            pipe(&mut driver, text),
            [
                "k1 0+A@0",
                "k2 0+A@1",
                "k1 0+A+A@10",
                "k2 0+A+A@100",
                "k2 0+A+A-B@100",
                "k2 0+A+A-B-B@200",
                "k1 0+A+A-B@10",
                "k2 0+A+A-B-B-B@500",
                "k1 0+A+A-B-B@500",
                "k3 0-B@500",
                "k2 0+A+A-B-B-B-B@500"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn null_keys_and_values_are_skipped_and_counted() {
    let mut driver = driver(Cache::On, |builder: &StreamsBuilder| {
        let table = adding(builder).aggregate("all", || "0".to_owned());
        table.updates().map(|_, value| ((), value)).to("out");
    });
    let input = driver.input::<Key, Option<String>>("one");
    for (key, value) in [(Some("k"), None), (None, Some("x")), (Some("k"), Some("y"))] {
        let (key, value) = (key.map(str::to_owned), value.map(str::to_owned));
        driver.pipe(&input, key, value, 0).expect("goes through");
    }
    assert_eq!(read(&mut driver, "out"), ["0+y@0"]);
    assert_eq!(driver.counters().skipped, 2);
}

#[test]
fn returning_none_deletes_the_entry() {
    let mut driver = driver(Cache::On, |builder: &StreamsBuilder| {
        let one = builder.stream::<Key, String>("one").group_by_key();
        let two = builder.stream::<Key, String>("two").group_by_key();
        let table = one
            .cogroup(|_, value: &String, sum: i64| Some(sum + value.len() as i64))
            .cogroup(&two, |_, _, _| None)
            .aggregate("sums", || 0);
        let line = |_, sum: Option<i64>| ((), format!("{sum:?}"));
        table.to_stream().map(line).to("out");
    });
    assert_eq!(
        pipe(&mut driver, "one k abc@0, two k x@1, one k ab@2"),
        ["Some(3)@0", "None@1", "Some(2)@2"]
    );
}

#[test]
fn tumbling_windows_are_filled_from_all_streams() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let windows = TimeWindows::of(ms(500));
            write(
                &adding(builder)
                    .windowed_by(windows)
                    .aggregate("all", || "0".to_owned()),
                "out",
            );
        });
        let text = "one k1 A@0, one k2 A@0, one k2 A@1, one k1 A@2, two k1 B@3, two k2 B@3, two k2 B@504";
        assert_eq!(
            pipe(&mut driver, text),
            [
                "k1[0,500] 0+A@0",
                "k2[0,500] 0+A@0",
                "k2[0,500] 0+A+A@1",
                "k1[0,500] 0+A+A@2",
                "k1[0,500] 0+A+A-B@3",
                "k2[0,500] 0+A+A-B@3",
                "k2[500,1000] 0-B@504"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn sliding_windows_are_filled_from_all_streams() {
    let mut driver = driver(Cache::Off, |builder: &StreamsBuilder| {
        let windows = SlidingWindows::of_time_difference(ms(500)).grace(ms(2000));
        write(
            &adding(builder)
                .windowed_by(windows)
                .aggregate("all", || "0".to_owned()),
            "out",
        );
    });
    assert_eq!(
        pipe(&mut driver, "one k1 A@500, two k1 B@750, one k1 A@1000"),
        [
            "k1[0,500] 0+A@500",
            "k1[501,1001] 0-B@750",
            "k1[250,750] 0+A-B@750",
            "k1[501,1001] 0-B+A@1000",
            "k1[751,1251] 0+A@1000",
            "k1[500,1000] 0+A-B+A@1000"
        ]
    );
}

#[test]
fn sessions_are_filled_from_all_streams_and_merged() {
    for cache in CACHES {
        let mut driver = driver(cache, |builder: &StreamsBuilder| {
            let windows = SessionWindows::with_inactivity_gap(ms(500));
            let merge = |_: &Key, a: String, b: String| format!("{a}+{b}");
            let table = adding(builder)
                .windowed_by(windows)
                .aggregate("all", || "0".to_owned(), merge);
            write(&table, "out");
        });
        let text = "one k1 A@0, one k2 A@0, one k2 A@1, one k1 A@2, two k1 B@3, two k2 B@3, two k2 B@504";
        assert_eq!(
            pipe(&mut driver, text),
            [
                "k1[0,0] 0+A@0",
                "k2[0,0] 0+A@0",
                "k2[0,0] -@0",
                "k2[0,1] 0+0+A+A@1",
                "k1[0,0] -@0",
                "k1[0,2] 0+0+A+A@2",
                "k1[0,2] -@2",
                "k1[0,3] 0+0+0+A+A-B@3",
                "k2[0,1] -@1",
                "k2[0,3] 0+0+0+A+A-B@3",
                "k2[504,504] 0-B@504"
            ],
            "{cache:?}"
        );
    }
}

#[test]
fn late_values_can_be_told_apart_by_their_type() {
    let mut driver = driver(Cache::On, |builder: &StreamsBuilder| {
        let table = adding(builder)
            .windowed_by(TimeWindows::of(ms(10)))
            .with_late(|late| {
                let line = |missed: Windowed<Key>, value: super::CogroupedValue<Key, String>| {
                    let from_two = value.get::<String>();
                    ((), format!("{} {from_two:?}", missed.window.start_ms))
                };
                late.map(line).to("late");
            })
            .aggregate("all", || "0".to_owned());
        write(&table, "out");
    });
    pipe(&mut driver, "one k A@20, one k A@3, two k B@4");
    assert_eq!(read(&mut driver, "late"), ["0 None@3", "0 Some(\"B\")@4"]);
}

#[test]
fn one_repartition_topic_takes_the_name_of_the_aggregation_several_need_names() {
    let build = |second: Grouped<String, String>| {
        let builder = StreamsBuilder::new();
        let one = builder
            .stream::<String, String>("one")
            .select_key(|_, value| value.clone());
        let two = builder
            .stream::<String, String>("two")
            .select_key(|_, value| value.clone());
        one.group_by_key()
            .cogroup(|_, _, n: u64| n + 1)
            .cogroup(&two.group_by_key_with(second), |_, _, n| n + 10)
            .aggregate("sums", || 0_u64)
            .updates()
            .to("out");
        builder.build()
    };
    match build(Grouped::default()) {
        Err(TopologyError::InvalidOperator { node, reason }) => {
            assert_eq!(node, "sums");
            assert_eq!(
                reason,
                "several cogrouped streams need a repartition topic; name them with Grouped::named"
            );
        }
        other => panic!("built: {other:?}"),
    }
    let topology = build(Grouped::default().named("by-value")).expect("sound");
    let mut driver = TopologyTestDriver::new(&topology).expect("runs");
    for (topic, value) in [("one", "x"), ("two", "x")] {
        let input = driver.input::<String, String>(topic);
        driver
            .pipe(&input, "k".to_owned(), value.to_owned(), 0)
            .expect("goes through");
    }
    let out = driver.output::<String, u64>("out");
    assert_eq!(driver.read_values(&out).expect("sums"), [1, 11]);
}
