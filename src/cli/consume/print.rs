//! Records on their way to stdout: chosen by `--grep`, counted by `-n`, printed as JSON or by a template.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::Regex;
use serde::Serialize;

use crate::cli::document::{Column, DocumentFormat, Kind, Shape, TableShape};
use crate::cli::failure::Failure;
use crate::cli::summary::Moved;
use crate::cli::template::{OutputTemplate, Shown};

/// The shape of a record; JSON is one object a line.
pub(crate) static SHAPE: Shape = Shape {
    kind: "record (one object a line, without kind and version)",
    tables: &[TableShape {
        name: "",
        columns: &[
            Column("topic", Kind::Text, "where it lies"),
            Column("partition", Kind::Count, "number"),
            Column("offset", Kind::Count, "its place"),
            Column("timestamp", Kind::Time, "when it was written, or happened"),
            Column("key", Kind::Text, "null if it has none; base64 if it is no text"),
            Column(
                "value",
                Kind::Text,
                "null for a tombstone; base64 if it is no text",
            ),
            Column("headers", Kind::List, "objects of key, value and binary"),
            Column("binary", Kind::List, "which of key and value are base64"),
        ],
    }],
};

/// What becomes of a record.
#[derive(Debug)]
enum Form {
    Json,
    Template(OutputTemplate),
}

/// Prints records until there were enough.
#[derive(Debug)]
pub(super) struct Printer {
    form: Form,
    grep: Option<Regex>,
    left: Option<u64>,
    pub(super) moved: Moved,
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<std::borrow::Cow<'a, str>>,
    value: Option<std::borrow::Cow<'a, str>>,
    headers: Vec<JsonHeader<'a>>,
    binary: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonHeader<'a> {
    key: std::borrow::Cow<'a, str>,
    value: Option<std::borrow::Cow<'a, str>>,
    binary: bool,
}

impl Printer {
    pub(super) fn new(
        template: Option<&str>,
        format: Option<DocumentFormat>,
        grep: Option<Regex>,
        count: Option<u64>,
    ) -> Result<Printer, Failure> {
        let template = match (template, format) {
            (Some(template), _) => Some(template),
            (None, Some(DocumentFormat::Text)) => Some("%v\\n"),
            (None, Some(DocumentFormat::Awk)) => Some("%t\\t%p\\t%o\\t%d\\t%k\\t%v\\n"),
            (None, _) => None,
        };
        Ok(Printer {
            form: match template {
                Some(template) => Form::Template(OutputTemplate::parse(template)?),
                None => Form::Json,
            },
            grep,
            left: count,
            moved: Moved::default(),
        })
    }

    /// Whether enough records were printed.
    pub(super) fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Prints a record if it is one of those wanted.
    pub(super) fn print(&mut self, record: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
        if let Some(grep) = &self.grep {
            let headers = record
                .headers
                .iter()
                .flat_map(|(key, value)| [Some(*key), *value]);
            let mut fields = [record.key, record.value].into_iter().chain(headers).flatten();
            if !fields.any(|field| grep.is_match(field)) {
                return Ok(());
            }
        }
        self.moved
            .add(record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len));
        match &self.form {
            Form::Template(template) => template.write(record, self.moved.records, out)?,
            Form::Json => write_json(record, out)?,
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(())
    }
}

fn write_json(record: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut binary = Vec::new();
    let key = record.key.map(|key| readable(key, "key", &mut binary));
    let value = record.value.map(|value| readable(value, "value", &mut binary));
    let headers = record
        .headers
        .iter()
        .map(|(key, value)| {
            let mut binary = Vec::new();
            JsonHeader {
                key: String::from_utf8_lossy(key),
                value: value.map(|value| readable(value, "value", &mut binary)),
                binary: !binary.is_empty(),
            }
        })
        .collect();
    let record = JsonRecord {
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key,
        value,
        headers,
        binary,
    };
    // Written in one piece: a serialiser writes every quote and comma by itself.
    let mut line = serde_json::to_vec(&record).map_err(io::Error::from)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Text as it is, other bytes as base64 and their field named.
fn readable<'a>(
    bytes: &'a [u8],
    name: &'static str,
    binary: &mut Vec<&'static str>,
) -> std::borrow::Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            binary.push(name);
            STANDARD.encode(bytes).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(grep: Option<&str>, count: Option<u64>) -> String {
        let grep = grep.map(|grep| Regex::new(grep).expect("valid"));
        let mut printer = Printer::new(None, None, grep, count).expect("valid");
        let mut out = Vec::new();
        for (offset, value) in [(7, &b"plain"[..]), (8, &b"\xff\x00"[..]), (9, &b"\"q\"\n"[..])] {
            if printer.is_full() {
                break;
            }
            let record = Shown {
                topic: "t",
                offset,
                timestamp: Some(5),
                value: Some(value),
                headers: vec![(b"h", Some(b"\xff")), (b"n", None)],
                ..Shown::default()
            };
            printer
                .print(&record, &mut out)
                .expect("a vector takes every write");
        }
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn a_record_is_one_line_with_all_its_keys_and_binary_as_base64() {
        let first = printed(None, Some(1));
        assert_eq!(
            first,
            "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"timestamp\":5,\"key\":null,\"value\":\"plain\",\
             \"headers\":[{\"key\":\"h\",\"value\":\"/w==\",\"binary\":true},{\"key\":\"n\",\"value\":null,\"binary\":false}],\
             \"binary\":[]}\n"
        );
        let all = printed(None, None);
        assert_eq!(all.lines().count(), 3, "{all}");
        assert!(
            all.contains("\"value\":\"/wA=\"") && all.contains("\"binary\":[\"value\"]"),
            "{all}"
        );
    }

    #[test]
    fn grep_looks_at_key_value_and_headers_and_n_counts_what_was_printed() {
        assert_eq!(printed(Some("^pla"), None).lines().count(), 1);
        assert_eq!(printed(Some("^n$"), Some(2)).lines().count(), 2);
        assert_eq!(printed(Some("nowhere"), None), "");
    }
}
