//! DeleteAcls (key 31), versions 1 to 3: there is no authorizer.

use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};

use super::wire::note;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let refusal = context.broker().refuse_acls();
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(refusal.code().code())
        .with_error_message(note(&refusal));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}
