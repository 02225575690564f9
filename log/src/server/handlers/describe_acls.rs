//! DescribeAcls (key 29), versions 1 to 3: there is no authorizer.

use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};

use super::wire::note;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    _request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let refusal = context.broker().refuse_acls();
    DescribeAclsResponse::default()
        .with_error_code(refusal.code().code())
        .with_error_message(note(&refusal))
}
