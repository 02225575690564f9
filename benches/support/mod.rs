//! What the benches share: an embedded node on a scratch disk, and topics filled before the clock starts.

#![allow(dead_code, reason = "every bench uses its own part of this")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use millpond::log::broker::{Acks, Broker, BrokerOptions, NewTopic, ProducePartition, ProduceRequest};
use millpond::log::record::{BatchBuilder, BatchOptions};
use millpond::log::types::{TopicName, TopicPartition};
use tokio::runtime::Runtime;

/// Records of one filled batch, at most.
const BATCH_RECORDS: u64 = 2000;

/// A scratch folder on the disk that is measured: `MILLPOND_BENCH_DIR`, or cargo's folder beside the target directory.
pub(crate) fn scratch() -> tempfile::TempDir {
    let parent = std::env::var_os("MILLPOND_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::tempdir_in(parent).expect("a scratch folder")
}

/// A node with default settings: writes are durable before they are acknowledged.
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) broker: Broker,
    home: tempfile::TempDir,
}

impl Node {
    pub(crate) fn start() -> Node {
        let home = scratch();
        let runtime = Runtime::new().expect("a tokio runtime");
        let broker = runtime
            .block_on(Broker::start(BrokerOptions::at(home.path().join("log"))))
            .expect("a broker in an empty folder");
        Node {
            runtime,
            broker,
            home,
        }
    }

    /// A folder of this node for `name`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        Path::join(self.home.path(), name)
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) -> TopicName {
        self.create_topic_with(name, partitions, &[])
    }

    pub(crate) fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> TopicName {
        let name = TopicName::new(name).expect("a legal name");
        let topic = NewTopic::new(name.clone(), partitions);
        let topic = configs
            .iter()
            .fold(topic, |topic, (key, value)| topic.config(*key, *value));
        for created in self.runtime.block_on(self.broker.create_topics(vec![topic])) {
            created.expect("a new topic");
        }
        name
    }

    pub(crate) fn delete_topic(&self, name: &TopicName) {
        for deleted in self
            .runtime
            .block_on(self.broker.delete_topics(vec![name.clone()]))
        {
            deleted.expect("a topic that exists");
        }
    }

    /// Writes `records` records, numbered from 0 and dealt out to the partitions in batches; `record` gives timestamp, key, value.
    pub(crate) fn fill(
        &self,
        topic: &TopicName,
        partitions: i32,
        records: u64,
        mut record: impl FnMut(u64) -> (i64, Vec<u8>, Vec<u8>),
    ) {
        let mut next = 0;
        let mut partition = 0;
        while next < records {
            let mut builder = BatchBuilder::new(BatchOptions::default());
            let end = (next + BATCH_RECORDS).min(records);
            while next < end {
                let (timestamp, key, value) = record(next);
                builder
                    .append(timestamp, Some(&key), Some(&value), &[])
                    .expect("a small batch");
                next += 1;
            }
            self.append(TopicPartition::new(topic.clone(), partition), builder.build());
            partition = (partition + 1) % partitions;
        }
    }

    fn append(&self, partition: TopicPartition, batches: Bytes) {
        let request = ProduceRequest {
            transactional_id: None,
            acks: Acks::All,
            partitions: vec![ProducePartition {
                partition,
                batches: batches.into(),
            }],
            ..ProduceRequest::default()
        };
        for answer in self.runtime.block_on(self.broker.produce(request)) {
            answer.expect("an append that is acknowledged");
        }
    }
}
