//! ListTransactions (API key 66).
//!
//! Filters are all optional and all apply. A state of an unknown name is told back and matches nothing, so that a newer tool learns what this broker
//! does not know.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use regex::{Regex, RegexBuilder};

use super::{Broker, BrokerError, ErrorCode, TransactionDescription};
use crate::coordinator::txn::TxnState;
use crate::types::{ProducerId, Timestamp, TransactionalId};

/// Bytes a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

/// Which transactional ids are wanted.
#[derive(Clone, Debug, Default)]
pub struct TransactionFilter {
    /// Kafka's names of states; empty for all.
    pub states: BTreeSet<String>,
    /// Producer ids; empty for all.
    pub producer_ids: BTreeSet<ProducerId>,
    /// Only transactions that are open, or being ended, for longer than this.
    pub running_longer_than: Option<Duration>,
    /// Only transactional ids that match.
    pub pattern: Option<TransactionalIdPattern>,
}

/// A regular expression that transactional ids match as a whole.
#[derive(Clone, Debug)]
pub struct TransactionalIdPattern(Regex);

impl TransactionalIdPattern {
    /// Errs with `InvalidRegularExpression`.
    pub fn new(pattern: &str) -> Result<Self, BrokerError> {
        let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        // By itself first: "a)|(b" is none, but would become one between the brackets.
        let compiled = compile(pattern).and_then(|_| compile(&format!(r"\A(?:{pattern})\z")));
        compiled.map(Self).map_err(|error| {
            let message = format!("transactional id pattern is not a regular expression: {error}");
            BrokerError::new(ErrorCode::InvalidRegularExpression, message)
        })
    }

    fn matches(&self, id: &TransactionalId) -> bool {
        self.0.is_match(id.as_str())
    }
}

impl TransactionFilter {
    /// True for what is wanted.
    pub(crate) fn admits(&self, described: &TransactionDescription, now: Timestamp) -> bool {
        let long_enough = self.running_longer_than.is_none_or(|limit| {
            described
                .started_at
                .is_some_and(|at| u128::try_from(now - at).is_ok_and(|running| running > limit.as_millis()))
        });
        let pattern = self.pattern.as_ref();
        long_enough
            && (self.states.is_empty() || self.states.contains(described.state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&described.producer_id))
            && pattern.is_none_or(|pattern| pattern.matches(&described.transactional_id))
    }
}

/// The answer of `list_transactions_matching`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// Names of states that are none.
    pub unknown_states: Vec<String>,
    /// What passes the filter, in order of transactional ids.
    pub transactions: Vec<TransactionDescription>,
}

impl Broker {
    /// Describes every transactional id, in order. Cancel-safe.
    pub fn list_transactions(&self) -> BoxFuture<'_, Result<Vec<TransactionDescription>, BrokerError>> {
        async move { Ok(self.transactions().describe_all()) }.boxed()
    }

    /// Describes the transactional ids that pass a filter, in order. Cancel-safe.
    pub fn list_transactions_matching(&self, filter: TransactionFilter) -> BoxFuture<'_, TransactionListing> {
        async move {
            let unknown = filter.states.iter().filter(|name| !TxnState::is_name(name));
            TransactionListing {
                unknown_states: unknown.cloned().collect(),
                transactions: self.transactions().describe_matching(&filter),
            }
        }
        .boxed()
    }
}
