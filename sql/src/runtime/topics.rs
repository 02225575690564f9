//! Making, describing and removing topics.

use std::collections::BTreeMap;

use millpond_log::broker::{Broker, ErrorCode, NewTopic};
use millpond_log::types::TopicName;

use crate::error::{Result, SqlError};

/// Partitions of a topic; none if it does not exist.
pub async fn topic_partitions(broker: &Broker, topic: &str) -> Result<Option<i32>> {
    let looking = format!("looking up topic {topic}");
    let name = TopicName::new(topic).map_err(|e| SqlError::invalid(e.to_string()))?;
    match broker.describe_topics(Some(vec![name])).await.into_iter().next() {
        Some(Ok(description)) => Ok(Some(description.partitions)),
        Some(Err(e)) if e.code() == ErrorCode::UnknownTopicOrPartition => Ok(None),
        Some(Err(e)) => Err(SqlError::runtime(looking, e)),
        None => Ok(None),
    }
}

/// Makes a topic unless it exists. One that is not compacted keeps everything until told otherwise: rows carry event time, and retention
/// by time would delete history as soon as it is written.
pub async fn ensure_topic(broker: &Broker, topic: &str, partitions: i32, compacted: bool) -> Result<()> {
    let name = TopicName::new(topic).map_err(|e| SqlError::invalid(e.to_string()))?;
    let (setting, value) = if compacted {
        ("cleanup.policy", "compact")
    } else {
        ("retention.ms", "-1")
    };
    let configs = BTreeMap::from([(setting.to_owned(), value.to_owned())]);
    for answer in broker
        .create_topics(vec![NewTopic {
            configs,
            ..NewTopic::new(name, partitions)
        }])
        .await
    {
        match answer {
            Err(e) if e.code() != ErrorCode::TopicAlreadyExists => {
                return Err(SqlError::runtime(format!("making topic {topic}"), e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes the topics that `belongs` picks.
pub(super) async fn remove_topics(broker: &Broker, belongs: impl Fn(&str) -> bool) -> Result<()> {
    let mut doomed = Vec::new();
    for description in broker.describe_topics(None).await {
        let description = description.map_err(|e| SqlError::runtime("listing topics", e))?;
        if belongs(description.name.as_str()) {
            doomed.push(description.name);
        }
    }
    for answer in broker.delete_topics(doomed).await {
        match answer {
            Err(e) if e.code() != ErrorCode::UnknownTopicOrPartition => {
                return Err(SqlError::runtime("removing topics", e));
            }
            _ => {}
        }
    }
    Ok(())
}
