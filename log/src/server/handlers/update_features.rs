//! UpdateFeatures (key 57, KIP-584), versions 0 to 2.
//!
//! Version 1 names the kind of change and may only validate (KIP-778), 2 answers no rows per feature (KIP-1022). All updates are made or none, so in the older
//! versions every row has the same answer.

use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::wire::note;
use crate::broker::{BrokerError, ErrorCode, FeatureUpdate};
use crate::metadata::features::FeatureUpgrade;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let names: Vec<_> = request
        .feature_updates
        .iter()
        .map(|update| update.feature.clone())
        .collect();
    let updates = updates(context, &request);
    let outcome = match updates {
        Ok(updates) => {
            context
                .broker()
                .update_features(updates, request.validate_only)
                .await
        }
        Err(error) => Err(error),
    };
    let answer = UpdateFeaturesResponse::default().with_error_message(None);
    let answer = match &outcome {
        Ok(()) => answer,
        Err(error) => answer
            .with_error_code(error.code().code())
            .with_error_message(note(error)),
    };
    if context.version >= 2 {
        return answer;
    }
    let rows = names.into_iter().filter(|_| outcome.is_ok()).map(|name| {
        UpdatableFeatureResult::default()
            .with_feature(name)
            .with_error_message(None)
    });
    answer.with_results(rows.collect())
}

fn updates(
    context: &RequestContext,
    request: &UpdateFeaturesRequest,
) -> Result<Vec<FeatureUpdate>, BrokerError> {
    let update = |update: &kafka_protocol::messages::update_features_request::FeatureUpdateKey| {
        let name = update.feature.to_string();
        let upgrade = match context.version {
            0 if update.allow_downgrade => Some(FeatureUpgrade::SafeDowngrade),
            0 => Some(FeatureUpgrade::Upgrade),
            _ => FeatureUpgrade::from_wire(update.upgrade_type),
        };
        let upgrade = upgrade.ok_or_else(|| {
            let message = format!(
                "upgrade type {} of feature {name} is not known; use upgrade (1), safe (2) or unsafe downgrade (3)",
                update.upgrade_type
            );
            BrokerError::new(ErrorCode::InvalidUpdateVersion, message)
        })?;
        Ok(FeatureUpdate {
            name,
            level: update.max_version_level,
            upgrade,
        })
    };
    request.feature_updates.iter().map(update).collect()
}
