//! CreateAcls (key 30), versions 1 to 3: there is no authorizer.

use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::{CreateAclsRequest, CreateAclsResponse};

use super::wire::note;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let refusal = context.broker().refuse_acls();
    let refused = AclCreationResult::default()
        .with_error_code(refusal.code().code())
        .with_error_message(note(&refusal));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}
