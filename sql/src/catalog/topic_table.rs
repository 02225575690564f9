//! A topic seen as a table: what operators and scans need to know of a stream, whether it was declared or is the output of a
//! view.

use datafusion::arrow::datatypes::SchemaRef;

use super::{Format, StreamDefinition, WatermarkDefinition};

/// A topic with columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTable {
    /// The name in SQL.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// How values are written.
    pub format: Format,
    /// Between CSV fields.
    pub csv_delimiter: char,
    /// Event time, if declared.
    pub watermark: Option<WatermarkDefinition>,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Present when a record replaces the one before it with the same key, and a null value removes it: then the table is the last rows of all keys.
    pub upserts: Option<Upserts>,
}

/// What is known of the rows of a topic whose records replace each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upserts {
    /// Positions of columns no two rows have alike, if there are such.
    pub key: Option<Vec<usize>>,
}

impl StreamDefinition {
    /// The topic behind the stream.
    pub fn topic_table(&self) -> TopicTable {
        TopicTable {
            name: self.name.clone(),
            topic: self.topic.clone(),
            schema: self.schema(),
            format: self.format,
            csv_delimiter: self.csv_delimiter.unwrap_or(','),
            watermark: self.watermark.clone(),
            partitions: self.partitions,
            upserts: None,
        }
    }
}
