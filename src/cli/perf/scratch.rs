//! The topic of a measurement: the one that is named, or one that is made for the run and deleted after it.

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, TopicName};

use crate::cli::topic::names::the_topic;
use crate::cli::wire::{Client, To, kafka_failure, text};

/// A topic for a run.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) name: String,
    made: bool,
}

impl Scratch {
    /// Finds the topic that is named, or makes one.
    pub(super) async fn prepare(
        client: &mut Client,
        named: Option<&str>,
        partitions: i32,
        replicas: i16,
    ) -> anyhow::Result<Scratch> {
        if let Some(name) = named {
            the_topic(client, name).await?;
            return Ok(Scratch {
                name: name.to_owned(),
                made: false,
            });
        }
        let name = format!("millpond-perf-{}-{}", std::process::id(), client.now_ms());
        let timeout_ms = client.timeout_ms();
        let answer = client
            .ask(
                To::Controller,
                |_| {
                    CreateTopicsRequest::default()
                        .with_timeout_ms(timeout_ms)
                        .with_topics(vec![
                            CreatableTopic::default()
                                .with_name(TopicName(text(name.clone())))
                                .with_num_partitions(partitions)
                                .with_replication_factor(replicas),
                        ])
                },
                |answer| answer.topics.first().map_or(0, |topic| topic.error_code),
            )
            .await?;
        if let Some(failed) = answer.topics.iter().find(|topic| topic.error_code != 0) {
            let what = format!("cannot create topic {name}");
            return Err(kafka_failure(&what, failed.error_code, failed.error_message.as_deref()).into());
        }
        let scratch = Scratch { name, made: true };
        let limit = client.settings().request_timeout();
        if !client
            .wait_for_topics(std::slice::from_ref(&scratch.name), limit)
            .await?
        {
            return Err(kafka_failure(&format!("topic {}", scratch.name), 5, None).into());
        }
        Ok(scratch)
    }

    /// Deletes the topic if it was made for the run.
    pub(super) async fn clean_up(&self, client: &mut Client) -> anyhow::Result<()> {
        if !self.made {
            return Ok(());
        }
        let timeout_ms = client.timeout_ms();
        let name = TopicName(text(self.name.clone()));
        let answer = client
            .ask(
                To::Controller,
                |version| {
                    let request = DeleteTopicsRequest::default().with_timeout_ms(timeout_ms);
                    if version >= 6 {
                        request.with_topics(vec![DeleteTopicState::default().with_name(Some(name.clone()))])
                    } else {
                        request.with_topic_names(vec![name.clone()])
                    }
                },
                |answer| answer.responses.first().map_or(0, |topic| topic.error_code),
            )
            .await?;
        match answer.responses.iter().find(|topic| topic.error_code != 0) {
            Some(failed) => Err(kafka_failure(
                &format!("cannot delete topic {}", self.name),
                failed.error_code,
                failed.error_message.as_deref(),
            )
            .into()),
            None => Ok(()),
        }
    }
}
