//! Verbs that change topics and settings: what they do, what they ask first, what they answer.

use serde_json::{Value, json};

use crate::node::Node;

#[test]
fn topics_are_created_described_grown_and_deleted() {
    let node = Node::start(&[]);
    assert_eq!(
        node.ok(&[
            "topic",
            "create",
            "orders",
            "-p",
            "2",
            "-c",
            "retention.ms=1000000"
        ]),
        "TOPIC   STATUS   PARTITIONS  REPLICATION_FACTOR  ERROR\n\
         orders  created           2                   1  -\n"
    );
    let again = node.run(&["topic", "create", "orders"]);
    assert_eq!(again.code(), Some(1));
    assert!(
        again
            .stderr
            .starts_with("error: topic orders: TOPIC_ALREADY_EXISTS")
            && again
                .stderr
                .ends_with("hint: --if-not-exists makes this no failure\n"),
        "{}",
        again.stderr
    );
    let exists = node.ok(&["topic", "create", "orders", "--if-not-exists", "--format", "awk"]);
    assert_eq!(exists, "orders\texists\t-\t-\t-\n");
    let valid = node.ok(&[
        "topic",
        "create",
        "other",
        "-p",
        "3",
        "--dry-run",
        "--format",
        "awk",
    ]);
    assert!(valid.starts_with("other\tvalid\t"), "{valid}");
    let mixed = node.run(&["topic", "create", "orders", "fresh", "--format", "json"]);
    assert_eq!(mixed.code(), Some(1), "one of two failed");
    let mixed: Value = serde_json::from_str(&mixed.stdout).expect("JSON");
    let statuses: Vec<&Value> = mixed["topics"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row["status"])
        .collect();
    assert!(
        statuses.contains(&&json!("created")) && statuses.contains(&&json!("failed")),
        "{mixed}"
    );

    let text = node.ok(&["topic", "describe", "orders", "--section", "partitions,configs"]);
    assert_eq!(
        text,
        "partitions\n\
         TOPIC   PARTITION  LEADER  LEADER_EPOCH  REPLICAS  ISR  OFFLINE_REPLICAS  LOG_START_OFFSET  HIGH_WATERMARK  ERROR\n\
         orders          0       1             0  1         1    -                                0               0  -\n\
         orders          1       1             0  1         1    -                                0               0  -\n\
         \n\
         configs\n\
         TOPIC   CONFIG        VALUE    DEFAULT    ORIGIN\n\
         orders  retention.ms  1000000  604800000  topic\n"
    );
    let grown = node.ok(&[
        "topic",
        "add-partitions",
        "orders",
        "--to",
        "5",
        "--format",
        "awk",
    ]);
    assert_eq!(grown, "orders\t2\t5\t-\n");
    assert_eq!(
        node.run(&["topic", "add-partitions", "orders", "--to", "3"])
            .code(),
        Some(1)
    );

    let refused = node.run(&["topic", "delete", "-r", "(orders|fresh)"]);
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(2), ""));
    assert!(
        refused.stderr.contains("orders") && refused.stderr.contains("would be deleted"),
        "{}",
        refused.stderr
    );
    let planned = node.ok(&[
        "topic",
        "delete",
        "-r",
        "(orders|fresh)",
        "--dry-run",
        "--format",
        "awk",
    ]);
    assert_eq!(planned.lines().count(), 2, "{planned}");
    assert_eq!(
        node.json(&["topic", "list"])["topics"].as_array().map(Vec::len),
        Some(2)
    );
    node.ok(&["topic", "delete", "orders", "fresh", "-y"]);
    assert_eq!(node.ok(&["topic", "list", "--format", "awk"]), "");
    assert_eq!(node.run(&["topic", "delete", "orders", "-y"]).code(), Some(1));
    assert_eq!(
        node.run(&["topic", "delete", "orders", "-y", "--if-exists"])
            .code(),
        Some(0)
    );
}

#[test]
fn settings_are_set_shown_with_their_origin_and_taken_back() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "orders"]);
    let value = |key: &str| {
        let shown = node.json(&["config", "describe", "topic", "orders", key]);
        let row = shown["configs"][0].clone();
        (row["value"].clone(), row["origin"].clone())
    };
    assert_eq!(value("retention.ms"), (json!("604800000"), json!("default")));
    let tried = node.json(&["config", "set", "topic", "orders", "retention.ms=5", "--dry-run"]);
    assert_eq!(tried["changes"][0]["status"], "valid", "{tried}");
    assert_eq!(value("retention.ms").0, "604800000");
    let changed = node.ok(&[
        "topic",
        "alter",
        "orders",
        "-c",
        "retention.ms=5",
        "-c",
        "cleanup.policy+=compact",
    ]);
    assert_eq!(
        changed,
        "RESOURCE  NAME    CONFIG          OLD_VALUE  NEW_VALUE       STATUS   ERROR\n\
         topic     orders  retention.ms    604800000  5               changed  -\n\
         topic     orders  cleanup.policy  delete     delete,compact  changed  -\n"
    );
    assert_eq!(value("cleanup.policy"), (json!("delete,compact"), json!("topic")));
    node.ok(&[
        "config",
        "unset",
        "topic",
        "orders",
        "retention.ms",
        "cleanup.policy",
    ]);
    assert_eq!(value("retention.ms"), (json!("604800000"), json!("default")));

    let slip = node.run(&["config", "set", "topic", "orders", "retention.mss=5"]);
    assert_eq!(slip.code(), Some(1));
    assert!(
        slip.stderr.ends_with("hint: did you mean retention.ms?\n"),
        "{}",
        slip.stderr
    );
    let slip = node.run(&["config", "describe", "topic", "orders", "retention.mss"]);
    assert_eq!(slip.code(), Some(1));
    assert!(
        slip.stderr.ends_with("hint: did you mean retention.ms?\n"),
        "{}",
        slip.stderr
    );
    assert_eq!(node.run(&["config", "describe", "broker", "one"]).code(), Some(2));
    assert_eq!(node.run(&["config", "describe", "broker", "7"]).code(), Some(1));
    let broker = node.ok(&["config", "describe", "broker", "1", "--all", "--format", "awk"]);
    assert!(broker.contains("log.segment.bytes\t"), "{broker}");
}

#[test]
fn records_before_a_place_are_trimmed_and_disks_are_counted() {
    let node = Node::start(&[]);
    node.ok(&["topic", "create", "orders", "-p", "1"]);
    let lines: String = (0..10).map(|n| format!("{n}\n")).collect();
    node.feed(&lines, &["produce", "orders"]);
    assert_eq!(node.run(&["topic", "trim", "orders", "-o", "4"]).code(), Some(2));
    let planned = node.ok(&[
        "topic",
        "trim",
        "orders",
        "-o",
        "4",
        "--dry-run",
        "--format",
        "awk",
    ]);
    assert_eq!(planned, "orders\t0\t0\t4\t4\t-\n");
    assert_eq!(
        node.ok(&["topic", "trim", "orders", "-o", "4", "-y", "--format", "awk"]),
        planned
    );
    assert_eq!(
        node.ok(&["consume", "orders", "--format", "text", "-n", "1"]),
        "4\n"
    );
    assert_eq!(
        node.ok(&["topic", "trim", "orders", "-o", "-1", "-y", "--format", "awk"]),
        "orders\t0\t4\t9\t5\t-\n"
    );
    // What was deleted cannot be asked for: reading begins at what is left, and says so.
    let late = node.run(&["consume", "orders", "-o", "2", "--format", "text"]);
    assert_eq!((late.code(), late.stdout.as_str()), (Some(0), "9\n"));
    assert_eq!(
        late.stderr,
        "warning: orders-0 has offsets 9 to 10, begins at 9\n"
    );

    let disks = node.json(&["cluster", "logdirs", "--by", "partition", "--topics", "orders"]);
    let row = &disks["logdirs"][0];
    assert_eq!(
        (&row["topic"], &row["partition"], &row["broker"]),
        (&json!("orders"), &json!(0), &json!(1))
    );
    assert!(row["size_bytes"].as_i64().is_some_and(|size| size > 0), "{disks}");
}
