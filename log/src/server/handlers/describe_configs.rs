//! DescribeConfigs (key 32), versions 1 to 4.
//!
//! Version 1 tells synonyms where asked for (KIP-226), 3 types and documentation (KIP-569), 4 is flexible. Null keys ask for every setting.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::wire::{note, text};
use crate::broker::{BrokerError, ConfigEntry};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match entries(context, resource).await {
            Ok(entries) => {
                let configs = entries.into_iter().map(|entry| told(&request, entry));
                answer.with_configs(configs.collect()).with_error_message(None)
            }
            Err(error) => answer
                .with_error_code(error.code().code())
                .with_error_message(note(&error)),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

async fn entries(
    context: &RequestContext,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, BrokerError> {
    let broker = context.broker();
    let found = broker.config_resource(resource.resource_type, &resource.resource_name)?;
    let mut described = broker.describe_configs(vec![found]).await;
    let mut entries = described.pop().unwrap_or_else(|| Ok(Vec::new()))?;
    if let Some(keys) = &resource.configuration_keys {
        entries.retain(|entry| keys.iter().any(|key| **key == *entry.name));
    }
    Ok(entries)
}

fn told(request: &DescribeConfigsRequest, entry: ConfigEntry) -> DescribeConfigsResourceResult {
    let value = |value: String| (!entry.sensitive).then(|| text(value));
    let synonyms = if request.include_synonyms {
        let synonyms = entry.synonyms.into_iter().map(|synonym| {
            DescribeConfigsSynonym::default()
                .with_name(text(synonym.name))
                .with_value(value(synonym.value))
                .with_source(synonym.source.to_wire())
        });
        synonyms.collect()
    } else {
        Vec::new()
    };
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(value(entry.value))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.to_wire())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms)
        .with_config_type(entry.kind.to_wire())
        .with_documentation(request.include_documentation.then(|| text(entry.documentation)))
}
