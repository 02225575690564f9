//! DescribeAcls (API key 29), CreateAcls (30) and DeleteAcls (31): there is no authorizer, so there are no ACLs.

use super::{Broker, BrokerError, ErrorCode};

impl Broker {
    /// What every request about ACLs is answered: `SecurityDisabled`, with Kafka's words.
    pub fn refuse_acls(&self) -> BrokerError {
        BrokerError::new(ErrorCode::SecurityDisabled, "No Authorizer is configured.")
    }
}
