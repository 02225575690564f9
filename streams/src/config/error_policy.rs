//! What happens to records that cannot be read, processed or written: the policies, and what a deciding closure is told.
//!
//! Most specific first: the policy of the node ([`KStream::on_error`](crate::dsl::KStream::on_error), [`Consumed::on_error`](crate::dsl::Consumed::on_error)), of the
//! stage ([`ProcessingConfig::on_deserialization_error`](super::ProcessingConfig::on_deserialization_error) and its kin), of the application
//! ([`ProcessingConfig::on_error`](super::ProcessingConfig::on_error)). Carried out by `processor/refusal.rs`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use millpond_log::types::TopicName;

use crate::processor::RawRecord;
use crate::state::TaskId;

/// What to do with a record that cannot be processed.
///
/// ```
/// use millpond_streams::config::{ErrorDecision, ErrorPolicy};
/// use millpond_streams::dsl::StreamsBuilder;
/// use millpond_streams::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, String>("readings")
///     .try_map_values(|text| text.trim().parse::<f64>())
///     // Empty readings are nothing to look at; everything else is.
///     .on_error(ErrorPolicy::decide(|failed| match failed.record.value.as_deref() {
///         Some(b"") => ErrorDecision::Skip,
///         _ => ErrorDecision::DeadLetter,
///     }))
///     .to("numbers");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let readings = driver.input::<String, String>("readings");
/// for text in ["1.5", "", "warm"] {
///     driver.pipe(&readings, "sensor".to_owned(), text.to_owned(), 0)?;
/// }
/// assert_eq!((driver.counters().skipped, driver.counters().dead_letters), (1, 1));
/// assert_eq!(driver.dead_letters()[0].value.as_deref(), Some(&b"warm"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub enum ErrorPolicy {
    /// Stop: the transaction is aborted and the worker fails with the cause. What happens then is up to
    /// [`RestartPolicy`](crate::runtime::RestartPolicy).
    Fail,
    /// Leave the record out and count it.
    Skip,
    /// Write the record to `{app}-dead-letters` with the cause in its headers, and count it.
    #[default]
    DeadLetter,
    /// Ask for each record; see [`decide`](Self::decide).
    Decide(ErrorHandler),
}

/// A closure that decides per record.
pub type ErrorHandler = Arc<dyn Fn(&FailedRecord<'_>) -> ErrorDecision + Send + Sync>;

/// The answer of an [`ErrorHandler`]; each as the policy of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorDecision {
    /// See [`ErrorPolicy::Fail`].
    Fail,
    /// See [`ErrorPolicy::Skip`].
    Skip,
    /// See [`ErrorPolicy::DeadLetter`].
    DeadLetter,
}

/// Where a record failed; Kafka Streams has a handler for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStage {
    /// Reading: the serde of a source refused it.
    Deserialization,
    /// An operator refused it.
    Processing,
    /// Writing: the serde of a sink refused it, or the topic will not take it (too large, without a key where one is needed, a time outside of what it allows).
    Production,
}

impl ErrorStage {
    /// As it stands in the header `__streams.errors.exception` of dead letters.
    pub fn error_name(self) -> &'static str {
        match self {
            ErrorStage::Deserialization => "DeserializationError",
            ErrorStage::Processing => "ProcessingError",
            ErrorStage::Production => "ProductionError",
        }
    }
}

/// What a deciding closure is told about a record that failed.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FailedRecord<'a> {
    /// Where it failed.
    pub stage: ErrorStage,
    /// Name of the node in the topology.
    pub node: &'a str,
    /// The task.
    pub task: TaskId,
    /// The record as it was read from its topic, with topic, partition and offset. For results of a commit or a timer, which come from no single record, the
    /// record that was to be written, where there is one.
    pub record: &'a RawRecord,
    /// Where it was to be written; only in [`ErrorStage::Production`].
    pub output_topic: Option<&'a TopicName>,
    /// Why it failed.
    pub cause: &'a (dyn Error + Send + Sync + 'static),
}

impl ErrorPolicy {
    /// Asks `handler` for each record. It must answer the same for the same record and cause: after a lost transaction it is asked again.
    pub fn decide(
        handler: impl Fn(&FailedRecord<'_>) -> ErrorDecision + Send + Sync + 'static,
    ) -> ErrorPolicy {
        ErrorPolicy::Decide(Arc::new(handler))
    }

    /// What becomes of this record.
    pub(crate) fn of(&self, failed: &FailedRecord<'_>) -> ErrorDecision {
        match self {
            ErrorPolicy::Fail => ErrorDecision::Fail,
            ErrorPolicy::Skip => ErrorDecision::Skip,
            ErrorPolicy::DeadLetter => ErrorDecision::DeadLetter,
            ErrorPolicy::Decide(handler) => handler(failed),
        }
    }
}

impl fmt::Debug for ErrorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorPolicy::Fail => "Fail",
            ErrorPolicy::Skip => "Skip",
            ErrorPolicy::DeadLetter => "DeadLetter",
            ErrorPolicy::Decide(_) => "Decide(..)",
        })
    }
}

/// Two closures are equal when they are the same one.
impl PartialEq for ErrorPolicy {
    fn eq(&self, other: &ErrorPolicy) -> bool {
        match (self, other) {
            (ErrorPolicy::Decide(left), ErrorPolicy::Decide(right)) => Arc::ptr_eq(left, right),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for ErrorPolicy {}
