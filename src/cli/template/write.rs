//! Printing records by a template.
//!
//! What is always true: a fact that is not known prints as Kafka's own "unknown" (-1), a null key or value as nothing.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Attribute, Number, NumberForm, Piece, Text, TextForm, TimeForm, parse, unpack};
use crate::cli::failure::Failure;
use crate::cli::time;

/// A record with all that can be printed of it; `None` is unknown, or null for key and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    /// `CreateTime` or `LogAppendTime`.
    pub(crate) timestamp_type: Option<&'static str>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<(&'a [u8], Option<&'a [u8]>)>,
    pub(crate) producer_id: Option<i64>,
    pub(crate) producer_epoch: Option<i16>,
    pub(crate) compression: Option<String>,
    pub(crate) transactional: Option<bool>,
    pub(crate) control: Option<bool>,
    pub(crate) log_start: Option<i64>,
    pub(crate) last_stable: Option<i64>,
    pub(crate) high_watermark: Option<i64>,
}

/// A template for printing.
#[derive(Clone, Debug)]
pub(crate) struct OutputTemplate {
    pieces: Vec<Piece>,
}

impl OutputTemplate {
    /// Reads a template.
    pub(crate) fn parse(template: &str) -> Result<OutputTemplate, Failure> {
        let pieces = parse(template)?;
        let sized = |piece: &Piece| matches!(piece, Piece::Text(_, TextForm::Sized(_)));
        let inner = |piece: &Piece| match piece {
            Piece::Headers(inner) => inner.iter().any(sized),
            other => sized(other),
        };
        if pieces.iter().any(inner) {
            return Err(Failure::usage(format!(
                "template '{}': a number of bytes is a form for reading, not for printing",
                template.escape_debug()
            )));
        }
        Ok(OutputTemplate { pieces })
    }

    /// Writes a record; `count` is how many were written with it.
    pub(crate) fn write(&self, record: &Shown<'_>, count: u64, out: &mut dyn Write) -> io::Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.write_all(bytes)?,
                Piece::Text(field, form) => write_text(text(record, *field), form, out)?,
                Piece::Number(field, form) => write_number(number(record, *field, count), *form, out)?,
                Piece::Time(TimeForm::Millis(form)) => {
                    write_number(record.timestamp.unwrap_or(-1), *form, out)?;
                }
                Piece::Time(TimeForm::Strftime(pattern)) => match record.timestamp {
                    Some(at) => out.write_all(time::strftime(pattern, at).as_bytes())?,
                    None => out.write_all(b"-1")?,
                },
                Piece::Attribute(attribute) => write_attribute(record, *attribute, out)?,
                Piece::Headers(pieces) => {
                    for (key, value) in &record.headers {
                        write_header(pieces, key, *value, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn write_header(pieces: &[Piece], key: &[u8], value: Option<&[u8]>, out: &mut dyn Write) -> io::Result<()> {
    for piece in pieces {
        match piece {
            Piece::Literal(bytes) => out.write_all(bytes)?,
            Piece::Text(Text::Key, form) => write_text(Some(key), form, out)?,
            Piece::Text(_, form) => write_text(value, form, out)?,
            Piece::Number(Number::KeyLength, form) => write_number(length(Some(key)), *form, out)?,
            Piece::Number(_, form) => write_number(length(value), *form, out)?,
            Piece::Time(_) | Piece::Attribute(_) | Piece::Headers(_) => {
                unreachable!("the parser lets only key and value into %h{{…}}")
            }
        }
    }
    Ok(())
}

fn text<'a>(record: &Shown<'a>, field: Text) -> Option<&'a [u8]> {
    match field {
        Text::Topic => Some(record.topic.as_bytes()),
        Text::Key => record.key,
        Text::Value => record.value,
    }
}

fn number(record: &Shown<'_>, field: Number, count: u64) -> i64 {
    match field {
        Number::TopicLength => length(Some(record.topic.as_bytes())),
        Number::KeyLength => length(record.key),
        Number::ValueLength => length(record.value),
        Number::HeaderCount => i64::try_from(record.headers.len()).unwrap_or(i64::MAX),
        Number::Partition => i64::from(record.partition),
        Number::Offset => record.offset,
        Number::LeaderEpoch => record.leader_epoch.map_or(-1, i64::from),
        Number::ProducerId => record.producer_id.unwrap_or(-1),
        Number::ProducerEpoch => record.producer_epoch.map_or(-1, i64::from),
        Number::Count => i64::try_from(count).unwrap_or(i64::MAX),
        Number::LogStart => record.log_start.unwrap_or(-1),
        Number::LastStable => record.last_stable.unwrap_or(-1),
        Number::HighWatermark => record.high_watermark.unwrap_or(-1),
    }
}

/// Kafka writes -1 as the length of what is null.
fn length(bytes: Option<&[u8]>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

fn write_text(bytes: Option<&[u8]>, form: &TextForm, out: &mut dyn Write) -> io::Result<()> {
    let Some(bytes) = bytes else {
        return match form {
            TextForm::Json => out.write_all(b"null"),
            _ => Ok(()),
        };
    };
    match form {
        TextForm::Raw | TextForm::Sized(_) => out.write_all(bytes),
        TextForm::Hex => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        TextForm::Base64 => out.write_all(STANDARD.encode(bytes).as_bytes()),
        TextForm::Json => match serde_json::from_slice::<serde_json::Value>(bytes) {
            Ok(value) => write!(out, "{value}"),
            Err(_) => write!(
                out,
                "{}",
                serde_json::Value::from(String::from_utf8_lossy(bytes).as_ref())
            ),
        },
        TextForm::Unpack(steps) => unpack::write(steps, bytes, out),
    }
}

fn write_number(value: i64, form: NumberForm, out: &mut dyn Write) -> io::Result<()> {
    match form {
        NumberForm::Ascii => write!(out, "{value}"),
        NumberForm::Bool => write!(out, "{}", value != 0),
        NumberForm::Hex(digits) => {
            let low = if digits == 1 || digits >= 16 {
                value
            } else {
                value & ((1 << (4 * digits)) - 1)
            };
            write!(out, "{low:0digits$x}")
        }
        NumberForm::Big(bytes) => out.write_all(&value.to_be_bytes()[8 - bytes..]),
        NumberForm::Little(bytes) => out.write_all(&value.to_le_bytes()[..bytes]),
    }
}

fn write_attribute(record: &Shown<'_>, attribute: Attribute, out: &mut dyn Write) -> io::Result<()> {
    let bit = |known: Option<bool>| known.map_or("-1".to_owned(), |bit| u8::from(bit).to_string());
    let text = match attribute {
        Attribute::Compression => record.compression.clone().unwrap_or_else(|| "-1".to_owned()),
        Attribute::TimestampType => record.timestamp_type.unwrap_or("-1").to_owned(),
        Attribute::Transactional => bit(record.transactional),
        Attribute::Control => bit(record.control),
    };
    out.write_all(text.as_bytes())
}
