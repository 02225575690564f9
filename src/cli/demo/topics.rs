//! Topics of the demo, made when they are missing.

use anyhow::Context;
use millpond::log::broker::{Broker, ErrorCode};
use millpond::log::client::Admin;

/// Creates `topic` unless it is there already.
pub(crate) async fn ensure_topic(
    broker: &Broker,
    topic: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> anyhow::Result<()> {
    let created = Admin::new(broker)
        .create_topic_with(topic, partitions, configs.iter().copied())
        .await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.code() == ErrorCode::TopicAlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot create topic {topic}")),
    }
}
