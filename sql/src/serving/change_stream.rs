//! `SELECT … EMIT CHANGES`: the rows of a topic as they come, filtered and projected, from the first record kept on.
//!
//! For a view with GROUP BY the rows are its changes: each row replaces the one of the same group. A group that leaves the result
//! (HAVING) sends nothing here; its tombstone is in the view's topic.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::stream::{BoxStream, SelectAll, Stream, StreamExt};
use millpond_log::broker::Broker;

use super::topic_reader::{TopicReader, committed_ranges};
use super::topic_rows::decode_batches;
use crate::error::Result;
use crate::format::RowDecoder;
use crate::logical::SourcePlan;
use crate::physical::{ColumnBatch, run_steps};

/// How long one fetch parks; the watermark wakes it earlier.
const WAIT: Duration = Duration::from_secs(5);

/// Rows that keep coming. Ends only when a LIMIT is reached or reading fails.
pub struct ChangeStream {
    schema: SchemaRef,
    rows: BoxStream<'static, Result<RecordBatch>>,
    /// Rows still to give, if there is a LIMIT.
    left: Option<usize>,
}

impl std::fmt::Debug for ChangeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeStream")
            .field("schema", &self.schema)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl ChangeStream {
    /// Follows the topic of `source`.
    pub(crate) async fn open(
        broker: &Broker,
        source: &SourcePlan,
        schema: SchemaRef,
        limit: Option<u64>,
    ) -> Result<ChangeStream> {
        let mut all = SelectAll::new();
        for (partition, start, _) in committed_ranges(broker, &source.table.topic).await? {
            let decoder = RowDecoder::new(&source.table, Some(&source.projection))?;
            let reader = TopicReader::new(broker.clone(), partition, start);
            let steps = source.steps.clone();
            let rows = futures::stream::try_unfold(
                (reader, decoder, steps),
                |(mut reader, mut decoder, steps)| async {
                    loop {
                        let from = reader.position();
                        let batches = reader.next(WAIT).await?;
                        let rows = decode_batches(&mut decoder, &batches, from, None)?;
                        let rows = run_steps(&steps, ColumnBatch::plain(rows), &mut 0)?.batch;
                        if rows.num_rows() > 0 {
                            return Ok(Some((rows, (reader, decoder, steps))));
                        }
                    }
                },
            );
            all.push(rows.boxed());
        }
        let left = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(ChangeStream {
            schema,
            rows: all.boxed(),
            left,
        })
    }

    /// The columns of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for ChangeStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        match self.rows.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(rows))) => {
                let rows = match self.left {
                    Some(left) => {
                        let taken = rows.num_rows().min(left);
                        self.left = Some(left - taken);
                        rows.slice(0, taken)
                    }
                    None => rows,
                };
                Poll::Ready(Some(Ok(rows)))
            }
            other => other,
        }
    }
}
