//! Cutting input into records by a template.
//!
//! What is always true: bytes of a record end where the next literal begins (or where the input ends, for the last of them),
//! unless a length was read before them (`%K{big32}%k`) or stands in the form (`%v{8}`). Input that ends between two
//! records is the end; input that ends inside a record is an error that counts the record.

use std::io::BufRead;
use std::iter::Peekable;
use std::slice::Iter;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Number, NumberForm, Piece, Text, TextForm, TimeForm, parse};
use crate::cli::failure::Failure;

/// Bytes read for one record before it is refused: no broker takes more.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// A record as it was read; what the template does not name is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) topic: Option<String>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A template for reading.
#[derive(Clone, Debug)]
pub(crate) struct InputTemplate {
    pieces: Vec<Piece>,
}

/// Lengths read so far in a record; `Some(None)` is the length of null.
#[derive(Debug, Default)]
struct Lengths {
    topic: Option<Option<usize>>,
    key: Option<Option<usize>>,
    value: Option<Option<usize>>,
    headers: Option<Option<usize>>,
}

impl InputTemplate {
    /// Reads a template; refuses fields that a producer cannot set.
    pub(crate) fn parse(template: &str) -> Result<InputTemplate, Failure> {
        let pieces = parse(template)?;
        let wrong = |why: &str| Failure::usage(format!("template '{}': {why}", template.escape_debug()));
        let mut counted = false;
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Literal(_) => {}
                Piece::Text(_, TextForm::Unpack(_)) => return Err(wrong("unpack is a form for printing")),
                Piece::Text(field, TextForm::Raw | TextForm::Hex | TextForm::Base64) => {
                    let length = match field {
                        Text::Topic => Number::TopicLength,
                        Text::Key => Number::KeyLength,
                        Text::Value => Number::ValueLength,
                    };
                    let sized = pieces[..at]
                        .iter()
                        .any(|piece| matches!(piece, Piece::Number(number, _) if *number == length));
                    let next = pieces.get(at + 1);
                    if !sized && !matches!(next, None | Some(Piece::Literal(_))) {
                        return Err(
                            wrong("two fields touch, so where the first ends cannot be seen").hint(
                                "put a separator between them, or a length before the first: %K{big32}%k",
                            ),
                        );
                    }
                }
                Piece::Text(_, TextForm::Json | TextForm::Sized(_)) => {}
                Piece::Number(Number::HeaderCount, _) => counted = true,
                Piece::Number(
                    Number::TopicLength | Number::KeyLength | Number::ValueLength | Number::Partition,
                    _,
                )
                | Piece::Time(TimeForm::Millis(_)) => {}
                Piece::Time(TimeForm::Strftime(_)) => return Err(wrong("strftime is a form for printing")),
                Piece::Headers(_) if !counted => {
                    return Err(wrong("%h{…} needs %H, the number of headers, before it"));
                }
                Piece::Headers(_) => {}
                Piece::Number(..) | Piece::Attribute(_) => {
                    return Err(wrong(
                        "a producer sets only %t %k %v %p %d %h{…}, and the lengths %T %K %V %H",
                    ));
                }
            }
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
            return Err(wrong("it has no field"));
        }
        Ok(InputTemplate { pieces })
    }

    /// Reads the next record, or `None` where the input ends.
    pub(crate) fn read(&self, input: &mut dyn BufRead) -> anyhow::Result<Option<Input>> {
        if input.fill_buf().context("cannot read the input")?.is_empty() {
            return Ok(None);
        }
        let mut record = Input::default();
        let mut lengths = Lengths::default();
        let mut pieces = self.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Literal(bytes) => expect(input, bytes, pieces.peek().is_none())?,
                Piece::Headers(inner) => {
                    for _ in 0..lengths.headers.flatten().unwrap_or(0) {
                        record.headers.push(read_header(inner, input)?);
                    }
                }
                Piece::Time(TimeForm::Millis(form)) => record.timestamp = Some(read_number(input, *form)?),
                Piece::Number(field, form) => {
                    let number = read_number(input, *form)?;
                    let length = usize::try_from(number).ok();
                    match field {
                        Number::Partition => {
                            record.partition =
                                Some(i32::try_from(number).context("no partition has this number")?);
                        }
                        Number::TopicLength => lengths.topic = Some(length),
                        Number::KeyLength => lengths.key = Some(length),
                        Number::ValueLength => lengths.value = Some(length),
                        _ => lengths.headers = Some(length),
                    }
                }
                Piece::Text(field, form) => {
                    let length = match field {
                        Text::Topic => lengths.topic,
                        Text::Key => lengths.key,
                        Text::Value => lengths.value,
                    };
                    let bytes = read_text(input, form, length, &mut pieces, true)?;
                    match field {
                        Text::Topic => {
                            record.topic = bytes
                                .map(String::from_utf8)
                                .transpose()
                                .context("the topic is no UTF-8")?;
                        }
                        Text::Key => record.key = bytes,
                        Text::Value => record.value = bytes,
                    }
                }
                Piece::Time(TimeForm::Strftime(_)) | Piece::Attribute(_) => {
                    unreachable!("refused when the template was read")
                }
            }
        }
        Ok(Some(record))
    }
}

fn read_header(pieces: &[Piece], input: &mut dyn BufRead) -> anyhow::Result<(String, Option<Vec<u8>>)> {
    let (mut key, mut value) = (None, None);
    let (mut key_length, mut value_length) = (None, None);
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Literal(bytes) => expect(input, bytes, false)?,
            Piece::Number(field, form) => {
                let length = Some(usize::try_from(read_number(input, *form)?).ok());
                match field {
                    Number::KeyLength => key_length = length,
                    _ => value_length = length,
                }
            }
            Piece::Text(Text::Key, form) => key = read_text(input, form, key_length, &mut pieces, false)?,
            Piece::Text(_, form) => value = read_text(input, form, value_length, &mut pieces, false)?,
            Piece::Time(_) | Piece::Attribute(_) | Piece::Headers(_) => {
                unreachable!("the parser lets only key and value into %h{{…}}")
            }
        }
    }
    let key = String::from_utf8(key.unwrap_or_default()).context("a header key is no UTF-8")?;
    Ok((key, value))
}

/// Reads a literal. Where the input ends at the last one, it may be missing: files often lack the last line feed.
fn expect(input: &mut dyn BufRead, literal: &[u8], last: bool) -> anyhow::Result<()> {
    for (at, wanted) in literal.iter().enumerate() {
        match byte(input)? {
            Some(byte) if byte == *wanted => {}
            Some(_) => anyhow::bail!(
                "the input does not fit the template: \"{}\" is missing",
                literal.escape_ascii()
            ),
            None if last && at == 0 => return Ok(()),
            None => anyhow::bail!("the input ends inside a record"),
        }
    }
    Ok(())
}

fn byte(input: &mut dyn BufRead) -> anyhow::Result<Option<u8>> {
    let first = input
        .fill_buf()
        .context("cannot read the input")?
        .first()
        .copied();
    if first.is_some() {
        input.consume(1);
    }
    Ok(first)
}

fn read_number(input: &mut dyn BufRead, form: NumberForm) -> anyhow::Result<i64> {
    let fixed = |input: &mut dyn BufRead, count: usize| -> anyhow::Result<Vec<u8>> {
        exactly(input, count).map(|bytes| bytes.to_vec())
    };
    Ok(match form {
        NumberForm::Big(count) => sign(
            fixed(input, count)?
                .iter()
                .fold(0, |value: u64, byte| value << 8 | u64::from(*byte)),
            count,
        ),
        NumberForm::Little(count) => sign(
            fixed(input, count)?
                .iter()
                .rev()
                .fold(0, |value: u64, byte| value << 8 | u64::from(*byte)),
            count,
        ),
        NumberForm::Hex(digits) if digits > 1 => {
            let text = String::from_utf8(fixed(input, digits)?).context("a number is no text")?;
            i64::from_str_radix(&text, 16).with_context(|| format!("\"{text}\" is no hexadecimal number"))?
        }
        NumberForm::Hex(_) => {
            let text = while_letters(input, |byte| byte.is_ascii_hexdigit())?;
            i64::from_str_radix(&text, 16).with_context(|| format!("\"{text}\" is no hexadecimal number"))?
        }
        NumberForm::Ascii => {
            let text = while_letters(input, |byte| byte.is_ascii_digit() || byte == b'-')?;
            text.parse().with_context(|| format!("\"{text}\" is no number"))?
        }
        NumberForm::Bool => {
            let text = while_letters(input, |byte| byte.is_ascii_alphabetic())?;
            i64::from(
                text.parse::<bool>()
                    .with_context(|| format!("\"{text}\" is neither true nor false"))?,
            )
        }
    })
}

fn sign(value: u64, bytes: usize) -> i64 {
    let shift = 64 - 8 * bytes;
    (value << shift) as i64 >> shift
}

fn while_letters(input: &mut dyn BufRead, fits: impl Fn(u8) -> bool) -> anyhow::Result<String> {
    let mut text = String::new();
    while let Some(byte) = input
        .fill_buf()
        .context("cannot read the input")?
        .first()
        .copied()
    {
        if !fits(byte) {
            break;
        }
        text.push(char::from(byte));
        input.consume(1);
    }
    Ok(text)
}

fn exactly(input: &mut dyn BufRead, count: usize) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(
        count <= RECORD_BYTES_MAX,
        "a field of {count} bytes is more than a record may have"
    );
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let buffer = input.fill_buf().context("cannot read the input")?;
        anyhow::ensure!(!buffer.is_empty(), "the input ends inside a record");
        let taken = buffer.len().min(count - bytes.len());
        bytes.extend_from_slice(&buffer[..taken]);
        input.consume(taken);
    }
    Ok(bytes)
}

/// Reads bytes; takes the literal behind them from `pieces` too where it is what ends them.
fn read_text(
    input: &mut dyn BufRead,
    form: &TextForm,
    length: Option<Option<usize>>,
    pieces: &mut Peekable<Iter<'_, Piece>>,
    may_end: bool,
) -> anyhow::Result<Option<Vec<u8>>> {
    let raw = match (form, length) {
        (TextForm::Json, _) => return json(input).map(Some),
        (TextForm::Sized(size), _) => exactly(input, *size)?,
        (_, Some(None)) => return Ok(None),
        (_, Some(Some(length))) => exactly(input, length)?,
        (_, None) => match pieces.next() {
            Some(Piece::Literal(delimiter)) => {
                let last = may_end && pieces.peek().is_none();
                until(input, delimiter, last)?
            }
            _ => {
                let mut rest = Vec::new();
                input.read_to_end(&mut rest).context("cannot read the input")?;
                rest
            }
        },
    };
    Ok(Some(match form {
        TextForm::Hex => hex(&raw)?,
        TextForm::Base64 => STANDARD
            .decode(&raw)
            .with_context(|| format!("\"{}\" is no base64", raw.escape_ascii()))?,
        _ => raw,
    }))
}

/// Bytes up to the delimiter, which is taken too; `last` says that the input may end instead of it.
fn until(input: &mut dyn BufRead, delimiter: &[u8], last: bool) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = *delimiter.last().expect("a literal has at least one byte");
    while !bytes.ends_with(delimiter) {
        let read = input
            .read_until(end, &mut bytes)
            .context("cannot read the input")?;
        if read == 0 {
            anyhow::ensure!(last, "the input ends inside a record");
            return Ok(bytes);
        }
        anyhow::ensure!(
            bytes.len() <= RECORD_BYTES_MAX,
            "no \"{}\" in {RECORD_BYTES_MAX} bytes: a record cannot be that long",
            delimiter.escape_ascii()
        );
    }
    bytes.truncate(bytes.len() - delimiter.len());
    Ok(bytes)
}

fn hex(digits: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = std::str::from_utf8(digits).context("hexadecimal digits are no text")?;
    anyhow::ensure!(
        text.len().is_multiple_of(2),
        "\"{text}\" has an odd number of hexadecimal digits"
    );
    (0..text.len())
        .step_by(2)
        .map(|at| {
            text.get(at..at + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .with_context(|| format!("\"{text}\" is not hexadecimal"))
        })
        .collect()
}

/// One JSON value, found by its own structure; its bytes are the field.
fn json(input: &mut dyn BufRead) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, mut depth, mut in_text, mut escaped) = (Vec::new(), 0_usize, false, false);
    loop {
        let Some(next) = input
            .fill_buf()
            .context("cannot read the input")?
            .first()
            .copied()
        else {
            break;
        };
        let ends_before = !in_text && depth == 0 && (next.is_ascii_whitespace() || b",]}".contains(&next));
        if ends_before && !bytes.is_empty() {
            break;
        }
        input.consume(1);
        if ends_before && next.is_ascii_whitespace() {
            continue;
        }
        bytes.push(next);
        if in_text {
            in_text = escaped || next != b'"';
            escaped = next == b'\\' && !escaped;
        } else {
            match next {
                b'"' => in_text = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if depth == 0 && !in_text && b"}]\"".contains(&next) {
            break;
        }
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
        .with_context(|| format!("\"{}\" is no JSON value", bytes.escape_ascii()))?;
    Ok(bytes)
}
