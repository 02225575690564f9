//! The verbs for clusters, against a node of ours: what they print, what they refuse, how they fail.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::node::Node;
use crate::process::{finished, millpond};

/// Verbs with examples of their own.
const VERBS: [&[&str]; 28] = [
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

/// A node with a topic of one partition and ten records: keys k0 … k9, values v0 … v9.
fn node_with_ten() -> Node {
    // A group of one member need not wait for others to come.
    let node = Node::start(&[
        "-X",
        "num.partitions=1",
        "-X",
        "group.initial.rebalance.delay.ms=0",
    ]);
    let lines: String = (0..10).map(|n| format!("k{n} v{n}\n")).collect();
    node.feed(
        &lines,
        &[
            "produce",
            "orders",
            "--create",
            "-f",
            "%k %v\\n",
            "-H",
            "source=test",
        ],
    );
    node
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
fn a_group_reads_on_where_it_stopped_and_is_moved() {
    let node = node_with_ten();
    let read = |count: &str| node.ok(&["consume", "orders", "-g", "g", "-n", count, "-f", "%o "]);
    assert_eq!(read("3"), "0 1 2 ");
    assert_eq!(read("2"), "3 4 ");
    let described = node.json(&["group", "describe", "g"]);
    assert_eq!(described["groups"][0]["state"], "Empty", "{described}");
    assert_eq!(described["groups"][0]["lag"], 5, "{described}");
    let partition = &described["partitions"][0];
    assert_eq!(
        (&partition["committed_offset"], &partition["high_watermark"]),
        (&json!(5), &json!(10))
    );
    assert!(
        partition["lag_seconds"].as_f64().is_some_and(|age| age < 3600.0),
        "{described}"
    );

    let refused = node.run(&["group", "seek", "g", "--to", "+1"]);
    assert_eq!(refused.code(), Some(2), "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("nobody can be asked\nhint: -y does it without asking"),
        "{}",
        refused.stderr
    );
    for (to, wanted) in [
        ("+1", 6),
        ("-4", 2),
        ("end", 10),
        ("@-1h", 0),
        ("7", 7),
        ("start", 0),
    ] {
        let moved = node.json(&["group", "seek", "g", "--to", to, "-y"]);
        assert_eq!(moved["partitions"][0]["new_offset"], wanted, "--to {to}: {moved}");
    }
    let planned = node.ok(&["group", "seek", "g", "--to", "4", "--dry-run", "--format", "awk"]);
    assert_eq!(planned, "g\torders\t0\t0\t4\t-\n");
    node.json(&["group", "seek", "h", "--to", "9", "--topics", "orders", "-y"]);
    node.json(&["group", "seek", "g", "--to", "group=h", "-y"]);
    assert_eq!(read("9"), "9 ");

    let listed = node.ok(&["group", "list", "--format", "awk"]);
    assert!(listed.starts_with("g\tclassic\tEmpty\tconsumer\t"), "{listed}");
    let missing = node.run(&["group", "delete", "gg", "-y"]);
    assert_eq!(missing.code(), Some(1));
    assert!(
        missing
            .stderr
            .starts_with("error: group gg: GROUP_ID_NOT_FOUND\nhint: "),
        "{}",
        missing.stderr
    );
    node.ok(&["group", "delete", "g", "h", "-y"]);
    assert_eq!(node.ok(&["group", "list", "--format", "awk"]), "");
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
fn measurements_have_rates_and_percentiles() {
    let node = Node::start(&["-X", "num.partitions=1"]);
    node.feed("warm\n", &["produce", "measured", "--create"]);
    let produced = node.json(&["perf", "produce", "measured", "-n", "2000", "-s", "50"]);
    let result = &produced["results"][0];
    assert_eq!(
        (&result["records"], &result["bytes"], &result["failed"]),
        (&json!(2000), &json!(100_000), &json!(0))
    );
    let at = |name: &str| {
        result[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {produced}"))
    };
    assert!(
        at("p50_ms") > 0.0 && at("p50_ms") <= at("p99_ms") && at("p999_ms") <= at("max_ms"),
        "{produced}"
    );
    let consumed = node.json(&["perf", "consume", "measured"]);
    assert_eq!(consumed["results"][0]["records"], 2001, "{consumed}");
    let e2e = node.json(&["perf", "e2e", "measured", "-n", "20"]);
    assert_eq!(e2e["results"][0]["records"], 20, "{e2e}");
    assert!(
        e2e["results"][0]["p50_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{e2e}"
    );
    let stats = node.ok(&[
        "log",
        "stats",
        node.data().to_str().expect("a temporary folder has a plain name"),
        "--format",
        "json",
    ]);
    let stats: Vec<Value> = stats
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let measured = stats
        .iter()
        .find(|line| line["partition"] == "measured-0")
        .expect("the partition");
    assert_eq!(measured["records"], 2022, "{measured}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_ctrl_c_ends_with_130() {
    let node = node_with_ten();
    let mut child = node
        .command(&["consume", "orders", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary that cargo built starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for _ in 0..10 {
        lines.next().expect("ten records").expect("UTF-8");
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .expect("kill is everywhere");
    assert!(interrupted.success());
    let done = child.wait_with_output().expect("our own child");
    assert_eq!((done.status.code(), done.stderr.len()), (Some(130), 0));

    let mut child = node
        .command(&["consume", "orders", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary that cargo built starts");
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    reader.read_line(&mut String::new()).expect("a record");
    drop(reader);
    node.feed("more\n", &["produce", "orders"]);
    let done = child.wait_with_output().expect("our own child");
    assert_eq!(
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned()
        ),
        (Some(0), String::new())
    );
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

#[test]
fn a_transaction_is_seen_whole_or_not_at_all_and_a_hanging_one_can_be_aborted() {
    let node = node_with_ten();
    let producing = |id: &str| {
        node.command(&["produce", "orders", &format!("--txn={id}"), "--format", "json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary that cargo built starts")
    };
    let write = |child: &mut std::process::Child, text: &str| {
        let mut stdin = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("it reads");
        stdin
    };
    let mut good = producing("good");
    drop(write(&mut good, "t0\nt1\n"));
    assert_eq!(
        good.wait_with_output().expect("our own child").status.code(),
        Some(0)
    );
    // Both records are delivered and the input stays open, so the transaction does too.
    let mut hanging = producing("hanging");
    let input = write(&mut hanging, "h0\nh1\n");
    let mut delivered = BufReader::new(hanging.stdout.take().expect("piped"));
    for _ in 0..2 {
        delivered.read_line(&mut String::new()).expect("a delivery");
    }
    assert_eq!(
        node.ok(&["consume", "orders", "-o", "10", "--format", "text"]),
        "t0\nt1\n"
    );
    let seen = node.ok(&[
        "consume",
        "orders",
        "-o",
        "13",
        "--read-uncommitted",
        "--format",
        "text",
    ]);
    assert_eq!(seen, "h0\nh1\n");
    let open = node.json(&["txn", "list", "--hanging", "orders"]);
    assert_eq!(open["transactions"][0]["start_offset"], 13, "{open}");
    let ids = node.ok(&["txn", "list", "--format", "awk"]);
    let states: Vec<(&str, &str)> = ids
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            (cells[0], cells[2])
        })
        .collect();
    assert_eq!(states, [("good", "CompleteCommit"), ("hanging", "Ongoing")]);
    let described = node.json(&["txn", "describe", "hanging"]);
    assert_eq!(
        described["transactions"][0]["partitions"],
        json!(["orders-0"]),
        "{described}"
    );

    let abort = ["txn", "abort", "orders", "-p", "0", "--start-offset", "13"];
    assert_eq!(node.run(&abort).code(), Some(2), "nobody can be asked");
    assert_eq!(
        node.run(&["txn", "abort", "orders", "-p", "0", "--start-offset", "12", "-y"])
            .code(),
        Some(1)
    );
    let aborted = node.json(&[&abort[..], &["-y"]].concat());
    assert_eq!(aborted["transactions"][0]["status"], "aborted", "{aborted}");
    assert_eq!(
        node.json(&["txn", "list", "--hanging", "orders"])["transactions"],
        json!([])
    );
    assert_eq!(
        node.ok(&["consume", "orders", "-o", "10", "--format", "text"]),
        "t0\nt1\n"
    );
    let marker = node.ok(&[
        "consume",
        "orders",
        "-o",
        "-1",
        "--print-control",
        "-f",
        "%o %a{control-bit}",
    ]);
    assert_eq!(marker, "15 1");

    // What is left of the partition are aborted records and markers: nothing that a group could read.
    node.json(&["group", "seek", "g", "--to", "12", "--topics", "orders", "-y"]);
    let group = node.json(&["group", "describe", "g"]);
    assert_eq!(
        (&group["groups"][0]["lag"], &group["groups"][0]["lag_seconds"]),
        (&json!(4), &json!(0.0)),
        "{group}"
    );
    drop(input);
    let fenced = hanging.wait_with_output().expect("our own child");
    assert_eq!(
        fenced.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&fenced.stderr)
    );
}
