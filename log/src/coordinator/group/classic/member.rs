//! One member of a classic group.

use bytes::Bytes;

use crate::types::{GroupInstanceId, MemberId};

use super::command::{JoinRequest, Protocol, RequestId};

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// Its id.
    pub id: MemberId,
    /// Of a static member.
    pub instance_id: Option<GroupInstanceId>,
    /// As it named itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    /// What the leader gave it.
    pub assignment: Bytes,
    /// True until it was told its first generation: it cannot send heartbeats before.
    pub(super) is_new: bool,
    /// Its JoinGroup that waits.
    pub(super) joining: Option<RequestId>,
    /// Its SyncGroup that waits.
    pub(super) syncing: Option<RequestId>,
}

impl ClassicMember {
    pub(super) fn new(id: MemberId, request: &JoinRequest) -> Self {
        Self {
            id,
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            is_new: false,
            joining: None,
            syncing: None,
        }
    }

    /// What it says about itself in a protocol; empty if it does not follow it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|known| known.name == protocol);
        found.map(|known| known.metadata.clone()).unwrap_or_default()
    }

    /// Its most preferred protocol among the candidates.
    pub(super) fn vote<'a>(&'a self, candidates: &[&str]) -> Option<&'a str> {
        let names = self.protocols.iter().map(|protocol| protocol.name.as_str());
        names.into_iter().find(|name| candidates.contains(name))
    }

    /// True while a request of it is parked: then it is surely not silent.
    pub(super) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}
