//! Which topics a verb is about: by name, or by a regular expression that matches whole names.

use clap::Args;
use regex::Regex;

use crate::cli::failure::Failure;
use crate::cli::near::did_you_mean;
use crate::cli::wire::{Client, Topic, kafka_failure};

const UNKNOWN_TOPIC: i16 = 3;

/// Topics by name.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct TopicNames {
    /// Names of topics
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,

    /// Topics whose whole name matches this
    #[arg(short = 'r', long = "regex", value_name = "RE")]
    regex: Option<String>,

    /// Kafka's way to name the topic
    #[arg(long = "topic", value_name = "TOPIC", hide = true)]
    kafka_names: Vec<String>,
}

impl TopicNames {
    /// Names as given, without the regular expression.
    pub(crate) fn given(&self) -> Vec<String> {
        let mut names = self.names.clone();
        names.extend(
            self.kafka_names
                .iter()
                .flat_map(|names| names.split(','))
                .map(str::to_owned),
        );
        names
    }

    /// Whether nothing was chosen.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.kafka_names.is_empty() && self.regex.is_none()
    }

    /// The topics that are meant. Each that is missing is a failure of its own.
    pub(crate) async fn find(&self, client: &mut Client) -> anyhow::Result<(Vec<Topic>, Vec<Failure>)> {
        if self.is_empty() {
            return Err(Failure::usage("no topic is named")
                .hint("name topics, or choose them by -r RE")
                .into());
        }
        let given = self.given();
        let mut topics = Vec::new();
        let mut failures = Vec::new();
        if let Some(regex) = &self.regex {
            let regex = whole(regex)?;
            let all = client.topics(None).await?;
            topics.extend(all.into_iter().filter(|topic| regex.is_match(&topic.name)));
            if topics.is_empty() && given.is_empty() {
                return Err(Failure::failed(format!("no topic matches {}", regex.as_str()))
                    .hint("the whole name must match; `millpond topic list` shows what there is")
                    .into());
            }
        }
        for topic in client.topics(Some(&given)).await? {
            if topic.error == 0 {
                topics.push(topic);
            } else {
                failures.push(missing(client, &topic.name, topic.error).await?);
            }
        }
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup_by(|a, b| a.name == b.name);
        Ok((topics, failures))
    }

    /// All topics if nothing was chosen, else as [`TopicNames::find`].
    pub(crate) async fn find_or_all(
        &self,
        client: &mut Client,
    ) -> anyhow::Result<(Vec<Topic>, Vec<Failure>)> {
        if self.is_empty() {
            Ok((client.topics(None).await?, Vec::new()))
        } else {
            self.find(client).await
        }
    }
}

/// One topic that must exist.
pub(crate) async fn the_topic(client: &mut Client, name: &str) -> anyhow::Result<Topic> {
    let found = client.topics(Some(&[name.to_owned()])).await?;
    match found.into_iter().next() {
        Some(topic) if topic.error == 0 => Ok(topic),
        Some(topic) => Err(missing(client, name, topic.error).await?.into()),
        None => Err(missing(client, name, UNKNOWN_TOPIC).await?.into()),
    }
}

/// Why a topic is not to be had; for one that does not exist with the near miss.
pub(crate) async fn missing(client: &mut Client, name: &str, error: i16) -> anyhow::Result<Failure> {
    let failure = kafka_failure(&format!("topic {name}"), error, None);
    if error != UNKNOWN_TOPIC {
        return Ok(failure);
    }
    let names = client.topic_names().await?;
    Ok(failure.hint(did_you_mean(name, names.iter().map(String::as_str), "topic list")))
}

/// A regular expression that must match from the first letter to the last.
pub(crate) fn whole(regex: &str) -> Result<Regex, Failure> {
    Regex::new(&format!("^(?:{regex})$")).map_err(|error| {
        Failure::usage(format!(
            "-r {regex}: {}",
            error.to_string().lines().last().unwrap_or_default()
        ))
        .hint("the syntax is that of Rust's regex crate, close to Perl's")
    })
}
