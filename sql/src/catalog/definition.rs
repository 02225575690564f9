//! The records of the catalogue: what was created, with the text that created it.
//!
//! Always true: a record is complete in itself; fields are only ever added, with a default, and unknown ones are passed over, so old
//! catalogues stay readable, and so do those a newer version wrote.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::{SqlType, StateLayout};

/// `EMIT CHANGES` or `EMIT FINAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Emit {
    /// Every change, once per commit.
    Changes,
    /// Once per window, when the watermark passes its end.
    Final,
}

impl fmt::Display for Emit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Emit::Changes => "EMIT CHANGES",
            Emit::Final => "EMIT FINAL",
        })
    }
}

/// How the values of a topic are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per record.
    Json,
    /// One CSV row per record, columns in the order of the stream.
    Csv,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Json => "json",
            Format::Csv => "csv",
        })
    }
}

/// One column of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Name, folded to lower case unless quoted.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub sql_type: SqlType,
    /// Whether NULL is refused (such rows are malformed).
    #[serde(default)]
    pub not_null: bool,
}

/// `WATERMARK FOR column AS column - INTERVAL …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkDefinition {
    /// The event-time column.
    pub column: String,
    /// How far behind the newest row others may come, in microseconds.
    pub delay_micros: i64,
}

/// A topic with columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamDefinition {
    /// Name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<ColumnDefinition>,
    /// Event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<WatermarkDefinition>,
    /// The topic.
    pub topic: String,
    /// How its values are written.
    pub format: Format,
    /// `csv.delimiter`, one ASCII character; `,` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv_delimiter: Option<char>,
    /// The topic's partitions when the stream was created.
    pub partitions: i32,
    /// Position in the order of creation.
    pub sequence: u64,
    /// The statement as written.
    pub sql: String,
}

impl StreamDefinition {
    /// The columns as an Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns
                .iter()
                .map(|c| Field::new(&c.name, c.sql_type.to_arrow(), !c.not_null))
                .collect::<Vec<_>>(),
        ))
    }
}

/// A query kept up to date by the job `sql-{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterializedViewDefinition {
    /// Name.
    pub name: String,
    /// The query as written, without `EMIT`'s default spelt out.
    pub query: String,
    /// When changes leave.
    pub emit: Emit,
    /// The topic the changes go to.
    pub topic: String,
    /// Partitions of the output topic and of the repartition topic.
    pub partitions: i32,
    /// How often a view of this name was created before; part of the names of internal topics from 1 on, so that a
    /// view created again never meets offsets or state of its predecessor.
    #[serde(default)]
    pub generation: u64,
    /// After how many milliseconds without input event time goes on with the wall clock; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<i32>,
    /// How its groups were laid out in its store when it was created; none for a view without GROUP BY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<StateLayout>,
    /// The stores of its operators beside the one of `layout`, as they were called and laid out when it was created, in the order of its plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreDefinition>,
    /// The repartitions between its operators, as they were called when it was created, in the order of its plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shuffles: Vec<String>,
    /// Position in the order of creation.
    pub sequence: u64,
    /// The statement as written.
    pub sql: String,
}

/// A store of a view's job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreDefinition {
    /// Its name.
    pub name: String,
    /// How its entries lie, in words of ours.
    pub layout: String,
}

impl MaterializedViewDefinition {
    /// The application id of the job.
    pub fn application_id(&self) -> String {
        match self.generation {
            0 => format!("sql-{}", self.name),
            n => format!("sql-{}.{n}", self.name),
        }
    }
}

/// A named query, expanded where it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Name.
    pub name: String,
    /// The query as written.
    pub query: String,
    /// Position in the order of creation.
    pub sequence: u64,
    /// The statement as written.
    pub sql: String,
}

/// One record of the catalogue topic; its key is the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CatalogRecord {
    /// A stream exists.
    Stream(StreamDefinition),
    /// A materialised view exists.
    MaterializedView(MaterializedViewDefinition),
    /// A view exists.
    View(ViewDefinition),
    /// A materialised view is being dropped: its topics and directory may still be there.
    Dropping(MaterializedViewDefinition),
    /// A materialised view of this name existed and is gone; only its generation is remembered.
    Dropped {
        /// The next view of this name gets this generation.
        next_generation: u64,
        /// Position in the order of creation, kept so that positions are never given twice.
        sequence: u64,
    },
}
