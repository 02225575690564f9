//! Records that fail: what the policy of their node says, and how a dead letter looks.
//!
//! Always true: a record is refused once, counted once, and nothing of it is left in the transaction beside its dead letter. Dead letters carry the key, value,
//! timestamp and headers of the record as it was read, and behind them the headers of KIP-1034 (`__streams.errors.` exception, message, stacktrace, topic, partition,
//! offset) and two of ours (node, task). Who decides: `config/error_policy.rs`; what a topic refuses: `topic_rules.rs`.

use std::error::Error;

use millpond_log::record::Header;
use millpond_log::types::{Offset, Timestamp, TopicName};

use super::api::{BoxError, ProcessContext, ProcessError};
use super::{Headers, OutputCollector, RawRecord, SinkRecord};
use crate::config::{ErrorDecision, ErrorPolicy, FailedRecord};

/// Beginning of the names of all headers of dead letters.
const PREFIX: &str = "__streams.errors.";

impl ProcessContext<'_> {
    /// Treats the record at `offset` of the current source batch as its policy says: fail (the error comes back), skip, or dead letter. `policy` goes before that
    /// of the node, the stage and the application.
    /// # Errors
    /// Only when the policy is to fail.
    pub fn refuse(
        &mut self,
        policy: Option<&ErrorPolicy>,
        offset: Offset,
        timestamp: Timestamp,
        cause: BoxError,
    ) -> Result<(), ProcessError> {
        let found = self.origin_record(offset);
        let record = found.unwrap_or_else(|| RawRecord {
            origin: None,
            key: None,
            value: None,
            timestamp,
            headers: Headers::NONE,
        });
        self.treat(policy, &record, None, cause)
    }

    /// Sends a record to a topic, inside the task's transaction, unless the topic surely will not take it: then the policy of the node says what happens. `offset` is
    /// that of the record of the current source batch from which it was made. `false` when it was not sent.
    /// # Errors
    /// Only when the policy is to fail.
    pub fn produce(&mut self, record: &SinkRecord<'_>, offset: Offset) -> Result<bool, ProcessError> {
        let Some(refused) = self.outputs.refusal(record, self.now_ms) else {
            self.send(record);
            return Ok(true);
        };
        let found = self.origin_record(offset);
        let original = found.unwrap_or_else(|| RawRecord {
            origin: None,
            key: record.key.map(bytes::Bytes::copy_from_slice),
            value: record.value.map(bytes::Bytes::copy_from_slice),
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        });
        let topic = self.outputs.topic_name(record.topic).clone();
        self.treat(None, &original, Some(&topic), refused.into())?;
        Ok(false)
    }

    fn treat(
        &mut self,
        policy: Option<&ErrorPolicy>,
        record: &RawRecord,
        output_topic: Option<&TopicName>,
        cause: BoxError,
    ) -> Result<(), ProcessError> {
        let decision = policy.unwrap_or(self.on_error).of(&FailedRecord {
            stage: self.stage,
            node: self.node_name,
            task: self.task,
            record,
            output_topic,
            cause: &*cause,
        });
        match decision {
            ErrorDecision::Fail => return Err(ProcessError::node(self.node_name, cause)),
            ErrorDecision::Skip => {
                tracing::debug!(node = self.node_name, %cause, "record skipped");
                self.counters.skipped += 1;
            }
            ErrorDecision::DeadLetter => {
                let reasons = reasons(cause.as_ref());
                self.write_dead_letter(record, &reasons.join(": "), &reasons.join("\n  caused by: "));
            }
        }
        Ok(())
    }

    /// Writes a record to the application's dead-letter topic with the reason in its headers (the names of KIP-1034), inside the transaction. Counted.
    pub fn dead_letter(&mut self, record: &RawRecord, reason: &str) {
        self.write_dead_letter(record, reason, reason);
    }

    fn write_dead_letter(&mut self, record: &RawRecord, message: &str, trace: &str) {
        self.counters.dead_letters += 1;
        tracing::debug!(
            node = self.node_name,
            message,
            "record sent to the dead-letter topic"
        );
        let Some(topic) = self.dead_letters else { return };
        let header = |name: &str, value: String| Header::new(format!("{PREFIX}{name}"), value);
        let mut more = vec![
            header("exception", self.stage.error_name().to_owned()),
            header("message", message.to_owned()),
            header("stacktrace", trace.to_owned()),
        ];
        if let Some((partition, offset)) = &record.origin {
            more.push(header("topic", partition.topic.to_string()));
            more.push(header("partition", partition.partition.to_string()));
            more.push(header("offset", offset.get().to_string()));
        }
        more.push(header("node", self.node_name.to_owned()));
        more.push(header("task", self.task.to_string()));
        let headers: Headers = record.headers.iter().cloned().chain(more).collect();
        self.outputs.send(&SinkRecord {
            topic,
            partition: None,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            timestamp: record.timestamp,
            headers: &headers,
        });
    }
}

/// An error and what caused it, outermost first.
fn reasons(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut all = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        all.push(cause.to_string());
        source = cause.source();
    }
    all
}

#[cfg(test)]
#[path = "refusal_test.rs"]
mod refusal_test;
