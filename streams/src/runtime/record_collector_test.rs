//! Records to a repartition topic name their task where a run of them begins, and only there.

use std::sync::Arc;

use millpond_log::broker::ProducerIdentity;
use millpond_log::record::{Compression, RecordBatch};
use millpond_log::types::{PartitionId, ProducerEpoch, ProducerId, TopicName};

use super::{CollectorOptions, RecordCollector, Sequences};
use crate::processor::time_header::{self, STARTS};
use crate::processor::{Headers, OutputCollector, Outputs, SinkRecord};

/// Per record of a batch: (upstream task, its time, flags).
type Told = Vec<Option<(i32, i64, u8)>>;

fn collector(batch_bytes: usize) -> RecordCollector {
    RecordCollector::new(CollectorOptions {
        compression: Compression::None,
        batch_bytes,
        transactional: false,
        smaller: Arc::default(),
    })
}

/// Sends records with these timestamps from a task; the last one tells its time.
fn send(collector: &mut RecordCollector, task: i32, tells_time: bool, timestamps: &[i64], time: i64) {
    let mut outputs = Outputs::new(PartitionId::new(task));
    let topic = TopicName::new("app-by-key-repartition").expect("legal");
    let topic = outputs.add_topic(topic, 1, tells_time);
    for timestamp in timestamps {
        outputs.send(&SinkRecord {
            topic,
            partition: None,
            key: Some(b"key"),
            value: Some(b"value"),
            timestamp: *timestamp,
            headers: &Headers::NONE,
        });
    }
    outputs.mark_time((task, time), |_, _| {});
    collector.collect(&mut outputs).expect("fits");
}

fn batches(collector: &mut RecordCollector) -> Vec<Told> {
    let identity = ProducerIdentity {
        producer_id: ProducerId::new(1),
        producer_epoch: ProducerEpoch::new(0),
    };
    let mut sequences = Sequences::default();
    let mut found = Vec::new();
    while let Some(round) = collector.seal_round(identity, &mut sequences, false) {
        for partition in round.partitions {
            let batch = RecordBatch::parse(partition.batches.into_shared()).expect("a batch");
            let batch = batch.decode().expect("sound");
            let told = batch.iter().map(|record| {
                let told = time_header::of_record(&record.expect("sound"));
                told.map(|told| (told.partition, told.time, told.flags))
            });
            found.push(told.collect());
        }
    }
    found
}

#[test]
fn the_first_record_of_every_run_names_its_task_and_the_last_one_tells_its_time() {
    let mut collector = collector(1 << 20);
    send(&mut collector, 0, true, &[5, 6, 7], 9);
    send(&mut collector, 0, true, &[8, 4], 10);
    send(&mut collector, 1, true, &[3], 30);
    send(&mut collector, 0, true, &[11, 12], 12);
    let expected: Told = vec![
        Some((0, 5, STARTS)),
        None,
        Some((0, 9, 0)),
        None,
        Some((0, 10, 0)),
        Some((1, 30, STARTS)),
        Some((0, 11, STARTS)),
        Some((0, 12, 0)),
    ];
    assert_eq!(batches(&mut collector), [expected]);
}

#[test]
fn every_batch_begins_with_the_name_of_a_task() {
    let mut collector = collector(200);
    let timestamps: Vec<i64> = (0..20).collect();
    send(&mut collector, 3, true, &timestamps, 20);
    let found = batches(&mut collector);
    assert!(found.len() > 3, "{found:?}");
    for batch in &found {
        assert!(matches!(batch[0], Some((3, _, STARTS))), "{found:?}");
    }
}

#[test]
fn records_to_other_topics_carry_nothing() {
    let mut collector = collector(1 << 20);
    send(&mut collector, 0, false, &[5, 6], 9);
    assert_eq!(batches(&mut collector), [vec![None, None]]);
}
