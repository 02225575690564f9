//! Records under way: groups that read on and are moved, transactions, measurements, Ctrl-C and readers that go away.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::node::{Node, node_with_ten};

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
