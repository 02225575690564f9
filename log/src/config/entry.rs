//! Settings as DescribeConfigs tells them: each with its value, where that comes from, and what would hold without it.
//!
//! Always true: synonyms stand in the order of their precedence, so the first one's value and source are the entry's (none: the built-in default).
//! Pure: what was set where is handed in.

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::broker_table::{BROKER_DEFINITIONS, broker_definition};
use super::client_metrics::CLIENT_METRICS_DEFINITIONS;
use super::group::GROUP_DEFINITIONS;
use super::kind::ConfigKind;
use super::topic_table::TOPIC_DEFINITIONS;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on this broker while it ran.
    DynamicBroker,
    /// Set on all brokers while they ran.
    DynamicDefaultBroker,
    /// The broker was started with it.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// Set on the client metrics subscription.
    ClientMetrics,
    /// Set on the group.
    Group,
}

impl ConfigSource {
    /// Kafka's number for it.
    pub fn to_wire(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// A value that holds, or would hold if those before it were removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Name it is set under.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Where it is set.
    pub source: ConfigSource,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Its value as text.
    pub value: String,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// All values that are set somewhere, in order of precedence.
    pub synonyms: Vec<ConfigSynonym>,
    /// Type of the value.
    pub kind: ConfigKind,
    /// Whether it can be changed only by a restart.
    pub read_only: bool,
    /// Whether the value is a secret, which is never told.
    pub sensitive: bool,
    /// What it does.
    pub documentation: &'static str,
}

impl ConfigEntry {
    /// True if nobody set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

/// What brokers were told while they ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DynamicConfigs {
    /// All of them.
    pub all_brokers: BTreeMap<String, String>,
    /// This one.
    pub this_broker: BTreeMap<String, String>,
}

/// A broker's settings in layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokerLayers<'a> {
    pub(crate) dynamic: &'a DynamicConfigs,
    /// What the broker was started with.
    pub(crate) started_with: &'a BrokerConfig,
}

impl BrokerLayers<'_> {
    /// Values of a broker setting, in order of precedence.
    fn synonyms_of(&self, name: &'static str) -> Vec<ConfigSynonym> {
        let defaults = BrokerConfig::default();
        let of = |value: Option<String>, source| value.map(|value| ConfigSynonym { name, value, source });
        let started_with = self.started_with.get(name);
        let default = defaults.get(name);
        let set_at_start = started_with
            .clone()
            .filter(|value| Some(value) != default.as_ref());
        [
            of(
                self.dynamic.this_broker.get(name).cloned(),
                ConfigSource::DynamicBroker,
            ),
            of(
                self.dynamic.all_brokers.get(name).cloned(),
                ConfigSource::DynamicDefaultBroker,
            ),
            of(set_at_start, ConfigSource::StaticBroker),
            of(default, ConfigSource::Default),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Every setting of the broker.
    pub(crate) fn describe_broker(&self) -> Vec<ConfigEntry> {
        let entry = |definition: &super::BrokerDefinition| ConfigEntry {
            read_only: !definition.dynamic,
            ..entry(
                definition.name,
                self.synonyms_of(definition.name),
                String::new,
                definition.kind,
                definition.documentation,
            )
        };
        BROKER_DEFINITIONS.iter().map(entry).collect()
    }

    /// What all brokers were told, and nothing else, as Kafka answers for the empty broker name.
    pub(crate) fn describe_all_brokers(&self) -> Vec<ConfigEntry> {
        let set = self.dynamic.all_brokers.iter();
        set.filter_map(|(name, value)| {
            let definition = broker_definition(name)?;
            let synonym = ConfigSynonym {
                name: definition.name,
                value: value.clone(),
                source: ConfigSource::DynamicDefaultBroker,
            };
            Some(entry(
                definition.name,
                vec![synonym],
                String::new,
                definition.kind,
                definition.documentation,
            ))
        })
        .collect()
    }

    /// Every setting of a topic with these of its own.
    pub(crate) fn describe_topic(&self, overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        let fallback = super::TopicSettings::default();
        let entry = |definition: &super::TopicDefinition| {
            let own = overrides.get(definition.name).map(|value| ConfigSynonym {
                name: definition.name,
                value: value.clone(),
                source: ConfigSource::Topic,
            });
            let of_broker = definition.broker_name.map(|name| self.synonyms_of(name));
            let synonyms = own.into_iter().chain(of_broker.into_iter().flatten());
            entry(
                definition.name,
                synonyms.collect(),
                || fallback.get(definition.name).unwrap_or_default(),
                definition.kind,
                definition.documentation,
            )
        };
        TOPIC_DEFINITIONS.iter().map(entry).collect()
    }

    /// Every setting of a group with these of its own.
    pub(crate) fn describe_group(&self, overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        let entry = |definition: &super::GroupDefinition| {
            let own = overrides.get(definition.name).map(|value| ConfigSynonym {
                name: definition.name,
                value: value.clone(),
                source: ConfigSource::Group,
            });
            let mut of_broker = self.synonyms_of(definition.broker_name);
            if of_broker.is_empty() {
                of_broker.push(ConfigSynonym {
                    name: definition.broker_name,
                    value: definition.default.to_string(),
                    source: ConfigSource::Default,
                });
            }
            entry(
                definition.name,
                own.into_iter().chain(of_broker).collect(),
                String::new,
                definition.kind,
                definition.documentation,
            )
        };
        GROUP_DEFINITIONS.iter().map(entry).collect()
    }
}

/// Every setting of a client metrics subscription with these of its own.
pub(crate) fn describe_client_metrics(overrides: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
    let entry = |definition: &super::ClientMetricsDefinition| {
        let own = overrides.get(definition.name).map(|value| ConfigSynonym {
            name: definition.name,
            value: value.clone(),
            source: ConfigSource::ClientMetrics,
        });
        let default = ConfigSynonym {
            name: definition.name,
            value: definition.default.to_owned(),
            source: ConfigSource::Default,
        };
        entry(
            definition.name,
            own.into_iter().chain([default]).collect(),
            String::new,
            definition.kind,
            definition.documentation,
        )
    };
    CLIENT_METRICS_DEFINITIONS.iter().map(entry).collect()
}

/// An entry that may be changed at any time; `fallback` is its value where nothing has one.
fn entry(
    name: &'static str,
    synonyms: Vec<ConfigSynonym>,
    fallback: impl FnOnce() -> String,
    kind: ConfigKind,
    documentation: &'static str,
) -> ConfigEntry {
    let (value, source) = match synonyms.first() {
        Some(first) => (first.value.clone(), first.source),
        None => (fallback(), ConfigSource::Default),
    };
    ConfigEntry {
        name,
        value,
        source,
        synonyms,
        kind,
        read_only: false,
        sensitive: false,
        documentation,
    }
}
