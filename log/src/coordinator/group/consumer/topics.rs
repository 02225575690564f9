//! What a consumer group has to know of topics, so that its core can be tested without a broker's metadata.

use crate::metadata::MetadataImage;
use crate::types::{TopicId, TopicName};

/// Topics as of one moment.
pub trait Topics {
    /// Differs whenever the topics do.
    fn version(&self) -> i64;

    /// The id of the topic with this name; none if there is none.
    fn id_of(&self, name: &str) -> Option<TopicId>;

    /// The name of the topic with this id; none if it was deleted.
    fn name_of(&self, id: &TopicId) -> Option<TopicName>;

    /// How many partitions it has; 0 if it was deleted.
    fn partition_count(&self, id: &TopicId) -> i32;

    /// Calls `visit` with the name of each topic that clients may subscribe to by pattern: internal ones are left out.
    fn for_each_name(&self, visit: &mut dyn FnMut(&TopicName));
}

impl Topics for MetadataImage {
    fn version(&self) -> i64 {
        self.applied_to().get()
    }

    fn id_of(&self, name: &str) -> Option<TopicId> {
        let name = TopicName::new(name).ok()?;
        self.topic(&name).map(|topic| topic.id)
    }

    fn name_of(&self, id: &TopicId) -> Option<TopicName> {
        self.topic_by_id(id).map(|topic| topic.name.clone())
    }

    fn partition_count(&self, id: &TopicId) -> i32 {
        self.topic_by_id(id).map_or(0, |topic| topic.partition_count())
    }

    fn for_each_name(&self, visit: &mut dyn FnMut(&TopicName)) {
        for topic in self
            .topics()
            .filter(|topic| !topic.name.as_str().starts_with("__"))
        {
            visit(&topic.name);
        }
    }
}
