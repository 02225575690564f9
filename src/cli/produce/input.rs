//! The input of `produce`: cut on a thread of its own, because a read of stdin cannot be stopped by Ctrl-C.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::cli::failure::Failure;
use crate::cli::template::{Input, InputTemplate};

/// Records read ahead of delivery.
const AHEAD: usize = 1000;

/// How the input is cut.
#[derive(Debug)]
pub(super) enum Source {
    /// Objects as `consume` writes them, one a line.
    Json,
    Template(InputTemplate, bool),
}

#[derive(Deserialize)]
struct JsonRecord {
    partition: Option<i32>,
    timestamp: Option<i64>,
    key: Option<String>,
    value: Option<String>,
    #[serde(default)]
    headers: Vec<JsonHeader>,
    #[serde(default)]
    binary: Vec<String>,
}

#[derive(Deserialize)]
struct JsonHeader {
    key: String,
    value: Option<String>,
    #[serde(default)]
    binary: bool,
}

impl Source {
    /// Reads a template, or the word `json`.
    pub(super) fn parse(template: &str) -> Result<Source, Failure> {
        if template == "json" {
            return Ok(Source::Json);
        }
        let names_topics = template.contains("%t") || template.contains("%T");
        InputTemplate::parse(template).map(|parsed| Source::Template(parsed, names_topics))
    }

    /// Whether the records name their topic.
    pub(super) fn names_topics(&self) -> bool {
        matches!(self, Source::Template(_, true))
    }

    fn read(&self, input: &mut dyn BufRead) -> anyhow::Result<Option<Input>> {
        match self {
            Source::Template(template, _) => template.read(input),
            Source::Json => {
                let mut line = String::new();
                while line.trim().is_empty() {
                    line.clear();
                    if input.read_line(&mut line).context("cannot read the input")? == 0 {
                        return Ok(None);
                    }
                }
                let record: JsonRecord = serde_json::from_str(&line).context("no record as JSON")?;
                let bytes = |text: Option<String>, binary: bool| match text {
                    Some(text) if binary => STANDARD.decode(text).map(Some).context("no base64"),
                    text => Ok(text.map(String::into_bytes)),
                };
                let is_binary = |name: &str| record.binary.iter().any(|binary| binary == name);
                let (key_is_binary, value_is_binary) = (is_binary("key"), is_binary("value"));
                Ok(Some(Input {
                    topic: None,
                    partition: record.partition,
                    timestamp: record.timestamp,
                    key: bytes(record.key, key_is_binary)?,
                    value: bytes(record.value, value_is_binary)?,
                    headers: record
                        .headers
                        .into_iter()
                        .map(|header| Ok((header.key, bytes(header.value, header.binary)?)))
                        .collect::<anyhow::Result<_>>()?,
                }))
            }
        }
    }
}

/// Begins to read; the channel ends with the input, or with the error that ended it.
pub(super) fn start(
    source: Source,
    path: Option<PathBuf>,
) -> anyhow::Result<Receiver<anyhow::Result<Input>>> {
    let mut input: Box<dyn BufRead + Send> = match &path {
        Some(path) if path.as_os_str() != "-" => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Box::new(BufReader::with_capacity(1 << 18, file))
        }
        _ => Box::new(BufReader::with_capacity(1 << 16, std::io::stdin())),
    };
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::Builder::new()
        .name("produce-input".to_owned())
        .spawn(move || {
            for number in 1_u64.. {
                let read = source
                    .read(&mut *input)
                    .with_context(|| format!("record {number} of the input"))
                    .transpose();
                let Some(read) = read else { break };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    break;
                }
            }
        })
        .context("cannot start a thread")?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_reads_what_consume_writes() {
        let line = "{\"topic\":\"t\",\"partition\":2,\"offset\":7,\"timestamp\":5,\"key\":null,\"value\":\"/wA=\",\
                    \"headers\":[{\"key\":\"h\",\"value\":\"/w==\",\"binary\":true},{\"key\":\"n\",\"value\":null,\"binary\":false}],\
                    \"binary\":[\"value\"]}\n\n";
        let mut input = line.as_bytes();
        let read = Source::Json.read(&mut input).expect("valid").expect("a record");
        assert_eq!(
            read,
            Input {
                topic: None,
                key: None,
                value: Some(vec![0xff, 0]),
                partition: Some(2),
                timestamp: Some(5),
                headers: vec![("h".to_owned(), Some(vec![0xff])), ("n".to_owned(), None)],
            }
        );
        assert!(Source::Json.read(&mut input).expect("the end").is_none());
        assert!(Source::Json.read(&mut &b"{oops\n"[..]).is_err());
    }
}
