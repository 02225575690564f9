//! AlterConfigs (key 33), versions 0 to 2: settings not named go back to their defaults. Version 2 is flexible.

use kafka_protocol::messages::alter_configs_request::AlterableConfig;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::altering::{Asked, Manner, alter};
use crate::broker::{BrokerError, ConfigChange, ErrorCode};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let asked = request.resources.into_iter().map(|resource| Asked {
        kind: resource.resource_type,
        name: resource.resource_name,
        changes: resource.configs.iter().map(change).collect(),
    });
    let manner = Manner {
        replace: true,
        validate_only: request.validate_only,
    };
    let answered = alter(context, asked, manner).await.into_iter().map(|answered| {
        AlterConfigsResourceResponse::default()
            .with_error_code(answered.error_code)
            .with_error_message(answered.error_message)
            .with_resource_type(answered.kind)
            .with_resource_name(answered.name)
    });
    AlterConfigsResponse::default().with_responses(answered.collect())
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, BrokerError> {
    match &config.value {
        Some(value) => Ok(ConfigChange::set(config.name.to_string(), value.to_string())),
        None => {
            let message = format!(
                "setting {} has no value; leave it out for the default",
                config.name
            );
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    }
}
