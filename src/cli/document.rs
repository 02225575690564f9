//! What the verbs for clusters print: tables with a kind and a version, as text, JSON or lines for awk.
//!
//! What is always true: the shape of a document is known before it is filled (`--format help` prints it without connecting);
//! JSON keys equal column names; unknown is null in JSON, `-` in text and awk, never absent; numbers are right-aligned, sizes
//! human unless `--raw`. Where to look next: `output.rs` for the formats of `sql`, `log` and their grids.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::time;

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Aligned columns for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// Tab-separated lines without a header; unknown is -.
    Awk,
    /// The shape of the output, without running the command.
    Help,
}

/// Flags about output, the same on every verb.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub(crate) struct OutputArgs {
    /// How the answer is written; help prints its shape
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "text|json|awk|help",
        help_heading = "Output",
        env = "MILLPOND_FORMAT",
        hide_env = true
    )]
    pub(crate) format: DocumentFormat,

    /// Exact sizes and times instead of readable ones
    #[arg(long, help_heading = "Output")]
    pub(crate) raw: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Words.
    Text,
    /// A number.
    Count,
    /// A size in bytes.
    Bytes,
    /// Milliseconds since 1970.
    Time,
    /// A duration in seconds.
    Seconds,
    /// A JSON array; in text its items with commas between.
    List,
    /// true or false.
    Flag,
}

/// A column: its name, what it holds, what it means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Kind, pub(crate) &'static str);

/// A table of a document; empty ones are left out of text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableShape {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
}

/// All that is known of a document before it is filled.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) kind: &'static str,
    pub(crate) tables: &'static [TableShape],
}

/// Version of all shapes; it grows when a column goes or changes its meaning, not when one is added.
const SHAPE_VERSION: u32 = 1;

/// A filled shape.
#[derive(Debug)]
pub(crate) struct Document {
    shape: &'static Shape,
    tables: Vec<Vec<Vec<Value>>>,
}

impl Document {
    /// A document without rows.
    pub(crate) fn new(shape: &'static Shape) -> Document {
        Document {
            shape,
            tables: shape.tables.iter().map(|_| Vec::new()).collect(),
        }
    }

    /// Adds a row to the only or first table.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        self.push_to(0, row);
    }

    /// Adds a row to a table; its length must be the number of columns.
    pub(crate) fn push_to(&mut self, table: usize, row: Vec<Value>) {
        assert_eq!(
            row.len(),
            self.shape.tables[table].columns.len(),
            "a row of {} must have one value per column",
            self.shape.kind
        );
        self.tables[table].push(row);
    }

    /// Writes the document. `one_line` keeps JSON on a line, for documents that keep coming.
    pub(crate) fn write(
        &self,
        output: &OutputArgs,
        one_line: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match output.format {
            DocumentFormat::Text => self.write_text(output.raw, out)?,
            DocumentFormat::Awk => self.write_awk(out)?,
            DocumentFormat::Help => self.shape.write_help(out)?,
            DocumentFormat::Json if one_line || !io::stdout().is_terminal() => {
                serde_json::to_writer(&mut *out, &self.json()).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            DocumentFormat::Json => {
                serde_json::to_writer_pretty(&mut *out, &self.json()).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
        }
        out.flush()?;
        Ok(())
    }

    fn json(&self) -> Value {
        let mut document = Map::new();
        document.insert("kind".to_owned(), self.shape.kind.into());
        document.insert("version".to_owned(), SHAPE_VERSION.into());
        for (shape, rows) in self.shape.tables.iter().zip(&self.tables) {
            let rows = rows
                .iter()
                .map(|row| {
                    let keys = shape.columns.iter().map(|column| column.0.to_owned());
                    Value::Object(keys.zip(row.iter().cloned()).collect())
                })
                .collect();
            document.insert(shape.name.to_owned(), Value::Array(rows));
        }
        Value::Object(document)
    }

    fn write_awk(&self, out: &mut dyn Write) -> io::Result<()> {
        let several = self.shape.tables.len() > 1;
        for (shape, rows) in self.shape.tables.iter().zip(&self.tables) {
            for row in rows {
                let mut cells: Vec<String> = Vec::with_capacity(row.len() + 1);
                if several {
                    cells.push(shape.name.to_owned());
                }
                // A tab or line feed inside a value would move every column after it.
                cells.extend(
                    row.iter()
                        .map(|value| plain(value).replace(['\t', '\n', '\r'], " ")),
                );
                writeln!(out, "{}", cells.join("\t"))?;
            }
        }
        Ok(())
    }

    fn write_text(&self, raw: bool, out: &mut dyn Write) -> io::Result<()> {
        let several = self.shape.tables.len() > 1;
        let mut first = true;
        for (shape, rows) in self.shape.tables.iter().zip(&self.tables) {
            if rows.is_empty() && several {
                continue;
            }
            if several {
                let gap = if first { "" } else { "\n" };
                writeln!(out, "{gap}{}", shape.name)?;
            }
            first = false;
            write_table(shape.columns, rows, raw, out)?;
        }
        Ok(())
    }
}

impl Shape {
    /// Prints the shape: JSON path and awk column of each value, its type and meaning.
    pub(crate) fn write_help(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{{\"kind\": \"{}\", \"version\": {SHAPE_VERSION}}}",
            self.kind
        )?;
        let several = usize::from(self.tables.len() > 1);
        for table in self.tables {
            writeln!(out, "{}", table.name)?;
            for (at, Column(name, kind, about)) in table.columns.iter().enumerate() {
                let kind = match kind {
                    Kind::Text => "text",
                    Kind::Count => "number",
                    Kind::Bytes => "bytes",
                    Kind::Time => "ms since 1970",
                    Kind::Seconds => "seconds",
                    Kind::List => "list",
                    Kind::Flag => "true/false",
                };
                writeln!(
                    out,
                    "  ${:<3} .{}[].{:<24} {:<14} {}",
                    at + 1 + several,
                    table.name,
                    name,
                    kind,
                    about
                )?;
            }
        }
        Ok(())
    }
}

/// Columns with two blanks between; the last is not padded.
fn write_table(columns: &[Column], rows: &[Vec<Value>], raw: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|column| column.0.to_uppercase()).collect()];
    lines.extend(rows.iter().map(|row| {
        row.iter()
            .zip(columns)
            .map(|(value, column)| readable(value, column.1, raw))
            .collect()
    }));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            lines
                .iter()
                .map(|line| line[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for line in lines {
        let mut text = String::new();
        for ((cell, width), column) in line.iter().zip(&widths).zip(columns) {
            let right = matches!(column.1, Kind::Count | Kind::Bytes | Kind::Seconds);
            if !text.is_empty() {
                text.push_str("  ");
            }
            if right {
                text.push_str(&format!("{cell:>width$}"));
            } else {
                text.push_str(&format!("{cell:<width$}"));
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// A value for people.
fn readable(value: &Value, kind: Kind, raw: bool) -> String {
    match (kind, value.as_i64(), value.as_f64()) {
        (Kind::Bytes, Some(bytes), _) if !raw => size(bytes),
        (Kind::Time, Some(ms), _) if !raw => time::rfc3339(ms),
        (Kind::Seconds, _, Some(seconds)) if !raw => format!("{seconds:.1}"),
        _ => plain(value).replace(['\n', '\r'], " "),
    }
}

/// A value for programs that read lines.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// `1536` as `1.5 KiB`.
pub(crate) fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
#[path = "document_test.rs"]
mod document_test;
