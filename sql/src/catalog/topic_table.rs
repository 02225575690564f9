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
        }
    }
}
