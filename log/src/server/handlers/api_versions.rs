//! ApiVersions (key 18), versions 0 to 4.
//!
//! Left out: nothing. Version 3 is the first flexible one (KIP-482), names the client (KIP-511) and tells features (KIP-584); 4 allows
//! features whose lowest version is 0. The answer's header is always version 0, because the client does not know yet what we understand.

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use super::wire::text;
use crate::broker::ErrorCode;
use crate::protocol::api::{SERVED, ServedApi};
use crate::server::context::RequestContext;

/// What a client may call itself (KIP-511).
fn is_valid_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let edge = |c: char| c.is_ascii_alphanumeric();
    name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner)
}

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named = is_valid_software_name(&request.client_software_name)
        && is_valid_software_name(&request.client_software_version);
    if context.version >= 3 && !named {
        return ApiVersionsResponse::default().with_error_code(ErrorCode::InvalidRequest.code());
    }
    let answer = ApiVersionsResponse::default().with_api_keys(SERVED.iter().map(advertised).collect());
    if context.version < 3 {
        return answer;
    }
    let features = context.broker().features();
    let supported = features
        .supported
        .iter()
        .filter(|feature| context.version >= 4 || feature.min > 0);
    answer
        .with_supported_features(
            supported
                .map(|feature| {
                    SupportedFeatureKey::default()
                        .with_name(text(feature.name))
                        .with_min_version(feature.min)
                        .with_max_version(feature.max)
                })
                .collect(),
        )
        .with_finalized_features_epoch(features.epoch)
        .with_finalized_features(
            features
                .finalized
                .iter()
                .filter(|(_, level)| *level > 0)
                .map(|(name, level)| {
                    FinalizedFeatureKey::default()
                        .with_name(text(*name))
                        .with_max_version_level(*level)
                        .with_min_version_level(*level)
                })
                .collect(),
        )
}

/// The answer at version 0 to a version we do not know.
pub(in crate::server) fn unsupported_version() -> ApiVersionsResponse {
    let own = SERVED.iter().filter(|api| api.key == ApiKey::ApiVersions);
    ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(own.map(advertised).collect())
}

fn advertised(api: &ServedApi) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.advertised_min())
        .with_max_version(api.advertised_max())
}
