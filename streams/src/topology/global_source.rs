//! A global table of a topology: a topic that every instance reads whole, beside its tasks.

use std::fmt;
use std::sync::Arc;

use millpond_log::types::TopicName;

use crate::serde::SerdeError;
use crate::state::StoreSpec;

/// Says whether the bytes of a key and a value can be read.
pub type RecordCheck = Arc<dyn Fn(&[u8], &[u8]) -> Result<(), SerdeError> + Send + Sync>;

/// A topic and the store its records are kept in, as they are: key bytes → value envelope.
#[derive(Clone)]
pub struct GlobalSource {
    /// The topic.
    pub topic: TopicName,
    /// The store; it has no changelog, for the topic is one.
    pub store: StoreSpec,
    /// Records it refuses are left out.
    pub check: RecordCheck,
}

impl fmt::Debug for GlobalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "global table {} of topic {}", self.store.name, self.topic)
    }
}
