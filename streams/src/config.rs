//! Settings of a streams application that concern its operators. Policies for records that fail: `config/error_policy.rs`.

mod error_policy;

pub use error_policy::{ErrorDecision, ErrorHandler, ErrorPolicy, ErrorStage, FailedRecord};

/// Caching, emission and error policy of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessingConfig {
    /// Memory each stateful operator of a task may use for its write-back cache, in bytes. When it is full, results are written and forwarded early, as Kafka Streams' record cache does.
    pub cache_max_bytes: usize,
    /// Forward every update of an aggregate instead of one per key and commit.
    pub emit_every_update: bool,
    /// What happens to records that cannot be decoded, that a `try_` closure refuses, or that cannot be written, unless the node or the stage says otherwise.
    pub on_error: ErrorPolicy,
    /// The same for records that cannot be decoded (Kafka Streams' `deserialization.exception.handler`); `None` = as `on_error`.
    pub on_deserialization_error: Option<ErrorPolicy>,
    /// The same for records an operator refuses (`processing.exception.handler`); `None` = as `on_error`.
    pub on_processing_error: Option<ErrorPolicy>,
    /// The same for records that cannot be written (`production.exception.handler`); `None` = as `on_error`. What a topic surely refuses (too large, without a
    /// key though the topic is compacted, a time outside of what it allows) is found here, record by record, before it is sent.
    pub on_production_error: Option<ErrorPolicy>,
    /// Whether the application has a dead-letter topic. Without one such records are only counted.
    pub dead_letters: bool,
}

impl Default for ProcessingConfig {
    fn default() -> ProcessingConfig {
        ProcessingConfig {
            cache_max_bytes: 64 << 20,
            emit_every_update: false,
            on_error: ErrorPolicy::DeadLetter,
            on_deserialization_error: None,
            on_processing_error: None,
            on_production_error: None,
            dead_letters: true,
        }
    }
}

impl ProcessingConfig {
    /// The policy of a stage.
    pub fn policy(&self, stage: ErrorStage) -> &ErrorPolicy {
        let own = match stage {
            ErrorStage::Deserialization => &self.on_deserialization_error,
            ErrorStage::Processing => &self.on_processing_error,
            ErrorStage::Production => &self.on_production_error,
        };
        own.as_ref().unwrap_or(&self.on_error)
    }
}
