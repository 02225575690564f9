//! The topics a consumer subscribes to, read from what it tells its leader (`ConsumerProtocolSubscription`).

use std::collections::BTreeSet;

use crate::codec::{CodecError, Reader};
use crate::protocol::guard;
use crate::types::TopicName;

/// The topics of a subscription of any version: the first fields never changed. Errs on bytes that are none, and on ones that would take much more
/// memory than they have bytes. A name that no topic can have is left out.
pub(in crate::coordinator::group) fn subscribed_topics(
    metadata: &[u8],
) -> Result<BTreeSet<TopicName>, CodecError> {
    let mut reader = Reader::new(metadata);
    let version = reader.i16()?;
    if version < 0 {
        return Err(CodecError::Unexpected {
            what: "version of a subscription",
            value: version.into(),
        });
    }
    // Some clients (kafka-go) write version 1 without the fields it adds.
    guard::check_consumer_subscription(0, &metadata[2..])?;
    let count = reader.array_len(2)?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        topics.extend(TopicName::new(reader.string()?).ok());
    }
    Ok(topics)
}
