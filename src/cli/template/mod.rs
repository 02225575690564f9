//! The template language of `produce` and `consume`: `'%t %p/%o %k %v\n'`.
//!
//! One language in two directions: `write.rs` prints records by a template, `read.rs` cuts input into records by it. Pure: no
//! sockets, no clock. Parsing happens once; what it yields is a list of [`Piece`]s. Where to look next: `help templates`
//! (the user's text) in `help_topics.rs`.

mod read;
mod unpack;
mod write;

pub(crate) use self::read::{Input, InputTemplate};
pub(crate) use self::unpack::Unpack;
pub(crate) use self::write::{OutputTemplate, Shown};

use super::failure::Failure;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// Bytes of a record.
    Text(Text, TextForm),
    /// A number of a record.
    Number(Number, NumberForm),
    /// The time of a record.
    Time(TimeForm),
    /// A fact from the batch of a record.
    Attribute(Attribute),
    /// The pieces once for each header, where `%k` and `%v` are its key and value.
    Headers(Vec<Piece>),
}

/// What of a record is bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Topic,
    Key,
    Value,
}

/// How bytes are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextForm {
    Raw,
    Hex,
    Base64,
    Json,
    /// Exactly so many bytes; only when reading.
    Sized(usize),
    Unpack(Vec<Unpack>),
}

/// What of a record is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    TopicLength,
    KeyLength,
    ValueLength,
    HeaderCount,
    Partition,
    Offset,
    LeaderEpoch,
    ProducerId,
    ProducerEpoch,
    /// How many records were written before and with this one.
    Count,
    LogStart,
    LastStable,
    HighWatermark,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberForm {
    Ascii,
    /// Hexadecimal digits, so many at least.
    Hex(usize),
    /// So many bytes, the highest first.
    Big(usize),
    /// So many bytes, the lowest first.
    Little(usize),
    /// `true` if it is not zero.
    Bool,
}

/// How the time of a record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// Milliseconds since 1970.
    Millis(NumberForm),
    /// By a pattern of strftime, in UTC.
    Strftime(String),
}

/// A fact from the batch of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Compression,
    TimestampType,
    Transactional,
    Control,
}

/// Reads a template.
pub(crate) fn parse(template: &str) -> Result<Vec<Piece>, Failure> {
    Parser {
        whole: template,
        rest: template,
        in_headers: false,
    }
    .pieces()
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    in_headers: bool,
}

impl<'a> Parser<'a> {
    fn pieces(&mut self) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        while let Some(letter) = self.next() {
            match letter {
                '\\' => {
                    let byte = self.escape()?;
                    literal(&mut pieces, &[byte]);
                }
                '%' => match self.next() {
                    Some(escaped @ ('%' | '{' | '}')) => literal(&mut pieces, escaped.to_string().as_bytes()),
                    Some(letter) => {
                        let piece = self.field(letter)?;
                        pieces.push(piece);
                    }
                    None => return Err(self.wrong("it ends with a single %")),
                },
                other => literal(&mut pieces, other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(pieces)
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn escape(&mut self) -> Result<u8, Failure> {
        Ok(match self.next() {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let byte = self
                    .rest
                    .get(..2)
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .ok_or_else(|| self.wrong("\\x needs two hexadecimal digits"))?;
                self.rest = &self.rest[2..];
                byte
            }
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return Err(self.wrong(&format!(
                    "no escape \\{other}; there are \\n \\t \\r \\0 \\\\ \\xNN"
                )));
            }
        })
    }

    fn field(&mut self, letter: char) -> Result<Piece, Failure> {
        if letter == 'h' {
            return self.headers();
        }
        let modifier = self.modifier()?;
        if self.in_headers && !matches!(letter, 'k' | 'v' | 'K' | 'V') {
            return Err(self.wrong(&format!("%{letter} inside %h{{…}}, where only %k %v %K %V stand")));
        }
        let text = match letter {
            't' => Some(Text::Topic),
            'k' => Some(Text::Key),
            'v' => Some(Text::Value),
            _ => None,
        };
        if let Some(text) = text {
            return Ok(Piece::Text(text, self.text_form(modifier)?));
        }
        match letter {
            'd' => return Ok(Piece::Time(self.time_form(modifier)?)),
            'a' => return Ok(Piece::Attribute(self.attribute(modifier)?)),
            _ => {}
        }
        let number = match letter {
            'T' => Number::TopicLength,
            'K' => Number::KeyLength,
            'V' => Number::ValueLength,
            'H' => Number::HeaderCount,
            'p' => Number::Partition,
            'o' => Number::Offset,
            'e' => Number::LeaderEpoch,
            'x' => Number::ProducerId,
            'y' => Number::ProducerEpoch,
            'i' => Number::Count,
            '[' => Number::LogStart,
            '|' => Number::LastStable,
            ']' => Number::HighWatermark,
            other => {
                return Err(self.wrong(&format!(
                    "no field %{other}; there are %t %k %v %p %o %e %d %h{{…}} %T %K %V %H %x %y %i %[ %| %] %a{{…}}"
                )));
            }
        };
        Ok(Piece::Number(number, self.number_form(modifier)?))
    }

    fn headers(&mut self) -> Result<Piece, Failure> {
        if self.in_headers {
            return Err(self.wrong("%h inside %h{…}"));
        }
        let inner = self
            .modifier()?
            .ok_or_else(|| self.wrong("%h needs what to write for each header, as in %h{%k=%v }"))?;
        let mut parser = Parser {
            whole: self.whole,
            rest: inner,
            in_headers: true,
        };
        parser.pieces().map(Piece::Headers)
    }

    /// What stands in braces behind a letter; braces and brackets inside are counted.
    fn modifier(&mut self) -> Result<Option<&'a str>, Failure> {
        let Some(inner) = self.rest.strip_prefix('{') else {
            return Ok(None);
        };
        let mut depth = 1;
        let mut escaped = false;
        for (at, letter) in inner.char_indices() {
            // `%{` and `%}` are braces themselves; a field such as `%k{hex}` has its own.
            match letter {
                '{' | '}' if escaped => {}
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            escaped = letter == '%' && !escaped;
            if depth == 0 {
                self.rest = &inner[at + 1..];
                return Ok(Some(&inner[..at]));
            }
        }
        Err(self.wrong("a { is not closed"))
    }

    fn text_form(&self, modifier: Option<&str>) -> Result<TextForm, Failure> {
        Ok(match modifier {
            None => TextForm::Raw,
            Some("hex") => TextForm::Hex,
            Some("base64") => TextForm::Base64,
            Some("json") => TextForm::Json,
            Some(other) => {
                if let Some(pattern) = bracketed(other, "unpack") {
                    TextForm::Unpack(unpack::parse(pattern).map_err(|why| self.wrong(&why))?)
                } else if let Ok(size) = other.parse() {
                    TextForm::Sized(size)
                } else {
                    return Err(self.wrong(&format!(
                        "no form {{{other}}} of bytes; there are hex, base64, json, unpack[…] and, for reading, a number of bytes"
                    )));
                }
            }
        })
    }

    fn number_form(&self, modifier: Option<&str>) -> Result<NumberForm, Failure> {
        let Some(name) = modifier else {
            return Ok(NumberForm::Ascii);
        };
        let sized = |prefix: &str| match name.strip_prefix(prefix) {
            Some("8") => Some(1),
            Some("16") => Some(2),
            Some("32") => Some(4),
            Some("64") => Some(8),
            _ => None,
        };
        Ok(match name {
            "ascii" => NumberForm::Ascii,
            "hex" => NumberForm::Hex(1),
            "hex4" => NumberForm::Hex(1),
            "byte" => NumberForm::Big(1),
            "bool" => NumberForm::Bool,
            _ => sized("big")
                .map(NumberForm::Big)
                .or_else(|| sized("little").map(NumberForm::Little))
                .or_else(|| sized("hex").map(|bytes| NumberForm::Hex(bytes * 2)))
                .ok_or_else(|| {
                    self.wrong(&format!(
                        "no form {{{name}}} of numbers; there are ascii, hex, hex8 to hex64, big8 to big64, little8 to little64, byte, bool"
                    ))
                })?,
        })
    }

    fn time_form(&self, modifier: Option<&str>) -> Result<TimeForm, Failure> {
        match modifier {
            Some(name) if name.starts_with("strftime") => bracketed(name, "strftime")
                .map(|pattern| TimeForm::Strftime(pattern.to_owned()))
                .ok_or_else(|| self.wrong("strftime needs a pattern, as in %d{strftime[%F %T]}")),
            other => self.number_form(other).map(TimeForm::Millis),
        }
    }

    fn attribute(&self, modifier: Option<&str>) -> Result<Attribute, Failure> {
        Ok(match modifier {
            Some("compression") => Attribute::Compression,
            Some("timestamp-type") => Attribute::TimestampType,
            Some("transactional-bit") => Attribute::Transactional,
            Some("control-bit") => Attribute::Control,
            _ => {
                return Err(self.wrong(
                    "%a needs one of {compression}, {timestamp-type}, {transactional-bit}, {control-bit}",
                ));
            }
        })
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::usage(format!("template '{}': {why}", self.whole.escape_debug()))
            .hint("`millpond help templates` shows the whole language")
    }
}

/// The inside of `name[inside]`; any closing bracket of the usual four ends it.
fn bracketed<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}

fn literal(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        Some(Piece::Literal(last)) => last.extend_from_slice(bytes),
        _ => pieces.push(Piece::Literal(bytes.to_vec())),
    }
}

#[cfg(test)]
#[path = "template_test.rs"]
mod template_test;
