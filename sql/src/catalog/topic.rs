//! The compacted topic the catalogue lives in: one partition, key = name, value = one JSON record.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_log::broker::{Acks, Broker, ErrorCode, NewTopic, ProducePartition, ProduceRequest};
use millpond_log::record::{BatchBuilder, BatchOptions};
use millpond_log::types::{TopicName, TopicPartition};

use super::{Catalog, CatalogRecord};
use crate::error::{Result, SqlError};
use crate::serving::{TopicReader, committed_ranges};

/// The catalogue's topic.
pub const CATALOG_TOPIC: &str = "__millpond_catalog";

/// Writes and replays the catalogue.
#[derive(Debug, Clone)]
pub struct CatalogTopic {
    broker: Broker,
    partition: TopicPartition,
}

impl CatalogTopic {
    /// Makes the topic if it is missing, and replays it.
    pub async fn open(broker: &Broker) -> Result<(CatalogTopic, Catalog)> {
        let opening = "opening the catalogue";
        let name = TopicName::new(CATALOG_TOPIC).map_err(|e| SqlError::runtime(opening, e))?;
        let configs = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let topic = NewTopic {
            configs,
            ..NewTopic::new(name.clone(), 1)
        };
        for answer in broker.create_topics(vec![topic]).await {
            match answer {
                Err(e) if e.code() != ErrorCode::TopicAlreadyExists => {
                    return Err(SqlError::runtime(opening, e));
                }
                _ => {}
            }
        }
        let partition = TopicPartition::new(name, 0);
        let mut catalog = Catalog::default();
        for (partition, start, end) in committed_ranges(broker, CATALOG_TOPIC).await? {
            let mut reader = TopicReader::new(broker.clone(), partition, start);
            while reader.position() < end {
                let before = reader.position();
                for batch in reader.next(Duration::ZERO).await? {
                    for record in batch.iter() {
                        let record = record.map_err(|e| SqlError::runtime(opening, e))?;
                        let key = record.key.unwrap_or_default();
                        let name = std::str::from_utf8(key).map_err(|e| SqlError::runtime(opening, e))?;
                        let definition = match record.value {
                            None => None,
                            Some(value) => {
                                Some(serde_json::from_slice::<CatalogRecord>(value).map_err(|e| {
                                    SqlError::runtime(format!("reading the definition of {name}"), e)
                                })?)
                            }
                        };
                        catalog.apply(name, definition);
                    }
                }
                if reader.position() == before {
                    break;
                }
            }
        }
        Ok((
            CatalogTopic {
                broker: broker.clone(),
                partition,
            },
            catalog,
        ))
    }

    /// Writes one record; `None` is a tombstone. Returns when it is durable.
    pub async fn write(&self, name: &str, record: Option<&CatalogRecord>) -> Result<()> {
        let writing = format!("writing the definition of {name}");
        let value = record
            .map(serde_json::to_vec)
            .transpose()
            .map_err(|e| SqlError::runtime(&writing, e))?;
        let mut batch = BatchBuilder::new(BatchOptions::default());
        let now = self.broker.clock().now_ms();
        batch
            .append(now, Some(name.as_bytes()), value.as_deref(), &[])
            .map_err(|e| SqlError::runtime(&writing, e))?;
        let request = ProduceRequest {
            transactional_id: None,
            acks: Acks::All,
            partitions: vec![ProducePartition {
                partition: self.partition.clone(),
                batches: batch.build().into(),
            }],
            ..ProduceRequest::default()
        };
        for answer in self.broker.produce(request).await {
            answer.map_err(|e| SqlError::runtime(&writing, e))?;
        }
        Ok(())
    }
}
