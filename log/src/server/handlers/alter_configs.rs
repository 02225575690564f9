//! AlterConfigs (key 33), versions 0 to 2: settings not named go back to their defaults. Version 2 is flexible.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::alter_all;
use super::wire::{code_of, note};
use crate::broker::{AlterConfigs, BrokerError, ConfigChange, ErrorCode};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let alterations = request
        .resources
        .iter()
        .map(|resource| alteration(context, resource, request.validate_only))
        .collect();
    let altered = alter_all(context, alterations).await;
    let responses = request
        .resources
        .into_iter()
        .zip(altered)
        .map(|(resource, altered)| {
            AlterConfigsResourceResponse::default()
                .with_error_code(code_of(&altered))
                .with_error_message(altered.err().as_ref().and_then(note))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
        });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

fn alteration(
    context: &RequestContext,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<AlterConfigs, BrokerError> {
    let found = context
        .broker()
        .config_resource(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(|config| match &config.value {
        Some(value) => Ok(ConfigChange::set(config.name.to_string(), value.to_string())),
        None => {
            let message = format!(
                "setting {} has no value; leave it out for the default",
                config.name
            );
            Err(BrokerError::new(ErrorCode::InvalidRequest, message))
        }
    });
    Ok(AlterConfigs {
        replace: true,
        validate_only,
        ..AlterConfigs::new(found, changes.collect::<Result<_, _>>()?)
    })
}
