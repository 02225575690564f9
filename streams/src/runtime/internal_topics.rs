//! Creates the topics an application needs beside the user's: repartition topics, changelogs, dead letters. Existing ones are checked, never changed.
//!
//! Another partition count is an error by name: going on would send keys to other tasks than those that hold their state.

use std::collections::BTreeMap;

use millpond_log::broker::{NewTopic, TopicDescription};
use millpond_log::types::TopicName;

use super::error::RuntimeError;
use super::log_calls::LogCalls;
use super::log_client::LogError;
use super::restore::log_error;
use crate::topology::{InternalTopic, Plan};

/// Makes sure every internal topic of `plan` exists as it should.
///
/// Questions are repeated for as long as `calls` is patient.
pub(crate) async fn ensure(calls: &LogCalls, plan: &Plan) -> Result<(), RuntimeError> {
    let wanted = &plan.internal_topics;
    let missing = check(calls, wanted).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let topics = missing.iter().map(|topic| NewTopic {
        configs: topic.configs.clone(),
        ..NewTopic::new(topic.name.clone(), topic.partitions)
    });
    match calls.log.create_topics(topics.collect()).await {
        Ok(()) => Ok(()),
        // Another instance may have been faster: look again before complaining.
        Err(error) => match check(calls, wanted).await?.first() {
            None => Ok(()),
            Some(topic) => Err(log_error(
                &format!("creating internal topic {}", topic.name),
                &error,
            )),
        },
    }
}

/// The topics that do not exist; errs when one exists with another shape.
async fn check<'a>(
    calls: &LogCalls,
    wanted: &'a [InternalTopic],
) -> Result<Vec<&'a InternalTopic>, RuntimeError> {
    let names = wanted.iter().map(|topic| topic.name.clone()).collect();
    let found = calls
        .describe_topics(names)
        .await
        .map_err(|error| log_error("describing internal topics", &error))?;
    let mut missing = Vec::new();
    for topic in wanted {
        match compare(topic, &found) {
            TopicState::Missing => missing.push(topic),
            TopicState::Sound => {}
            TopicState::Other { found, expected } => {
                return Err(RuntimeError::InternalTopicMismatch {
                    topic: topic.name.to_string(),
                    found,
                    expected,
                });
            }
        }
    }
    Ok(missing)
}

/// What there is of an internal topic.
pub(crate) enum TopicState {
    Missing,
    Sound,
    /// It has another shape than needed.
    Other {
        found: String,
        expected: String,
    },
}

/// Looks for an internal topic among those that exist.
pub(crate) fn compare(wanted: &InternalTopic, found: &[TopicDescription]) -> TopicState {
    let Some(existing) = found.iter().find(|existing| existing.name == wanted.name) else {
        return TopicState::Missing;
    };
    if existing.partitions != wanted.partitions {
        return TopicState::Other {
            found: format!("{} partitions", existing.partitions),
            expected: format!("{} partitions", wanted.partitions),
        };
    }
    // A changelog that is not compacted, or a repartition topic that is, loses data in silence.
    const POLICY: &str = "cleanup.policy";
    let policy = |configs: &BTreeMap<String, String>| {
        let mut parts: Vec<String> = configs
            .get(POLICY)
            .map_or("delete", String::as_str)
            .split(',')
            .map(|part| part.trim().to_owned())
            .collect();
        parts.sort();
        parts.join(",")
    };
    let (has, needs) = (policy(&existing.configs), policy(&wanted.configs));
    if has != needs {
        return TopicState::Other {
            found: format!("{POLICY}={has}"),
            expected: format!("{POLICY}={needs}"),
        };
    }
    TopicState::Sound
}

/// Partition counts of those of the asked topics that exist.
pub(crate) async fn partition_counts(
    calls: &LogCalls,
    names: Vec<TopicName>,
) -> Result<BTreeMap<TopicName, i32>, LogError> {
    let found = calls.describe_topics(names).await?;
    Ok(found
        .into_iter()
        .map(|topic| (topic.name, topic.partitions))
        .collect())
}
