//! Outputs: order, partitions and the marks of time.

use millpond_log::types::{PartitionId, TopicName};

use super::{Headers, OutputCollector, OutputIndex, Outputs, SinkRecord};

fn outputs(partitions: i32, repartition: bool) -> (Outputs, OutputIndex) {
    let mut outputs = Outputs::new(PartitionId::new(5));
    let topic = outputs.add_topic(TopicName::new("out").expect("legal"), partitions, repartition);
    (outputs, topic)
}

fn send(
    outputs: &mut Outputs,
    topic: OutputIndex,
    partition: Option<i32>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) {
    let partition = partition.map(PartitionId::new);
    outputs.send(&SinkRecord {
        topic,
        partition,
        key,
        value,
        timestamp: 1,
        headers: &Headers::NONE,
    });
}

fn dump(outputs: &Outputs) -> Vec<String> {
    let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), String::from_utf8_lossy).into_owned();
    let mut all = Vec::new();
    for (topic, partition, records) in outputs.partitions() {
        for record in records {
            let time = record
                .time
                .map(|(_, time)| format!(" @{time}"))
                .unwrap_or_default();
            all.push(format!(
                "{topic}-{partition} {}={}{time}",
                text(record.key),
                text(record.value)
            ));
        }
    }
    all
}

#[test]
fn records_keep_their_order_per_partition_and_null_is_not_empty() {
    let (mut outputs, topic) = outputs(2, false);
    send(&mut outputs, topic, Some(1), Some(b"a"), Some(b"1"));
    send(&mut outputs, topic, Some(0), None, Some(b""));
    send(&mut outputs, topic, Some(3), Some(b"b"), None);
    assert_eq!(dump(&outputs), ["out-0 null=", "out-1 a=1", "out-1 b=null"]);
    assert_eq!((outputs.record_count(), outputs.byte_count()), (3, 3));
    outputs.clear();
    assert!(outputs.is_empty() && dump(&outputs).is_empty());
}

#[test]
fn without_partition_the_key_decides_and_without_key_the_task() {
    let (mut outputs, topic) = outputs(3, false);
    send(&mut outputs, topic, None, Some(b"foobar"), None);
    send(&mut outputs, topic, None, None, Some(b"v"));
    let hashed = super::partition_for_key(b"foobar", 3);
    let mut expected = [format!("out-{hashed} foobar=null"), "out-2 null=v".to_owned()];
    expected.sort();
    assert_eq!(dump(&outputs), expected, "task 5 of 3 partitions writes to 2");
}

#[test]
fn time_is_marked_on_the_last_record_per_partition_of_each_batch() {
    let (mut outputs, topic) = outputs(2, true);
    send(&mut outputs, topic, Some(0), Some(b"a"), None);
    send(&mut outputs, topic, Some(0), Some(b"b"), None);
    let mut marked = Vec::new();
    outputs.mark_time((5, 10), |topic, partition| marked.push((topic, partition)));
    send(&mut outputs, topic, Some(1), Some(b"c"), None);
    outputs.mark_time((5, 20), |topic, partition| marked.push((topic, partition)));
    assert_eq!(
        dump(&outputs),
        ["out-0 a=null", "out-0 b=null @10", "out-1 c=null @20"]
    );
    assert_eq!(marked, [(0, 0), (0, 1)]);
    outputs.add_time_records((5, 30), false, |_, partition| partition == 0);
    assert_eq!(dump(&outputs)[2], "out-0 null=null @30");
}

#[test]
fn a_record_of_nulls_is_not_marked_lest_the_source_swallows_it() {
    let (mut outputs, topic) = outputs(1, true);
    send(&mut outputs, topic, Some(0), None, None);
    let mut marked = Vec::new();
    outputs.mark_time((5, 10), |topic, partition| marked.push((topic, partition)));
    assert_eq!(dump(&outputs), ["out-0 null=null", "out-0 null=null @10"]);
    assert_eq!(outputs.record_count(), 2);
    assert_eq!(marked, [(0, 0)]);
    outputs.mark_time((5, 20), |_, _| panic!("nothing was sent since"));
}
