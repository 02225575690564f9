//! The topics a consumer subscribes to, read from what it tells its leader (`ConsumerProtocolSubscription`).

use std::collections::BTreeSet;

use crate::codec::{CodecError, Reader};
use crate::types::TopicName;

/// The topics of a subscription of any version: the first fields never changed. Errs on bytes that are none. A name that no topic can have is left out.
pub(super) fn subscribed_topics(metadata: &[u8]) -> Result<BTreeSet<TopicName>, CodecError> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16()?;
    if version < 0 {
        return Err(CodecError::Unexpected {
            what: "version of a subscription",
            value: version.into(),
        });
    }
    let count = reader.array_len(2)?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        topics.extend(TopicName::new(reader.string()?).ok());
    }
    Ok(topics)
}
