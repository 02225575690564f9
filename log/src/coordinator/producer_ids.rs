//! Producer ids, unique for ever.
//!
//! Taken from metadata in blocks; a block counts as used the moment its record is durable, so ids left over at a crash are lost, never given
//! out twice (KAFKA-15552).

use std::ops::Range;
use std::sync::Arc;

use crate::broker::{BROKER_ID, BrokerError, Node};
use crate::metadata::{MetadataRecord, limits};
use crate::types::ProducerId;

/// Gives out producer ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    node: Arc<Node>,
    block: tokio::sync::Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self {
            node,
            block: tokio::sync::Mutex::new(0..0),
        }
    }

    /// An id that nobody had before.
    pub(crate) async fn allocate(&self) -> Result<ProducerId, BrokerError> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            let image = self
                .node
                .change_metadata(|image| {
                    let next_producer_id = image.next_producer_id() + limits::PRODUCER_ID_BLOCK;
                    Ok(vec![MetadataRecord::ProducerIds {
                        broker_id: BROKER_ID,
                        next_producer_id,
                    }])
                })
                .await?;
            *block = image.next_producer_id() - limits::PRODUCER_ID_BLOCK..image.next_producer_id();
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId::new(id))
    }
}
