//! The same job gives the same results wherever it runs: counts, windows, restarts with open transactions, at-least-once.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
use millpond_streams::runtime::{StreamsConfig, StreamsState};
use millpond_streams::topology::Topology;

use super::log_io::{Read, read_committed, send_lines};
use super::places::Place;
use crate::support::{PATIENCE, expected, topic};

fn lines(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("w{} w{} all", n % 7, n % 31))
        .collect()
}

fn word_count(place: &Place) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(&place.named("lines"))
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to(&place.named("counts"));
    builder.build().expect("a sound topology")
}

/// Counts every word per window of 50 ms; the key of the output says which window.
fn windowed_count(place: &Place) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(&place.named("lines"))
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .windowed_by(TimeWindows::of(Duration::from_millis(50)).grace(Duration::from_secs(60)))
        .count("words-per-window")
        .updates()
        .map(|windowed, count| {
            (
                format!("{}@{}", windowed.key, windowed.window.start_ms),
                count.to_string(),
            )
        })
        .to(&place.named("counts"));
    builder.build().expect("a sound topology")
}

/// The last count per key. Every update must be larger than the one before, or something was counted twice.
pub(crate) fn last_counts(updates: &[Read]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for update in updates {
        let count = update.value.parse::<u64>().expect("a number");
        let before = counts.insert(update.key.clone(), count);
        assert!(
            before.is_none_or(|before| before < count),
            "{}: {before:?} was followed by {count}",
            update.key
        );
    }
    counts
}

async fn counts(place: &Place) -> BTreeMap<String, u64> {
    last_counts(&read_committed(&*place.log, &topic(&place.named("counts"))).await)
}

async fn prepared(place: &Place) {
    place.create("lines", 4).await;
    place.create("counts", 2).await;
}

async fn send(place: &Place, lines: &[String]) {
    let name = topic(&place.named("lines"));
    send_lines(&*place.log, &name, 4, lines.iter().cloned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_counted_by_several_workers_and_again_after_a_restart() {
    for place in Place::all().await {
        prepared(&place).await;
        let lines = lines(400);
        for (half, workers) in lines.chunks(200).zip([3, 2]) {
            let app = place
                .launcher(word_count(&place), "words")
                .workers(workers)
                .run()
                .await
                .expect(place.name);
            send(&place, half).await;
            app.wait_until_caught_up().await.expect(place.name);
            assert_eq!(app.state(), StreamsState::Running, "{}", place.name);
            assert_eq!(app.metrics().recoveries, 0, "{}", place.name);
            app.shutdown(PATIENCE).await.expect(place.name);
        }
        let expected = expected(lines.iter().map(String::as_str));
        assert_eq!(counts(&place).await, expected, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_counted() {
    let lines = lines(300);
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (time, line) in lines.iter().enumerate() {
        for word in line.split(' ') {
            *expected.entry(format!("{word}@{}", time / 50 * 50)).or_default() += 1;
        }
    }
    for place in Place::all().await {
        prepared(&place).await;
        send(&place, &lines).await;
        let app = place
            .launcher(windowed_count(&place), "windows")
            .run()
            .await
            .expect(place.name);
        app.wait_until_caught_up().await.expect(place.name);
        app.shutdown(PATIENCE).await.expect(place.name);
        assert_eq!(counts(&place).await, expected, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_are_dropped_with_everything_open_lose_and_double_nothing() {
    for place in Place::all().await {
        prepared(&place).await;
        let lines = lines(600);
        for (round, part) in lines.chunks(100).enumerate() {
            let app = place
                .launcher(word_count(&place), "words")
                .workers(1 + round % 3)
                .run()
                .await
                .expect(place.name);
            send(&place, part).await;
            if round % 2 == 0 {
                app.wait_until_caught_up().await.expect(place.name);
            }
            drop(app);
        }
        let app = place
            .launcher(word_count(&place), "words")
            .run()
            .await
            .expect(place.name);
        app.wait_until_caught_up().await.expect(place.name);
        let expected = expected(lines.iter().map(String::as_str));
        assert_eq!(counts(&place).await, expected, "{}", place.name);
        let store = app.store::<String, u64>("word-counts").expect("the store exists");
        let state: BTreeMap<String, u64> = store.all().expect("readable").into_iter().collect();
        assert_eq!(state, expected, "{}", place.name);
        app.shutdown(PATIENCE).await.expect(place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_is_lost_with_its_directory_comes_back_from_the_changelog() {
    for place in Place::all().await {
        prepared(&place).await;
        let lines = lines(200);
        for half in lines.chunks(100) {
            let elsewhere = tempfile::tempdir().expect("a directory");
            let app = place
                .launcher(word_count(&place), "words")
                .state_dir(elsewhere.path())
                .run()
                .await
                .expect(place.name);
            send(&place, half).await;
            app.wait_until_caught_up().await.expect(place.name);
            app.shutdown(PATIENCE).await.expect(place.name);
        }
        let expected = expected(lines.iter().map(String::as_str));
        assert_eq!(counts(&place).await, expected, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_works_without_transactions() {
    for place in Place::all().await {
        prepared(&place).await;
        let lines = lines(100);
        let config = StreamsConfig {
            exactly_once: false,
            ..StreamsConfig::default()
        };
        for half in lines.chunks(50) {
            let app = place
                .launcher(word_count(&place), "words")
                .config(config.clone())
                .run()
                .await
                .expect(place.name);
            send(&place, half).await;
            app.wait_until_caught_up().await.expect(place.name);
            app.shutdown(PATIENCE).await.expect(place.name);
        }
        let expected = expected(lines.iter().map(String::as_str));
        assert_eq!(counts(&place).await, expected, "{}", place.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_fences_the_first() {
    for place in Place::all().await {
        prepared(&place).await;
        let first = place
            .launcher(word_count(&place), "words")
            .run()
            .await
            .expect(place.name);
        send(&place, &["a b".to_owned()]).await;
        first.wait_until_caught_up().await.expect(place.name);
        let elsewhere = tempfile::tempdir().expect("a directory");
        let second = place
            .launcher(word_count(&place), "words")
            .state_dir(elsewhere.path())
            .run()
            .await
            .expect(place.name);
        send(&place, &["a c".to_owned()]).await;
        second.wait_until_caught_up().await.expect(place.name);
        first.wait_until_caught_up().await.expect_err("it is fenced");
        assert_eq!(second.state(), StreamsState::Running, "{}", place.name);
        assert_eq!(counts(&place).await, expected(["a b", "a c"]), "{}", place.name);
    }
}
