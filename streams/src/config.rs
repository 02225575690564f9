//! Settings of a streams application that concern its operators.

/// Caching, emission and error policy of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessingConfig {
    /// Memory each stateful operator of a task may use for its write-back cache, in bytes. When it is full, results are written and forwarded early, as Kafka Streams' record cache does.
    pub cache_max_bytes: usize,
    /// Forward every update of an aggregate instead of one per key and commit.
    pub emit_every_update: bool,
    /// What happens to records that cannot be decoded, and to those a `try_` closure refuses, unless the operator says otherwise.
    pub on_error: ErrorPolicy,
    /// Whether the application has a dead-letter topic. Without one such records are only counted.
    pub dead_letters: bool,
}

impl Default for ProcessingConfig {
    fn default() -> ProcessingConfig {
        ProcessingConfig {
            cache_max_bytes: 64 << 20,
            emit_every_update: false,
            on_error: ErrorPolicy::DeadLetter,
            dead_letters: true,
        }
    }
}

/// What to do with a record that cannot be processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// Stop: the transaction is aborted and the task fails with the cause.
    Fail,
    /// Leave the record out and count it.
    Skip,
    /// Write the record to `{app}-dead-letters` with the cause in its headers, and count it.
    #[default]
    DeadLetter,
}
