//! IncrementalAlterConfigs (key 44, KIP-339), versions 0 to 1: set, delete, append, subtract. Version 1 is flexible.

use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::altering::{Asked, Manner, alter};
use crate::broker::{BrokerError, ConfigChange, ConfigOperation, ErrorCode};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let asked = request.resources.into_iter().map(|resource| Asked {
        kind: resource.resource_type,
        name: resource.resource_name,
        changes: resource.configs.iter().map(change).collect(),
    });
    let manner = Manner {
        replace: false,
        validate_only: request.validate_only,
    };
    let answered = alter(context, asked, manner).await.into_iter().map(|answered| {
        AlterConfigsResourceResponse::default()
            .with_error_code(answered.error_code)
            .with_error_message(answered.error_message)
            .with_resource_type(answered.kind)
            .with_resource_name(answered.name)
    });
    IncrementalAlterConfigsResponse::default().with_responses(answered.collect())
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
