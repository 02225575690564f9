//! ListGroups (key 16), versions 0 to 5. Version 4 filters by state (KIP-518), 5 by kind (KIP-848).

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use super::wire::text;
use crate::broker::{GroupListing, GroupType};
use crate::server::context::RequestContext;

pub(in crate::server) async fn handle(
    context: &RequestContext,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let states: Vec<String> = request
        .states_filter
        .iter()
        .map(|state| state.to_string())
        .collect();
    let kinds = [GroupType::Classic, GroupType::Consumer].into_iter();
    let asked = |kind: &GroupType| {
        let mut names = request.types_filter.iter();
        names.any(|name| name.eq_ignore_ascii_case(kind.name()))
    };
    let types: Vec<GroupType> = kinds.filter(asked).collect();
    if types.is_empty() && !request.types_filter.is_empty() {
        // Only kinds this broker does not have.
        return ListGroupsResponse::default();
    }
    let listed = context.broker().list_groups(&states, &types).await;
    let groups = listed.into_iter().map(|group| of_group(context.version, group));
    ListGroupsResponse::default().with_groups(groups.collect())
}

fn of_group(version: i16, group: GroupListing) -> ListedGroup {
    let mut answer = ListedGroup::default()
        .with_group_id(text(group.group.as_str()).into())
        .with_protocol_type(text(group.protocol_type));
    if version >= 4 {
        answer = answer.with_group_state(text(group.state));
    }
    if version >= 5 {
        answer = answer.with_group_type(text(group.group_type.name()));
    }
    answer
}
