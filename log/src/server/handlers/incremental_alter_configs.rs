//! IncrementalAlterConfigs (key 44, KIP-339), versions 0 to 1: set, delete, append, subtract. Version 1 is flexible.

use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::wire::{code_of, note};
use crate::broker::{AlterConfigs, BrokerError, ConfigChange, ConfigOperation, ErrorCode};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
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
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

/// Carries out those alterations that could be understood; one answer for each, in order.
pub(super) async fn alter_all(
    context: &RequestContext,
    alterations: Vec<Result<AlterConfigs, BrokerError>>,
) -> Vec<Result<(), BrokerError>> {
    let mut sound = Vec::new();
    let places: Vec<_> = alterations
        .into_iter()
        .map(|alteration| {
            alteration.map(|alteration| {
                sound.push(alteration);
                sound.len() - 1
            })
        })
        .collect();
    let altered = context.broker().alter_configs(sound).await;
    places
        .into_iter()
        .map(|place| place.and_then(|at| altered[at].clone()))
        .collect()
}

fn alteration(
    context: &RequestContext,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<AlterConfigs, BrokerError> {
    let found = context
        .broker()
        .config_resource(resource.resource_type, &resource.resource_name)?;
    let changes = resource.configs.iter().map(change).collect::<Result<_, _>>()?;
    Ok(AlterConfigs {
        validate_only,
        ..AlterConfigs::new(found, changes)
    })
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, BrokerError> {
    let value = || match &config.value {
        Some(value) => Ok(value.to_string()),
        None => {
            let message = format!("setting {} has no value; delete it for the default", config.name);
            Err(BrokerError::new(ErrorCode::InvalidConfig, message))
        }
    };
    let operation = match config.config_operation {
        0 => ConfigOperation::Set(value()?),
        1 => ConfigOperation::Delete,
        2 => ConfigOperation::Append(value()?),
        3 => ConfigOperation::Subtract(value()?),
        unknown => {
            let message = format!(
                "operation {unknown} on setting {} is not known; use set (0), delete (1), append (2) or subtract (3)",
                config.name
            );
            return Err(BrokerError::new(ErrorCode::InvalidRequest, message));
        }
    };
    Ok(ConfigChange {
        name: config.name.to_string(),
        operation,
    })
}
