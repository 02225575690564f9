//! A new version of a program on the state of the one before: what a dry run says about it, and what becomes of the state.

use std::time::Duration;

use millpond_streams::dsl::{StreamsBuilder, TimeWindows};
use millpond_streams::runtime::{
    RuntimeError, StoreForecast, Streams, StreamsConfig, StreamsLauncher, TopicForecast,
};
use millpond_streams::topology::Topology;

use super::support::{Node, PATIENCE, expected, word_count};

const LINES: [&str; 3] = [
    "to be or not to be",
    "that is the question",
    "to sleep perchance to dream",
];

fn lines() -> impl Iterator<Item = String> {
    LINES.iter().map(|line| (*line).to_owned())
}

fn launcher(node: &Node, topology: Topology) -> StreamsLauncher {
    Streams::builder(topology)
        .application_id("words")
        .embedded(&node.broker)
        .state_dir(&node.state_dir)
}

async fn run_once(node: &Node, topology: Topology) -> u64 {
    let app = launcher(node, topology).run().await.expect("it starts");
    app.wait_until_caught_up().await.expect("it catches up");
    let restored = app.metrics().restored_records;
    app.shutdown(PATIENCE).await.expect("it ends");
    restored
}

/// The word count with a sub-topology of another kind before it, and stateless operators where there were none.
fn with_more_operators() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, String>("more").to("copies");
    builder
        .stream::<Option<String>, String>("lines")
        .filter(|_, line| !line.is_empty())
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter_not(|_, word| word.is_empty())
        .map_values(|word| word)
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}

async fn node() -> Node {
    let node = Node::start().await;
    node.create("more", 4).await;
    node.create("copies", 4).await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stateless_operators_come_go_and_move_and_every_store_is_kept() {
    let node = node().await;
    let mut times = 0;
    for version in [
        word_count as fn() -> Topology,
        with_more_operators,
        word_count,
        with_more_operators,
    ] {
        let forecast = launcher(&node, version())
            .dry_run()
            .await
            .expect("it can be asked");
        assert!(forecast.can_start(), "{forecast}");
        let store = &forecast.stores["word-counts"];
        match times {
            0 => assert_eq!(*store, StoreForecast::New),
            // An orderly end leaves only the markers behind the last change.
            _ => assert!(
                matches!(
                    store,
                    StoreForecast::Reuse {
                        replayed_offsets: 0..=4
                    }
                ),
                "{forecast}"
            ),
        }
        node.send(lines()).await;
        times += 1;
        assert_eq!(run_once(&node, version()).await, 0, "nothing is replayed");
        let all = expected(std::iter::repeat_n(LINES, times).flatten());
        assert_eq!(node.counts().await, all);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_a_new_version_replays_the_tail_and_nothing_else() {
    let node = node().await;
    for _ in 0..20 {
        node.send(lines()).await;
    }
    run_once(&node, word_count()).await;
    // Never shut down: what this one does is in the changelog and not in the state directory.
    let mut config = StreamsConfig::default();
    config.state.apply_interval = Duration::from_secs(3_600);
    let app = launcher(&node, word_count())
        .config(config)
        .run()
        .await
        .expect("it starts");
    node.send(lines()).await;
    app.wait_until_caught_up().await.expect("it catches up");
    drop(app);

    let forecast = launcher(&node, with_more_operators())
        .dry_run()
        .await
        .expect("it can be asked");
    let StoreForecast::Reuse { replayed_offsets } = forecast.stores["word-counts"] else {
        panic!("{forecast}");
    };
    let words = LINES.iter().flat_map(|line| line.split(' ')).count() as i64;
    assert!((1..=2 * words).contains(&replayed_offsets), "{forecast}");
    let app = launcher(&node, with_more_operators())
        .run()
        .await
        .expect("it starts");
    app.wait_until_running().await.expect("it runs");
    let restored = app.metrics().restored_records as i64;
    assert!(
        (1..=replayed_offsets).contains(&restored),
        "{restored} of {replayed_offsets}"
    );
    app.wait_until_caught_up().await.expect("it catches up");
    assert_eq!(
        node.counts().await,
        expected(std::iter::repeat_n(LINES, 21).flatten())
    );
    app.shutdown(PATIENCE).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_names_what_is_new_unused_rebuilt_and_incompatible_and_changes_nothing() {
    let node = node().await;
    let forecast = launcher(&node, word_count())
        .dry_run()
        .await
        .expect("it can be asked");
    assert_eq!(
        forecast.topics["words-word-counts-changelog"],
        TopicForecast::Created { partitions: 4 }
    );
    assert!(!node.state_dir.exists(), "nothing was created");
    node.send(lines()).await;
    run_once(&node, word_count()).await;

    let builder = StreamsBuilder::new();
    let words = builder
        .stream::<Option<String>, String>("lines")
        .group_by(|_, word| word.clone());
    words.count("other-counts");
    let other = builder.build().expect("a sound topology");
    let forecast = launcher(&node, other).dry_run().await.expect("it can be asked");
    assert_eq!(forecast.stores["other-counts"], StoreForecast::New);
    assert_eq!(forecast.stores["word-counts"], StoreForecast::Unused);
    assert!(forecast.can_start());

    let builder = StreamsBuilder::new();
    let words = builder
        .stream::<Option<String>, String>("lines")
        .group_by(|_, word| word.clone());
    words
        .windowed_by(TimeWindows::of(Duration::from_secs(1)))
        .count("word-counts");
    let windowed = builder.build().expect("a sound topology");
    let forecast = launcher(&node, windowed)
        .dry_run()
        .await
        .expect("it can be asked");
    assert!(!forecast.can_start());
    let text = forecast.to_string();
    assert!(
        text.contains("store word-counts: INCOMPATIBLE: it was written as key-value"),
        "{text}"
    );
    assert!(text.contains("give the operator a new name"), "{text}");
    assert!(
        text.contains("topic words-word-counts-changelog: INCOMPATIBLE: has cleanup.policy=compact"),
        "{text}"
    );

    // Another disk: everything is in the changelog.
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let forecast = launcher(&node, word_count())
        .state_dir(elsewhere.path())
        .dry_run()
        .await;
    let forecast = forecast.expect("it can be asked");
    let StoreForecast::Rebuild {
        reason,
        replayed_offsets,
    } = &forecast.stores["word-counts"]
    else {
        panic!("{forecast}");
    };
    assert!(
        reason.starts_with("the task has no state on this disk; "),
        "{reason}"
    );
    assert!(*replayed_offsets > 0);
    let forecast = launcher(&node, word_count())
        .dry_run()
        .await
        .expect("it can be asked");
    assert!(
        matches!(&forecast.stores["word-counts"], StoreForecast::Reuse { .. }),
        "{forecast}"
    );
    assert_eq!(
        forecast.topics["words-word-counts-changelog"],
        TopicForecast::Exists
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_is_refused_with_the_process_that_has_the_state_and_does_not_end_the_first() {
    let node = Node::start().await;
    let app = node.run_words(StreamsConfig::default()).await;
    app.wait_until_running().await.expect("it runs");
    let error = node.words().run().await.expect_err("the state is in use");
    let RuntimeError::StateDirectoryLocked { dir, pid } = &error else {
        panic!("{error}");
    };
    assert_eq!(*dir, node.state_dir.join("words"));
    assert_eq!(*pid, Some(std::process::id()));
    node.send(lines()).await;
    app.wait_until_caught_up().await.expect("the first goes on");
    assert_eq!(node.counts().await, expected(LINES));
    app.shutdown(PATIENCE).await.expect("it ends");
}
