//! DeleteGroups (key 42), versions 0 to 2.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::group_wire::group;
use super::wire::code_of;
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let groups = request.groups_names.iter().map(group).collect();
    let deleted = context.broker().delete_groups(groups).await;
    let results = request.groups_names.into_iter().zip(&deleted);
    let results = results.map(|(id, deleted)| {
        DeletableGroupResult::default()
            .with_group_id(id)
            .with_error_code(code_of(deleted))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
