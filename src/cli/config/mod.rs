//! `millpond config`: settings of topics, brokers, groups and client metrics; what `topic alter` and `topic describe` use too.
//!
//! What is always true: a change touches only the settings it names (IncrementalAlterConfigs); a name that the resource does not know
//! is sent all the same, because brokers have plugins, but warned about with the near miss. `verbs.rs` has the flags.

mod verbs;

pub(crate) use self::verbs::{ConfigArgs, run, shapes};

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use serde_json::{Value, json};

use super::document::{Column, Document, Kind, Shape, TableShape};
use super::failed::Failed;
use super::failure::Failure;
use super::near::near_miss;
use super::settings::warn;
use super::wire::{Client, To, code_name, kafka_failure, text};

/// What has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Resource {
    /// A topic
    Topic,
    /// A broker by its id; an empty name is the default of all brokers
    Broker,
    /// A consumer group
    Group,
    /// A subscription to client metrics
    Client,
}

impl Resource {
    fn code(self) -> i8 {
        match self {
            Resource::Topic => 2,
            Resource::Broker => 4,
            Resource::Client => 16,
            Resource::Group => 32,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Resource::Topic => "topic",
            Resource::Broker => "broker",
            Resource::Group => "group",
            Resource::Client => "client",
        }
    }

    /// A broker answers for itself alone.
    fn target(self, name: &str) -> Result<To<'static>, Failure> {
        match self {
            Resource::Broker if !name.is_empty() => name.parse().map(To::Node).map_err(|_| {
                Failure::usage(format!("\"{name}\" is no id of a broker")).hint("for example 1")
            }),
            _ => Ok(To::Any),
        }
    }
}

/// A setting as the cluster tells it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) origin: &'static str,
    pub(crate) read_only: bool,
    pub(crate) sensitive: bool,
    pub(crate) about: Option<String>,
}

/// All settings of a resource, by name.
pub(crate) async fn describe(
    client: &mut Client,
    resource: Resource,
    name: &str,
    documentation: bool,
) -> anyhow::Result<Vec<Entry>> {
    let answer = client
        .ask(
            resource.target(name)?,
            |version| {
                let request = DescribeConfigsRequest::default()
                    .with_include_synonyms(version >= 1)
                    .with_resources(vec![
                        DescribeConfigsResource::default()
                            .with_resource_type(resource.code())
                            .with_resource_name(text(name))
                            .with_configuration_keys(None),
                    ]);
                if version >= 3 {
                    request.with_include_documentation(documentation)
                } else {
                    request
                }
            },
            |answer| answer.results.first().map_or(0, |result| result.error_code),
        )
        .await?;
    let mut entries = Vec::new();
    for result in answer.results {
        if result.error_code != 0 {
            let what = format!("{} {name}", resource.word());
            return Err(kafka_failure(&what, result.error_code, result.error_message.as_deref()).into());
        }
        for config in result.configs {
            let default = config.synonyms.iter().find(|synonym| synonym.source == 5);
            let default = default.and_then(|synonym| synonym.value.as_ref());
            let value = config.value.as_ref().map(ToString::to_string);
            entries.push(Entry {
                name: config.name.to_string(),
                default: match config.config_source {
                    5 => value.clone(),
                    _ => default.map(ToString::to_string),
                },
                value,
                origin: origin(config.config_source),
                read_only: config.read_only,
                sensitive: config.is_sensitive,
                about: config.documentation.map(|about| about.to_string()),
            });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn origin(source: i8) -> &'static str {
    match source {
        1 => "topic",
        2 => "broker",
        3 => "all brokers",
        4 => "broker file",
        5 => "default",
        6 => "broker logger",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    name: String,
    /// 0 sets, 1 goes back to the default, 2 adds to a list, 3 takes away from it.
    operation: i8,
    value: Option<String>,
}

impl Change {
    /// Reads `KEY=VALUE`, `KEY+=VALUE` or `KEY-=VALUE`.
    pub(crate) fn parse(setting: &str) -> Result<Change, Failure> {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            Failure::usage(format!("{setting}: not of the form KEY=VALUE"))
                .hint("for example retention.ms=604800000")
        })?;
        let (name, operation) = match (name.strip_suffix('+'), name.strip_suffix('-')) {
            (Some(name), _) => (name, 2),
            (_, Some(name)) => (name, 3),
            _ => (name, 0),
        };
        // Kafka's scripts write lists in brackets, so that their commas do not part settings.
        let value = value
            .strip_prefix('[')
            .and_then(|value| value.strip_suffix(']'))
            .unwrap_or(value);
        Ok(Change {
            name: name.trim().to_owned(),
            operation,
            value: Some(value.to_owned()),
        })
    }

    /// Back to the default.
    pub(crate) fn unset(name: &str) -> Change {
        Change {
            name: name.to_owned(),
            operation: 1,
            value: None,
        }
    }
}

/// Tables of what a change did.
pub(crate) const CHANGE_TABLES: &[TableShape] = &[TableShape {
    name: "changes",
    columns: &[
        Column("resource", Kind::Text, "topic, broker, group or client"),
        Column("name", Kind::Text, "its name"),
        Column("config", Kind::Text, "the setting"),
        Column("old_value", Kind::Text, "value before"),
        Column(
            "new_value",
            Kind::Text,
            "value afterwards, or as it would be (--dry-run)",
        ),
        Column("status", Kind::Text, "changed, valid (--dry-run) or failed"),
        Column("error", Kind::Text, "Kafka's code if it failed"),
    ],
}];

/// Makes the same changes on several resources.
pub(crate) async fn change(
    client: &mut Client,
    shape: &'static Shape,
    resources: &[(Resource, String)],
    changes: &[Change],
    dry_run: bool,
    failed: &mut Failed,
) -> anyhow::Result<Document> {
    let mut document = Document::new(shape);
    for (resource, name) in resources {
        let before = describe(client, *resource, name, false).await?;
        let mut near = None;
        for change in changes {
            if before.is_empty() || before.iter().any(|entry| entry.name == change.name) {
                continue;
            }
            near = near_miss(&change.name, before.iter().map(|entry| entry.name.as_str())).map(str::to_owned);
            let hint = near
                .as_ref()
                .map(|near| format!(", did you mean {near}?"))
                .unwrap_or_default();
            warn(&format!(
                "{} {name} does not know {}{hint}",
                resource.word(),
                change.name
            ));
        }
        let answer = client
            .ask(
                resource.target(name)?,
                |_| {
                    IncrementalAlterConfigsRequest::default()
                        .with_validate_only(dry_run)
                        .with_resources(vec![
                            AlterConfigsResource::default()
                                .with_resource_type(resource.code())
                                .with_resource_name(text(name.clone()))
                                .with_configs(
                                    changes
                                        .iter()
                                        .map(|change| {
                                            AlterableConfig::default()
                                                .with_name(text(change.name.clone()))
                                                .with_config_operation(change.operation)
                                                .with_value(change.value.clone().map(text))
                                        })
                                        .collect(),
                                ),
                        ])
                },
                |answer| answer.responses.first().map_or(0, |result| result.error_code),
            )
            .await?;
        let result = answer.responses.first();
        let code = result.map_or(0, |result| result.error_code);
        if let Some(result) = result.filter(|result| result.error_code != 0) {
            let what = format!("{} {name}", resource.word());
            let mut failure = kafka_failure(&what, result.error_code, result.error_message.as_deref());
            if let Some(near) = near {
                failure = failure.hint(format!("did you mean {near}?"));
            }
            failed.push(failure);
        }
        let value_in = |entries: &[Entry], change: &Change| {
            let entry = entries.iter().find(|entry| entry.name == change.name);
            entry.and_then(|entry| {
                if entry.sensitive {
                    Some("(hidden)".to_owned())
                } else {
                    entry.value.clone()
                }
            })
        };
        for change in changes {
            let old = value_in(&before, change);
            let new = match (code, change.operation) {
                (0, 0) => change.value.clone(),
                (0, 1) => {
                    let entry = before.iter().find(|entry| entry.name == change.name);
                    entry.and_then(|entry| entry.default.clone())
                }
                (0, operation) => Some(edited_list(
                    old.as_deref(),
                    change.value.as_deref(),
                    operation == 2,
                )),
                _ => old.clone(),
            };
            document.push(vec![
                json!(resource.word()),
                json!(name),
                json!(change.name),
                json!(old),
                json!(new),
                json!(match code {
                    0 if dry_run => "valid",
                    0 => "changed",
                    _ => "failed",
                }),
                if code == 0 {
                    Value::Null
                } else {
                    json!(code_name(code))
                },
            ]);
        }
    }
    Ok(document)
}

fn edited_list(old: Option<&str>, change: Option<&str>, add: bool) -> String {
    let split = |list: Option<&str>| -> Vec<String> {
        list.unwrap_or_default()
            .split(',')
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (mut items, change) = (split(old), split(change));
    items.retain(|item| !change.contains(item));
    if add {
        items.extend(change);
    }
    items.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_set_add_and_take_away() {
        let change = |name: &str, operation, value: &str| Change {
            name: name.to_owned(),
            operation,
            value: Some(value.to_owned()),
        };
        for (text, wanted) in [
            ("a.b=1", change("a.b", 0, "1")),
            ("a.b+=x", change("a.b", 2, "x")),
            ("a.b-=x", change("a.b", 3, "x")),
            ("a.b=[x,y]", change("a.b", 0, "x,y")),
            ("a.b=", change("a.b", 0, "")),
        ] {
            assert_eq!(Change::parse(text).expect(text), wanted);
        }
        assert!(Change::parse("a.b").is_err());
    }

    #[test]
    fn lists_are_shown_as_they_become() {
        assert_eq!(
            edited_list(Some("delete"), Some("compact"), true),
            "delete,compact"
        );
        assert_eq!(
            edited_list(Some("delete,compact"), Some("compact"), false),
            "delete"
        );
        assert_eq!(edited_list(None, Some("compact"), true), "compact");
    }
}
