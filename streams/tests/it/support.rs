//! A node in a temporary directory, topologies to run on it, and readers of what they wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use millpond_log::broker::{Broker, BrokerOptions, NewTopic, OffsetSpec};
use millpond_log::client::{Consumer, ConsumerOptions, Producer, ProducerOptions, ProducerRecord};
use millpond_log::record::Record;
use millpond_log::types::{Offset, TopicName, TopicPartition};
use millpond_streams::dsl::StreamsBuilder;
use millpond_streams::runtime::{Streams, StreamsConfig, StreamsHandle, StreamsLauncher};
use millpond_streams::topology::Topology;

/// Long enough for any machine; never waited out when things work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A broker and a state directory that go away together.
pub(crate) struct Node {
    pub(crate) broker: Broker,
    pub(crate) state_dir: PathBuf,
    _dir: tempfile::TempDir,
}

impl Node {
    /// With topics "lines" (4 partitions) and "counts" (1).
    pub(crate) async fn start() -> Node {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let broker = Broker::start(BrokerOptions::at(dir.path().join("log")))
            .await
            .expect("the broker starts");
        let node = Node {
            broker,
            state_dir: dir.path().join("state"),
            _dir: dir,
        };
        node.create("lines", 4).await;
        node.create("counts", 1).await;
        node
    }

    pub(crate) async fn create(&self, name: &str, partitions: i32) {
        create(&self.broker, name, partitions).await;
    }

    pub(crate) fn words(&self) -> StreamsLauncher {
        Streams::builder(word_count())
            .application_id("words")
            .embedded(&self.broker)
            .state_dir(&self.state_dir)
    }

    pub(crate) async fn run_words(&self, config: StreamsConfig) -> StreamsHandle {
        self.words()
            .config(config)
            .run()
            .await
            .expect("the application starts")
    }

    /// Sends lines round robin over the partitions and waits until they are durable.
    pub(crate) async fn send(&self, lines: impl IntoIterator<Item = String>) {
        send_lines(&self.broker, lines).await;
    }

    /// All committed records of a topic, partition by partition.
    pub(crate) async fn read(&self, name: &str) -> Vec<Record> {
        read_committed(&self.broker, name).await
    }

    /// Committed counts: the last per word. Every update of a word must be larger than the one before, or something was counted twice.
    pub(crate) async fn counts(&self) -> BTreeMap<String, u64> {
        last_counts(&self.read("counts").await)
    }
}

/// Creates a topic.
pub(crate) async fn create(broker: &Broker, name: &str, partitions: i32) {
    for answer in broker
        .create_topics(vec![NewTopic::new(topic(name), partitions)])
        .await
    {
        answer.expect("the topic is created");
    }
}

/// Sends lines round robin over the four partitions of "lines" and waits until they are durable.
pub(crate) async fn send_lines(broker: &Broker, lines: impl IntoIterator<Item = String>) {
    let producer = Producer::new(broker, ProducerOptions::default())
        .await
        .expect("a producer");
    for (index, line) in lines.into_iter().enumerate() {
        let partition = i32::try_from(index % 4).expect("small");
        let record = ProducerRecord::new(&topic("lines"))
            .value(line)
            .partition(partition)
            .timestamp(index as i64);
        drop(producer.send(record).await.expect("accepted"));
    }
    producer.close().await.expect("durable");
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a valid name")
}

/// Counts the words of "lines" through a repartition topic and writes updates to "counts".
pub(crate) fn word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count("word-counts")
        .updates()
        .map_values(|count| count.to_string())
        .to("counts");
    builder.build().expect("a sound topology")
}

/// What `word_count` must find in these lines.
pub(crate) fn expected<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in lines.into_iter().flat_map(|line| line.split(' ')) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

pub(crate) fn last_counts(updates: &[Record]) -> BTreeMap<String, u64> {
    let text = |bytes: &Option<bytes::Bytes>| {
        String::from_utf8(bytes.as_deref().unwrap_or_default().to_vec()).expect("text")
    };
    let mut counts = BTreeMap::new();
    for update in updates {
        let (word, count) = (
            text(&update.key),
            text(&update.value).parse::<u64>().expect("a number"),
        );
        let before = counts.insert(word.clone(), count);
        assert!(
            before.is_none_or(|before| before < count),
            "{word}: {before:?} was followed by {count}"
        );
    }
    counts
}

pub(crate) async fn read_committed(broker: &Broker, name: &str) -> Vec<Record> {
    let name = topic(name);
    let Some(partitions) = broker.partition_count(&name) else {
        return Vec::new();
    };
    let mut records = Vec::new();
    for partition in 0..partitions {
        let partition = TopicPartition::new(name.clone(), partition);
        let end = end_of(broker, &partition).await;
        let mut consumer = Consumer::new(broker, ConsumerOptions::default());
        consumer
            .assign([partition.clone()])
            .await
            .expect("the partition exists");
        while consumer.position(&partition).expect("assigned") < end {
            let again = broker.clock().sleep(Duration::from_millis(5));
            // The pause only looks at the position again: markers at the end move it without giving a record.
            tokio::select! {
                biased;
                record = consumer.recv() => records.push(record.expect("readable").record),
                () = again => {}
            }
        }
    }
    records
}

async fn end_of(broker: &Broker, partition: &TopicPartition) -> Offset {
    let asked = vec![(partition.clone(), OffsetSpec::LastStable)];
    let answers = broker
        .list_offsets(asked, millpond_log::broker::Isolation::ReadCommitted)
        .await;
    answers
        .into_iter()
        .next()
        .expect("one answer")
        .expect("the partition exists")
        .offset
        .expect("an end")
}
