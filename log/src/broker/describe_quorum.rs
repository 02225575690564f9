//! DescribeQuorum (API key 55), and the changes of the quorum that a quorum of one refuses (UnregisterBroker 64, AddRaftVoter 80, RemoveRaftVoter 81).

use super::{Broker, BrokerError, ErrorCode};
use crate::types::{LeaderEpoch, Offset};
use uuid::Uuid;

/// The quorum of the metadata log: this node alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumDescription {
    /// The only voter, who leads.
    pub leader_id: i32,
    /// Its term.
    pub leader_epoch: LeaderEpoch,
    /// End of the committed metadata (exclusive); with one voter also the end of its log.
    pub high_watermark: Offset,
}

impl Broker {
    /// Describes the metadata quorum. Answered from memory.
    pub fn describe_quorum(&self) -> QuorumDescription {
        QuorumDescription {
            leader_id: self.node_id(),
            leader_epoch: LeaderEpoch::ZERO,
            high_watermark: self.metadata_version(),
        }
    }

    /// Takes a broker out of the cluster. Errs with `BrokerIdNotRegistered` if it is not in it, `InvalidRequest` for this one.
    pub fn unregister_broker(&self, id: i32) -> Result<(), BrokerError> {
        if id != self.node_id() {
            let message = format!(
                "broker {id} is not registered; the only broker is {}",
                self.node_id()
            );
            return Err(BrokerError::new(ErrorCode::BrokerIdNotRegistered, message));
        }
        let message = format!("broker {id} is the only one and is running; to end it, stop it");
        Err(BrokerError::new(ErrorCode::InvalidRequest, message))
    }

    /// Adds a voter to the quorum. Never succeeds: errs with `InconsistentClusterId`, `DuplicateVoter` or, because this build keeps a quorum of one,
    /// `InvalidRequest`.
    pub fn add_raft_voter(&self, cluster_id: Option<&str>, voter_id: i32) -> Result<(), BrokerError> {
        self.check_cluster_id(cluster_id)?;
        if voter_id == self.node_id() {
            let message = format!("node {voter_id} is a voter already");
            return Err(BrokerError::new(ErrorCode::DuplicateVoter, message));
        }
        let message = format!(
            "node {voter_id} cannot become a voter: this version keeps the metadata on one node; run it alone"
        );
        Err(BrokerError::new(ErrorCode::InvalidRequest, message))
    }

    /// Takes a voter out of the quorum. Never succeeds: errs with `InconsistentClusterId`, `VoterNotFound` or, for the last voter, `InvalidRequest`.
    pub fn remove_raft_voter(
        &self,
        cluster_id: Option<&str>,
        voter_id: i32,
        directory_id: Uuid,
    ) -> Result<(), BrokerError> {
        self.check_cluster_id(cluster_id)?;
        if voter_id != self.node_id() || !directory_id.is_nil() {
            let message = format!(
                "node {voter_id} with directory {directory_id} is no voter; the only one is node {} with directory {}",
                self.node_id(),
                Uuid::nil()
            );
            return Err(BrokerError::new(ErrorCode::VoterNotFound, message));
        }
        let message =
            format!("node {voter_id} is the last voter and cannot be removed; to end the cluster, stop it");
        Err(BrokerError::new(ErrorCode::InvalidRequest, message))
    }

    fn check_cluster_id(&self, given: Option<&str>) -> Result<(), BrokerError> {
        match given {
            Some(given) if given != self.cluster_id() => {
                let message = format!("the cluster id is {}, not {given}", self.cluster_id());
                Err(BrokerError::new(ErrorCode::InconsistentClusterId, message))
            }
            _ => Ok(()),
        }
    }
}
