//! `--format table|csv|json`: the same rows for people, for spreadsheets and for programs.
//!
//! What is always true: JSON is one object a line whose keys are the column names, and an unknown value is `null`,
//! never absent; numbers are right-aligned in tables; nothing is coloured.
//! Where to look next: `sql.rs` turns Arrow batches into a [`Grid`].

use std::io::Write;

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::Value;

/// How rows are written to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Named columns and rows of values; a row has as many values as there are columns.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Grid {
    /// An empty grid with these columns.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Grid {
        Grid {
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; its length must be the number of columns.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        assert_eq!(
            row.len(),
            self.columns.len(),
            "a row must have one value per column"
        );
        self.rows.push(row);
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Writes all rows in `format`.
    pub(crate) fn write(&self, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
        match format {
            Format::Table => self.write_table(out),
            Format::Csv => self.write_csv(true, out),
            Format::Json => self.write_json(out),
        }
    }

    /// Writes these rows as a part of a result that keeps coming: the CSV header only `at_first`.
    pub(crate) fn write_part(
        &self,
        format: Format,
        at_first: bool,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        match format {
            Format::Csv => self.write_csv(at_first, out),
            Format::Table | Format::Json => self.write(format, out),
        }
    }

    fn write_table(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(&self.columns);
        for row in &self.rows {
            table.add_row(row.iter().map(text_of));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            if self.is_numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}").map_err(Into::into)
    }

    /// A column is numeric when it has a number and nothing but numbers and unknowns.
    fn is_numeric(&self, index: usize) -> bool {
        let mut values = self.rows.iter().map(|row| &row[index]);
        values.clone().any(Value::is_number) && values.all(|value| value.is_number() || value.is_null())
    }

    fn write_csv(&self, header: bool, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        if header {
            writer.write_record(&self.columns).map_err(csv_error)?;
        }
        for row in &self.rows {
            writer.write_record(row.iter().map(text_of)).map_err(csv_error)?;
        }
        writer.flush().map_err(Into::into)
    }

    fn write_json(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        for row in &self.rows {
            out.write_all(b"{")?;
            for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(out, "{comma}{}:{value}", Value::from(column.as_str()))?;
            }
            out.write_all(b"}\n").context("cannot write to stdout")?;
        }
        Ok(())
    }
}

/// Text of a value in a table or CSV cell: strings without quotes, unknown as nothing.
fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Keeps the I/O error visible as such, so that a broken pipe is recognised.
fn csv_error(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(io) => io.into(),
        other => anyhow::anyhow!("cannot write CSV: {other:?}"),
    }
}

#[cfg(test)]
#[path = "output_test.rs"]
mod output_test;
