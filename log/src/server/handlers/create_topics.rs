//! CreateTopics (key 19), versions 2 to 7.
//!
//! Version 4 takes -1 for partitions and replication factor (KIP-464), 5 is flexible and answers the settings (KIP-525), 6 may answer a quota error, 7 tells
//! the topic id (KIP-516). Left out: the timeout, since the answer waits for the metadata, which is durable in milliseconds or not at all.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicName as WireTopicName};

use super::wire::{note, text, topic_name};
use crate::broker::{BrokerError, ErrorCode, NewTopic, TopicDescription};
use crate::server::context::RequestContext;

/// Partitions and replication factor of an answer that has none.
const NONE: i16 = -1;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let broker = context.broker();
    let mut asked = Vec::new();
    let mut answers = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        match new_topic(topic) {
            Ok(new) => asked.push(new),
            Err(refused) => answers.push(of_error(&topic.name, &refused)),
        }
    }
    let names: Vec<_> = asked.iter().map(|topic| topic.name.clone()).collect();
    let created = if request.validate_only {
        broker.validate_topics(asked)
    } else {
        broker.create_topics(asked).await
    };
    // A name that is given twice is answered once.
    let mut answered = BTreeSet::new();
    for (name, created) in names.into_iter().zip(created) {
        if !answered.insert(name.clone()) {
            continue;
        }
        let wire_name = WireTopicName(text(name.as_str()));
        answers.push(match created {
            Ok(topic) => of_topic(context, wire_name, &topic),
            Err(error) => of_error(&wire_name, &error),
        });
    }
    CreateTopicsResponse::default().with_topics(answers)
}

fn new_topic(topic: &CreatableTopic) -> Result<NewTopic, BrokerError> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let message = format!(
                "setting {} has no value; leave it out for the default",
                config.name
            );
            return Err(BrokerError::new(ErrorCode::InvalidConfig, message));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    let assignments = topic.assignments.iter().map(|assignment| {
        let brokers = assignment.broker_ids.iter().map(|id| id.0).collect();
        (assignment.partition_index, brokers)
    });
    Ok(NewTopic {
        configs,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        ..NewTopic::new(topic_name(&topic.name)?, topic.num_partitions)
    })
}

fn of_topic(context: &RequestContext, name: WireTopicName, topic: &TopicDescription) -> CreatableTopicResult {
    let answer = CreatableTopicResult::default()
        .with_name(name)
        .with_topic_id(topic.id.get())
        .with_num_partitions(topic.partitions)
        .with_replication_factor(1);
    if context.version < 5 {
        return answer.with_configs(None);
    }
    let entries = context.broker().describe_topic_configs(&topic.configs);
    let configs = entries.into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.name))
            .with_value(Some(text(entry.value)))
            .with_read_only(entry.read_only)
            .with_config_source(entry.source.to_wire())
            .with_is_sensitive(entry.sensitive)
    });
    answer.with_configs(Some(configs.collect()))
}

fn of_error(name: &WireTopicName, error: &BrokerError) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.clone())
        .with_error_code(error.code().code())
        .with_error_message(note(error))
        .with_num_partitions(NONE.into())
        .with_replication_factor(NONE)
        .with_configs(None)
}
