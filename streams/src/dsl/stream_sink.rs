//! `KStream::to_extracted`: a topic for every record.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use super::builder::supplier;
use super::operators::extract_sink::{ExtractSettings, ExtractSink};
use super::operators::sink::SinkSettings;
use super::{KStream, Produced, RecordMetadata};
use crate::processor::Headers;
use crate::serde::{Data, DefaultSerde};
use crate::topology::SinkOptions;

/// What a topic-name extractor knows of a record beside key and value (Kafka Streams' `RecordContext`).
#[derive(Clone, Copy, Debug)]
pub struct RecordContext<'a> {
    /// Event time in ms.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: &'a Headers,
    /// Where the record it stems from was read; `None` when it stems from a commit, a punctuator or a timer.
    pub source: Option<RecordMetadata<'a>>,
}

/// Tells the name of the topic to the last argument.
pub(super) type Extract<K, V> = Arc<dyn Fn(&K, &V, &RecordContext<'_>, &mut dyn FnMut(&str)) + Send + Sync>;

impl<K: Data, V: Data> KStream<K, V> {
    /// Writes each record to the topic that `extract` names, one of `topics` (Kafka Streams' `to(TopicNameExtractor)`). All of them must exist when the application
    /// starts. A record for another topic is refused: it becomes a dead letter, unless the application's policy is another.
    ///
    /// ```
    /// # use millpond_streams::dsl::StreamsBuilder;
    /// # use millpond_streams::testing::TopologyTestDriver;
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("orders")
    ///     .to_extracted(&["large", "small"], |_, amount, _| if *amount > 100 { "large" } else { "small" });
    /// # let mut driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let orders = driver.input::<String, i64>("orders");
    /// # driver.pipe(&orders, "a".into(), 101, 0)?;
    /// # driver.pipe(&orders, "a".into(), 100, 0)?;
    /// # let (large, small) = (driver.output::<String, i64>("large"), driver.output::<String, i64>("small"));
    /// # assert_eq!((driver.read_values(&large)?, driver.read_values(&small)?), (vec![101], vec![100]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_extracted<R: AsRef<str>>(
        &self,
        topics: &[&str],
        extract: impl Fn(&K, &V, &RecordContext<'_>) -> R + Send + Sync + 'static,
    ) where
        K: DefaultSerde,
        V: DefaultSerde,
    {
        self.to_extracted_with(topics, extract, Produced::default());
    }

    /// As [`to_extracted`](Self::to_extracted), written as told.
    pub fn to_extracted_with<R: AsRef<str>>(
        &self,
        topics: &[&str],
        extract: impl Fn(&K, &V, &RecordContext<'_>) -> R + Send + Sync + 'static,
        produced: Produced<K, V>,
    ) {
        let Produced {
            key,
            value,
            partitioner,
            on_error,
            name,
        } = produced;
        let sink = SinkSettings {
            topic: String::new(),
            key,
            value,
            partitioner,
            skips_null_keys: false,
        };
        let settings = Arc::new(ExtractSettings {
            sink,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            extract: Arc::new(move |key, value, context, tell| tell(extract(key, value, context).as_ref())),
        });
        let encoder = supplier(move || ExtractSink::new(settings.clone()));
        let mut graph = self.graph.lock();
        let name = name.unwrap_or_else(|| graph.new_name("KSTREAM-SINK"));
        let options = SinkOptions {
            encoder: Some(encoder),
        };
        let node = graph
            .topology
            .add_choosing_sink(&name, topics, options, &[self.node]);
        if let Some(policy) = on_error {
            graph.topology.on_error(node, policy);
        }
    }
}
