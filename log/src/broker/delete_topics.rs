//! DeleteTopics (API key 20).

use std::collections::BTreeSet;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::node::{is_internal, run_to_end, unknown_topic};
use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::types::{TopicId, TopicName};

/// A topic, by what the caller knows of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// Its name: whichever topic has it now.
    Name(TopicName),
    /// Its id: that topic and no later one of the same name.
    Id(TopicId),
}

impl From<TopicName> for TopicRef {
    fn from(name: TopicName) -> Self {
        Self::Name(name)
    }
}

impl From<TopicId> for TopicRef {
    fn from(id: TopicId) -> Self {
        Self::Id(id)
    }
}

impl Broker {
    /// Deletes topics with all their records; one answer per topic, in order. A topic made again under the same name has a new id.
    /// Errs per topic with `UnknownTopicOrPartition` or `UnknownTopicId`, `TopicDeletionDisabled`, or `InvalidRequest` for an internal topic and one named twice.
    /// Cancel-safe.
    pub fn delete_topics(
        &self,
        topics: Vec<impl Into<TopicRef>>,
    ) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        let topics: Vec<TopicRef> = topics.into_iter().map(Into::into).collect();
        async move {
            let count = topics.len();
            if !self.config().delete_topic_enable {
                let message = "topics may not be deleted: delete.topic.enable is false on the broker";
                return vec![Err(BrokerError::new(ErrorCode::TopicDeletionDisabled, message)); count];
            }
            let deleted = self
                .node()
                .change_metadata_each(move |image| Ok(decide(image, &topics)));
            let answers = match deleted.await {
                Ok((_, answers)) => answers,
                Err(error) => return vec![Err(error); count],
            };
            let gone: Vec<_> = answers.iter().flatten().cloned().collect();
            let groups = self.groups().clone();
            let forgotten = run_to_end(async move {
                for name in gone {
                    groups.forget_topic(&name).await?;
                }
                Ok(())
            });
            let forgotten = forgotten.await;
            answers
                .into_iter()
                .map(|answer| answer.and_then(|_| forgotten.clone()))
                .collect()
        }
        .boxed()
    }
}

/// The records that remove these topics, a batch each, and the name of each that goes.
fn decide(
    image: &MetadataImage,
    topics: &[TopicRef],
) -> (Vec<Vec<MetadataRecord>>, Vec<Result<TopicName, BrokerError>>) {
    let mut going = BTreeSet::new();
    let mut batches = Vec::new();
    let mut remove = |topic: &TopicRef| {
        let found = match topic {
            TopicRef::Name(name) => image.topic(name).ok_or_else(|| unknown_topic(name))?,
            TopicRef::Id(id) => image.topic_by_id(id).ok_or_else(|| {
                BrokerError::new(ErrorCode::UnknownTopicId, format!("no topic has the id {id}"))
            })?,
        };
        let name = found.name.clone();
        let refused = |why: &str| {
            Err(BrokerError::new(
                ErrorCode::InvalidRequest,
                format!("topic {name} {why}"),
            ))
        };
        if is_internal(&name) {
            return refused("belongs to the broker");
        }
        if !going.insert(found.id) {
            return refused("is named twice in the request; name it once");
        }
        batches.push(vec![MetadataRecord::RemoveTopic { id: found.id }]);
        Ok(name)
    };
    let answers = topics.iter().map(&mut remove).collect();
    (batches, answers)
}
