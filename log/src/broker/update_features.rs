//! UpdateFeatures (API key 57, KIP-584).
//!
//! Always true: all updates of a request are made or none. The rules are in `../metadata/features.rs`.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Broker, BrokerError, ErrorCode};
use crate::metadata::features::{FeatureUpgrade, update_record};
use crate::metadata::{MetadataImage, MetadataRecord};

/// A feature that is to go to another level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Kafka's name of it.
    pub name: String,
    /// The level; 0 switches it off.
    pub level: i16,
    /// Which way it may go.
    pub upgrade: FeatureUpgrade,
}

impl Broker {
    /// Takes features to other levels, or with `validate_only` tells whether that could be done. Errs with `InvalidUpdateVersion`, and with
    /// `InvalidRequest` for a feature named twice; the text names the feature. Cancel-safe.
    pub fn update_features(
        &self,
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
    ) -> BoxFuture<'_, Result<(), BrokerError>> {
        async move {
            let decide = move |image: &MetadataImage| records(image, &updates);
            if validate_only {
                return decide(&self.node().image()).map(drop);
            }
            self.node().change_metadata(decide).await.map(drop)
        }
        .boxed()
    }
}

fn records(image: &MetadataImage, updates: &[FeatureUpdate]) -> Result<Vec<MetadataRecord>, BrokerError> {
    let mut records = Vec::new();
    for (at, FeatureUpdate { name, level, upgrade }) in updates.iter().enumerate() {
        if updates[..at].iter().any(|earlier| earlier.name == *name) {
            let message = format!("feature {name} is named twice in the request; name it once");
            return Err(BrokerError::new(ErrorCode::InvalidRequest, message));
        }
        let record = update_record(image, name, *level, *upgrade)
            .map_err(|refused| BrokerError::new(ErrorCode::InvalidUpdateVersion, refused))?;
        records.extend(record);
    }
    Ok(records)
}
