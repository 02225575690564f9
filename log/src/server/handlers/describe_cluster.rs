//! DescribeCluster (key 60), versions 0 to 2.
//!
//! Version 1 asks brokers or controllers (KIP-919); this listener is a broker's. 2 may ask for fenced brokers too (KIP-1073): there are none.
//! Left out: authorized operations, until there are rights.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::wire::text;
use crate::broker::ErrorCode;
use crate::server::context::RequestContext;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
/// Authorized operations that were not asked for or are not known.
const UNKNOWN_OPERATIONS: i32 = i32::MIN;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let broker = context.broker();
    let answer = DescribeClusterResponse::default().with_cluster_authorized_operations(UNKNOWN_OPERATIONS);
    if context.version >= 1 && request.endpoint_type != BROKERS {
        let (code, message) = match request.endpoint_type {
            CONTROLLERS => (
                ErrorCode::MismatchedEndpointType,
                "this listener is a broker's; ask it as a broker (bootstrap servers, not bootstrap controllers)"
                    .to_owned(),
            ),
            other => (
                ErrorCode::UnsupportedEndpointType,
                format!("endpoint type {other} is not known; use 1 for brokers"),
            ),
        };
        return answer
            .with_error_code(code.code())
            .with_error_message(Some(text(message)));
    }
    let (host, port) = context.advertised();
    let node = DescribeClusterBroker::default()
        .with_broker_id(broker.node_id().into())
        .with_host(text(host))
        .with_port(port.into());
    answer
        .with_cluster_id(text(broker.cluster_id()))
        .with_controller_id(broker.node_id().into())
        .with_brokers(vec![node])
}
