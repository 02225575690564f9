//! The verbs for clusters, against a node of ours: what they print, what they refuse, how they fail.

use serde_json::{Value, json};

use crate::node::node_with_ten;
use crate::process::{finished, millpond};

/// Verbs with examples of their own.
const VERBS: [&[&str]; 29] = [
    &["topic", "list"],
    &["topic", "describe"],
    &["topic", "create"],
    &["topic", "alter"],
    &["topic", "add-partitions"],
    &["topic", "delete"],
    &["topic", "trim"],
    &["topic", "offsets"],
    &["produce"],
    &["consume"],
    &["group", "list"],
    &["group", "describe"],
    &["group", "seek"],
    &["group", "delete"],
    &["config", "describe"],
    &["config", "set"],
    &["cluster", "info"],
    &["cluster", "health"],
    &["cluster", "logdirs"],
    &["txn", "list"],
    &["txn", "describe"],
    &["txn", "abort"],
    &["perf", "produce"],
    &["perf", "consume"],
    &["perf", "e2e"],
    &["streams", "reset"],
    &["profile", "show"],
    &["log", "stats"],
    &["completions"],
];

#[test]
fn short_help_fits_a_screen_and_long_help_has_examples() {
    for verb in VERBS {
        let short = finished(millpond(verb).arg("-h"));
        assert_eq!(short.code(), Some(0));
        assert!(short.stdout.lines().count() <= 36, "{verb:?}: {}", short.stdout);
        let long = finished(millpond(verb).arg("--help"));
        assert!(long.stdout.contains("Examples:"), "{verb:?}: {}", long.stdout);
    }
}

#[test]
fn help_knows_commands_and_topics_and_names_the_near_miss() {
    for (words, wanted) in [
        (&["help", "offsets"][..], "@2022-02-14:1h"),
        (&["help", "templates"], "{unpack[>I]}"),
        (&["help", "profiles"], "MILLPOND_PROFILE"),
        (&["help", "topic", "create"], "--if-not-exists"),
        (&["help"], "Topics: millpond help offsets"),
        (&["cheat", "lag"], "millpond group describe"),
        (&["completions", "bash"], "complete -F"),
        // What is needed to run a verb is not needed to ask what it prints, or what can be set.
        (
            &["topic", "create", "--format", "help"],
            ".topics[].replication_factor",
        ),
        (&["group", "seek", "--format=help"], ".partitions[].new_offset"),
        (&["config", "set", "--format", "help"], ".changes[].new_value"),
        (&["consume", "--format", "help"], ".[].timestamp"),
        (&["topic", "create", "-X", "list"], "linger.ms"),
    ] {
        let help = finished(&mut millpond(words));
        assert_eq!(help.code(), Some(0), "{words:?}: {}", help.stderr);
        assert!(help.stdout.contains(wanted), "{words:?}: {}", help.stdout);
    }
    let pages = tempfile::tempdir().expect("a temporary folder");
    let man = finished(millpond(["man"]).arg(pages.path()));
    assert_eq!((man.code(), man.stderr.as_str()), (Some(0), ""));
    let page =
        std::fs::read_to_string(pages.path().join("millpond-topic-create.1")).expect("a page a command");
    assert!(page.contains("if\\-not\\-exists"), "{page}");
    let slip = finished(&mut millpond(["help", "ofsets"]));
    assert_eq!(
        (slip.code(), slip.stderr.as_str()),
        (Some(2), "error: no command ofsets\nhint: did you mean offsets?\n")
    );
}

#[test]
fn records_are_printed_as_json_by_template_and_as_values() {
    let node = node_with_ten();
    let first: Value = serde_json::from_str(&node.ok(&["consume", "orders", "-n", "1"])).expect("one object");
    assert!(
        first["timestamp"]
            .as_i64()
            .is_some_and(|at| at > 1_700_000_000_000),
        "{first}"
    );
    let mut rest = first.clone();
    rest["timestamp"] = Value::Null;
    assert_eq!(
        rest,
        json!({
            "topic": "orders", "partition": 0, "offset": 0, "timestamp": null, "key": "k0", "value": "v0", "binary": [],
            "headers": [{"key": "source", "value": "test", "binary": false}],
        })
    );
    let template = "%t/%p/%o %k=%v %h{%k:%v}\\n";
    assert_eq!(
        node.ok(&["consume", "orders", "-o", "8", "-f", template]),
        "orders/0/8 k8=v8 source:test\norders/0/9 k9=v9 source:test\n"
    );
    assert_eq!(
        node.ok(&["consume", "orders", "-o", "-2", "--format", "text"]),
        "v8\nv9\n"
    );
}

#[test]
fn the_offset_grammar_bounds_what_is_read() {
    let node = node_with_ten();
    let read = |args: &[&str]| node.ok(&[&["consume", "orders", "-f", "%o "], args].concat());
    for (offset, wanted) in [
        ("start", "0 1 2 3 4 5 6 7 8 9 "),
        (":end", "0 1 2 3 4 5 6 7 8 9 "),
        ("7", "7 8 9 "),
        ("7:", "7 8 9 "),
        (":3", "0 1 2 "),
        ("4:6", "4 5 "),
        ("+8", "8 9 "),
        ("-3", "7 8 9 "),
        ("-3:9", "7 8 "),
        ("@-1h", "0 1 2 3 4 5 6 7 8 9 "),
        ("@-2h:-1h", ""),
        ("@2022-02-14", "0 1 2 3 4 5 6 7 8 9 "),
        ("@:2022-02-14", ""),
    ] {
        assert_eq!(read(&["-o", offset]), wanted, "-o {offset}");
    }
    assert_eq!(read(&["-n", "2"]), "0 1 ");
    assert_eq!(read(&["--grep", "^[kv][37]$"]), "3 7 ");
    assert_eq!(read(&["--grep", "v", "-n", "1", "-o", "5"]), "5 ");
    let wrong = node.run(&["consume", "orders", "-o", "yesterday"]);
    assert_eq!(wrong.code(), Some(2));
    assert!(
        wrong
            .stderr
            .starts_with("error: \"yesterday\" is no offset\nhint: "),
        "{}",
        wrong.stderr
    );
}

#[test]
fn kafkas_flag_names_are_understood() {
    let node = node_with_ten();
    let read = node.ok(&[
        "consume",
        "--bootstrap-server",
        &node.address,
        "--topic",
        "orders",
        "--from-beginning",
        "--max-messages",
        "2",
        "--format",
        "text",
    ]);
    assert_eq!(read, "v0\nv1\n");
    node.feed(
        "a:1\n",
        &[
            "produce",
            "--topic",
            "orders",
            "--property",
            "parse.key=true",
            "--property",
            "key.separator=:",
        ],
    );
    assert_eq!(node.ok(&["consume", "orders", "-o", "-1", "-f", "%k-%v"]), "a-1");
    assert!(
        node.ok(&["topic", "describe", "--topic", "orders", "--section", "summary"])
            .contains("orders")
    );
}

#[test]
fn a_copy_by_json_keeps_keys_headers_and_times() {
    let node = node_with_ten();
    let original = node.ok(&["consume", "orders"]);
    node.feed(&original, &["produce", "copy", "--create", "-f", "json"]);
    let copy = node
        .ok(&["consume", "copy"])
        .replace("\"topic\":\"copy\"", "\"topic\":\"orders\"");
    assert_eq!(copy, original);
}

#[test]
fn a_missing_topic_ends_with_1_and_the_near_miss() {
    let node = node_with_ten();
    for args in [
        &["consume", "ordres"][..],
        &["topic", "describe", "ordres"],
        &["topic", "delete", "ordres", "-y"],
        &["topic", "offsets", "ordres"],
        &["produce", "ordres"],
    ] {
        let missing = node.run(args);
        assert_eq!(missing.code(), Some(1), "{args:?}: {}", missing.stderr);
        assert_eq!(
            missing.stderr, "error: topic ordres: UNKNOWN_TOPIC_OR_PARTITION\nhint: did you mean orders?\n",
            "{args:?}"
        );
    }
    let missing = node.run(&["topic", "describe", "ordres", "--format", "json"]);
    let error: Value = serde_json::from_str(&missing.stderr).expect("one object on stderr");
    assert_eq!(
        error,
        json!({"error": {
            "kind": "failed", "code": "UNKNOWN_TOPIC_OR_PARTITION", "retriable": false,
            "message": "topic ordres: UNKNOWN_TOPIC_OR_PARTITION", "hint": "did you mean orders?",
        }})
    );
    assert_eq!(node.run(&["consume", "orders", "-p", "7"]).code(), Some(1));
}

#[test]
fn ends_of_partitions_and_health_are_told() {
    let node = node_with_ten();
    assert_eq!(
        node.ok(&["topic", "offsets", "orders", "--format", "awk"]),
        "orders\t0\t0\t10\t10\t10\t-\t-\t-\n"
    );
    let at = node.json(&["topic", "offsets", "orders", "--at", "@-1h"]);
    assert_eq!(at["partitions"][0]["at_offset"], 0, "{at}");
    assert_eq!(
        node.ok(&["topic", "list"]),
        "TOPIC   PARTITIONS  REPLICATION_FACTOR  UNDER_REPLICATED  OFFLINE  INTERNAL\n\
         orders           1                   1                 0        0  false\n"
    );
    let health = node.json(&["cluster", "health"]);
    assert_eq!(health["kind"], "cluster_health");
    assert_eq!(
        (&health["health"][0]["healthy"], &health["problems"]),
        (&json!(true), &json!([]))
    );
    let info = node.json(&["cluster", "info"]);
    assert_eq!(info["brokers"][0]["leaders"], 1, "{info}");
    let shape = node.ok(&["cluster", "health", "--format", "help"]);
    assert!(shape.contains(".health[].under_replicated"), "{shape}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["topic", "create"][..],
        &["topic", "create", "x", "-p", "0"],
        &["consume"],
        &["consume", "x", "-f", "%q"],
        &["consume", "x", "--grep", "("],
        &["produce", "x", "-f", "%k%v"],
        &["produce", "x", "-X", "acks=many"],
        &["topic", "list", "-X", "security.protocol=ssl"],
        &["group", "seek", "g"],
        &["topic", "list", "-b", "localhost:many"],
    ] {
        let wrong = finished(&mut millpond(args));
        assert_eq!(wrong.code(), Some(2), "{args:?}: {}", wrong.stderr);
        assert_eq!(wrong.stdout, "", "{args:?}");
        assert!(wrong.stderr.starts_with("error:"), "{args:?}: {}", wrong.stderr);
    }
}
