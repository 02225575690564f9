//! `millpond streams reset`: what goes, what stays, and when nothing is done at all.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::node::{Node, node_with_ten};
use crate::process::{finished, millpond};

/// What an application `words` leaves behind that read seven of ten orders, beside another one with a longer id.
fn node_after_words(state: &Path) -> Node {
    let node = node_with_ten();
    for topic in [
        "words-counts-changelog",
        "words-counts-repartition",
        "words-dead-letters",
        "words-more-counts-changelog",
        "counts",
    ] {
        node.ok(&["topic", "create", topic, "-p", "1"]);
    }
    node.ok(&["group", "seek", "words", "--to", "7", "--topics", "orders", "-y"]);
    node.ok(&[
        "group",
        "seek",
        "words",
        "--to",
        "0",
        "--topics",
        "words-counts-repartition",
        "-y",
    ]);
    node.ok(&[
        "group",
        "seek",
        "words-more",
        "--to",
        "5",
        "--topics",
        "orders",
        "-y",
    ]);
    std::fs::create_dir_all(state.join("words").join("0_0")).expect("a state directory");
    std::fs::write(state.join("words").join("LOCK"), "4711\n").expect("a lock file");
    node
}

fn topics(node: &Node) -> Vec<String> {
    let listed = node.json(&["topic", "list"]);
    let topics = listed["topics"].as_array().expect("a table").iter();
    topics
        .map(|topic| topic["topic"].as_str().expect("a name").to_owned())
        .collect()
}

fn position(node: &Node, group: &str) -> Value {
    let described = node.json(&["group", "describe", group]);
    let partitions = described["partitions"].as_array().expect("a table").clone();
    let of_orders = partitions.iter().find(|row| row["topic"] == json!("orders"));
    of_orders.unwrap_or_else(|| panic!("{described}"))["committed_offset"].clone()
}

#[test]
fn a_reset_takes_positions_internal_topics_and_state_and_leaves_the_rest() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let state = home.path().join("state");
    let node = node_after_words(&state);
    let state_dir = state.display().to_string();
    let reset = [
        "streams",
        "reset",
        "--application-id",
        "words",
        "--state-dir",
        &state_dir,
    ];
    let before = topics(&node);

    let shown = node.json(&[&reset[..], &["--dry-run"]].concat());
    assert_eq!(
        shown["inputs"],
        json!([{"topic": "orders", "partition": 0, "old_offset": 7, "new_offset": 0}])
    );
    let gone: Vec<&str> = shown["deleted"]
        .as_array()
        .expect("a table")
        .iter()
        .map(|row| row["name"].as_str().expect("a name"))
        .collect();
    let directory = state.join("words").display().to_string();
    assert_eq!(
        gone,
        ["words-counts-changelog", "words-counts-repartition", &directory]
    );
    let unasked = node.run(&reset);
    assert_eq!(unasked.code(), Some(2), "{}", unasked.stderr);
    assert!(
        unasked.stderr.contains("not done, because nobody can be asked"),
        "{}",
        unasked.stderr
    );
    assert_eq!(topics(&node), before, "nothing was done");
    assert!(state.join("words").exists());

    node.ok(&[&reset[..], &["-y"]].concat());
    let left: Vec<String> = before
        .into_iter()
        .filter(|topic| topic != "words-counts-changelog" && topic != "words-counts-repartition")
        .collect();
    assert_eq!(topics(&node), left);
    assert!(!state.join("words").exists());
    assert_eq!(position(&node, "words"), json!(0));
    assert_eq!(position(&node, "words-more"), json!(5));
    // Again: the positions are there, and nothing else is.
    let again = node.json(&[&reset[..], &["-y", "--to-offset", "3"]].concat());
    assert_eq!(again["deleted"], json!([]));
    assert_eq!(position(&node, "words"), json!(3));
    let unknown = node.run(&["streams", "reset", "--application-id", "wrods", "-y"]);
    assert_eq!(unknown.code(), Some(1));
    assert!(
        unknown
            .stderr
            .contains("there is nothing of an application wrods"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn nothing_is_done_while_the_application_runs() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let state = home.path().join("state");
    let node = node_after_words(&state);
    let held = File::open(state.join("words").join("LOCK")).expect("a lock file");
    held.lock().expect("it is free");
    let before = topics(&node);
    let state_dir = state.display().to_string();
    let refused = node.run(&[
        "streams",
        "reset",
        "--application-id",
        "words",
        "--state-dir",
        &state_dir,
        "-y",
    ]);
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused
            .stderr
            .contains("application words is running: process 4711 has "),
        "{}",
        refused.stderr
    );
    assert_eq!(topics(&node), before);
    assert_eq!(position(&node, "words"), json!(7));
}

#[test]
fn a_data_directory_is_reset_without_a_node_and_inputs_begin_where_they_are_told() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let node = node_after_words(&home.path().join("elsewhere"));
    // As a crash would leave it.
    let data = home.path().join("data");
    let copied = Command::new("cp").arg("-r").arg(node.data()).arg(&data).status();
    assert!(copied.expect("cp is there").success());
    std::fs::create_dir_all(data.join("state").join("words")).expect("a state directory");
    let reset = |more: &[&str]| {
        let done = finished(
            millpond([
                "streams",
                "reset",
                "--application-id",
                "words",
                "--format",
                "json",
                "-y",
                "--data",
            ])
            .arg(&data)
            .args(more),
        );
        assert_eq!(done.code(), Some(0), "{}\n{}", done.stdout, done.stderr);
        serde_json::from_str::<Value>(&done.stdout).expect("JSON")
    };
    let first = reset(&["--to-latest"]);
    assert_eq!(first["inputs"][0]["new_offset"], json!(10));
    assert_eq!(first["deleted"].as_array().map(Vec::len), Some(3));
    assert!(!data.join("state").join("words").exists());
    let second = reset(&["--by-duration", "1h", "--input-topics", "orders:0"]);
    assert_eq!(
        (
            &second["inputs"][0]["old_offset"],
            &second["inputs"][0]["new_offset"]
        ),
        (&json!(10), &json!(0))
    );
    assert_eq!(
        topics(&node)
            .iter()
            .filter(|topic| topic.starts_with("words-counts"))
            .count(),
        2,
        "a copy was reset"
    );
    let no_data = finished(
        millpond(["streams", "reset", "--application-id", "words", "-y", "--data"])
            .arg(home.path().join("nothing")),
    );
    assert_eq!(no_data.code(), Some(1));
    assert!(
        no_data.stderr.contains("is no data directory of millpond"),
        "{}",
        no_data.stderr
    );
}
