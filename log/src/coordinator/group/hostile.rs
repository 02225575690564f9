//! The door through which the fuzzers reach what is read out of JoinGroup and SyncGroup: `/fuzz/properties/src/memory.rs`.
//!
//! Always true: nothing else calls this.

use super::classic::subscription::subscribed_topics;
use super::consumer::classic_format::{read_assignment, read_subscription};

/// Reads what a consumer tells its group; true if it is sound.
pub fn read_consumer_subscription(bytes: &[u8]) -> bool {
    let topics = subscribed_topics(bytes).is_ok();
    let whole = read_subscription(bytes).is_ok();
    assert!(
        topics || !whole,
        "one reader of subscriptions refuses what the other takes"
    );
    whole
}

/// Reads what a consumer is given; true if it is sound.
pub fn read_consumer_assignment(bytes: &[u8]) -> bool {
    read_assignment(bytes).is_ok()
}
