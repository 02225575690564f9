//! ListConfigResources (key 74), versions 0 to 1.
//!
//! Version 0 lists client metrics subscriptions only (KIP-1000), 1 any kind that is asked for, or all of them (KIP-1142). Log levels cannot be asked for
//! here, so loggers are not listed.

use kafka_protocol::messages::list_config_resources_response::ConfigResource as WireResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::wire::text;
use crate::broker::ErrorCode;
use crate::server::context::RequestContext;

const CLIENT_METRICS: i8 = 16;
/// Topic, broker, broker logger, client metrics, group.
const KINDS: [i8; 5] = [2, 4, 8, CLIENT_METRICS, 32];

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let kinds = match context.version {
        0 => vec![CLIENT_METRICS],
        _ if request.resource_types.is_empty() => KINDS.to_vec(),
        _ => request.resource_types,
    };
    if !kinds.iter().all(|kind| KINDS.contains(kind)) {
        return ListConfigResourcesResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let node_id = context.broker().node_id();
    let resources = context
        .broker()
        .list_config_resources()
        .into_iter()
        .map(|resource| resource.to_wire(node_id))
        .filter(|(kind, _)| kinds.contains(kind))
        .map(|(kind, name)| {
            let resource = WireResource::default().with_resource_name(text(name));
            match context.version {
                0 => resource,
                _ => resource.with_resource_type(kind),
            }
        });
    ListConfigResourcesResponse::default().with_config_resources(resources.collect())
}
