//! The replicas a client names for a partition, judged: as long as there is one broker, only it can be meant.

use super::{BrokerError, ErrorCode};

/// Errs with `InvalidReplicaAssignment` unless the replicas are brokers that exist, each named once, at least one.
pub(super) fn check_assignment(replicas: &[i32], node_id: i32) -> Result<(), BrokerError> {
    let refused = |message: String| Err(BrokerError::new(ErrorCode::InvalidReplicaAssignment, message));
    if replicas.is_empty() {
        return refused("the assignment names no replica; name at least one broker".to_owned());
    }
    if let Some(unknown) = replicas.iter().find(|id| **id != node_id) {
        return refused(format!(
            "the assignment names broker {unknown}, which is not registered; the only broker is {node_id}"
        ));
    }
    if replicas.len() > 1 {
        return refused(format!(
            "the assignment names broker {node_id} more than once; name it once"
        ));
    }
    Ok(())
}
