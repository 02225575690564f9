//! Names of topics in a topology, and of the internal ones once the application id is known.
//!
//! A topology knows no application id: `{app}-{name}-repartition`, `{app}-{store}-changelog`, `{app}-{source topic}-time` and `{app}-dead-letters` are made when it is run.

use std::fmt;

use millpond_log::types::TopicName;

/// A topic as the topology names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    /// A topic of the user.
    External(TopicName),
    /// A repartition topic, by its name without application id and suffix.
    Repartition(String),
    /// The application's dead-letter topic.
    DeadLetters,
    /// Where tasks write that time went on while input was idle, by the name of a source topic.
    Time(String),
}

impl TopicRef {
    /// The topic's full name in an application.
    ///
    /// # Panics
    /// When the application id makes no legal topic name: `Plan::new` has checked it before.
    pub fn resolve(&self, application_id: &str) -> TopicName {
        match self {
            TopicRef::External(name) => name.clone(),
            TopicRef::Repartition(name) => internal(&repartition_topic(application_id, name)),
            TopicRef::DeadLetters => internal(&dead_letter_topic(application_id)),
            TopicRef::Time(name) => internal(&time_topic(application_id, name)),
        }
    }

    /// The name used in `describe()` and by `InitContext::output`: without the application id, as Kafka Streams prints it.
    pub fn name(&self) -> String {
        match self {
            TopicRef::External(name) => name.to_string(),
            TopicRef::Repartition(name) => format!("{name}-repartition"),
            TopicRef::DeadLetters => "dead-letters".to_owned(),
            TopicRef::Time(name) => format!("{name}-time"),
        }
    }
}

impl fmt::Display for TopicRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// `{app}-{name}-repartition`.
pub fn repartition_topic(application_id: &str, name: &str) -> String {
    format!("{application_id}-{name}-repartition")
}

/// `{app}-{store}-changelog`.
pub fn changelog_topic(application_id: &str, store: &str) -> String {
    format!("{application_id}-{store}-changelog")
}

/// `{app}-dead-letters`.
pub fn dead_letter_topic(application_id: &str) -> String {
    format!("{application_id}-dead-letters")
}

/// `{app}-{source topic}-time`.
pub fn time_topic(application_id: &str, source_topic: &str) -> String {
    format!("{application_id}-{source_topic}-time")
}

fn internal(name: &str) -> TopicName {
    TopicName::new(name).expect("application id and node names were checked when the plan was made")
}
