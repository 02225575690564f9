//! The groups of a materialised view as a table: committed state of all tasks, one consistent snapshot per task.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use millpond_streams::query::StorePart;
use millpond_streams::state::KeyRange;

use crate::catalog::Emit;
use crate::error::SqlError;
use crate::physical::{EMITTED_KEY, FLAG_FINAL, GroupLayout, GroupResults, parse_store_key};
use crate::planner::RowSource;
use crate::runtime::{GROUPS_STORE, ViewJob};

/// Groups turned into rows at once.
const CHUNK: usize = 8192;

/// The rows of a materialised view with GROUP BY.
#[derive(Debug)]
pub struct ViewRows {
    job: Arc<ViewJob>,
}

impl ViewRows {
    /// The rows of the view that `job` keeps up to date.
    pub fn new(job: Arc<ViewJob>) -> ViewRows {
        ViewRows { job }
    }

    /// All rows as of now, task by task.
    pub fn snapshot(&self) -> crate::error::Result<Vec<Vec<RecordBatch>>> {
        let parts = self
            .job
            .handle()
            .stores()
            .readers(GROUPS_STORE)
            .map_err(|e| SqlError::runtime(self.reading(), e))?;
        let mut rows: Vec<_> = parts
            .iter()
            .map(|part| self.part(part))
            .collect::<crate::error::Result<_>>()?;
        if rows.iter().all(Vec::is_empty) {
            rows.extend(self.rows_of_no_input()?.map(|batch| vec![batch]));
        }
        Ok(rows)
    }

    /// Without GROUP BY there is one group, also before the first input, when no store holds it yet: a count of 0, a sum of NULL.
    fn rows_of_no_input(&self) -> crate::error::Result<Option<RecordBatch>> {
        let plan = &self.job.view.plan;
        let Some(aggregate) = plan.aggregate.as_ref().filter(|a| a.group_columns.is_empty()) else {
            return Ok(None);
        };
        let layout = GroupLayout::new(aggregate)?;
        let results = GroupResults::new(aggregate, plan.result_steps.clone());
        let mut accumulators = layout.accumulators()?;
        accumulators.iter_mut().for_each(|a| a.resize(1));
        let group = layout.rows(&[0], [b"".as_slice()], &accumulators, &[0])?;
        results.rows(group).map(Some)
    }

    fn reading(&self) -> String {
        format!("reading view {}", self.job.view.definition.name)
    }

    fn part(&self, part: &StorePart) -> crate::error::Result<Vec<RecordBatch>> {
        let view = &self.job.view;
        let Some(aggregate) = &view.plan.aggregate else {
            let name = &view.definition.name;
            return Err(SqlError::invalid(format!("view \"{name}\" has no groups")));
        };
        let reading = self.reading();
        let layout = GroupLayout::new(aggregate)?;
        let results = GroupResults::new(aggregate, view.plan.result_steps.clone());
        let pinned = part.reader.pin().map_err(|e| SqlError::runtime(&reading, e))?;
        let snapshot = pinned.snapshot().map_err(|e| SqlError::runtime(&reading, e))?;
        let all = KeyRange::prefix(b"");
        let mut entries = snapshot
            .scan(part.index, &all)
            .map_err(|e| SqlError::runtime(&reading, e))?;
        let mut batches = Vec::new();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            for entry in entries.by_ref() {
                let (key, value) = entry.map_err(|e| SqlError::runtime(&reading, e))?;
                let hidden = key == EMITTED_KEY
                    || view.definition.emit == Emit::Final && GroupLayout::flags(&value)? & FLAG_FINAL == 0;
                if !hidden {
                    chunk.push((key, value));
                }
                if chunk.len() == CHUNK {
                    break;
                }
            }
            if chunk.is_empty() {
                return Ok(batches);
            }
            let mut accumulators = layout.accumulators()?;
            accumulators.iter_mut().for_each(|a| a.resize(chunk.len()));
            let mut panes = Vec::with_capacity(chunk.len());
            let mut keys = Vec::with_capacity(chunk.len());
            for (slot, (key, value)) in chunk.iter().enumerate() {
                let (pane, key) = parse_store_key(key)?;
                panes.push(pane);
                keys.push(key);
                layout.decode(value, &mut accumulators, slot)?;
            }
            let slots: Vec<u32> = (0..chunk.len() as u32).collect();
            batches.push(results.rows(layout.rows(&panes, keys, &accumulators, &slots)?)?);
        }
    }
}

#[async_trait]
impl RowSource for ViewRows {
    async fn scan(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.job.view.plan.schema.clone();
        let parts = self
            .snapshot()
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        let partitions = parts
            .into_iter()
            .map(|batches| {
                Arc::new(ReadyRows {
                    schema: schema.clone(),
                    batches,
                }) as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            partitions,
            projection,
            [],
            false,
            limit,
        )?))
    }
}

/// Rows that are there already.
#[derive(Debug)]
struct ReadyRows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl PartitionStream for ReadyRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches: Vec<Result<RecordBatch>> = self
            .batches
            .iter()
            .map(|batch| {
                batch
                    .clone()
                    .with_schema(self.schema.clone())
                    .map_err(DataFusionError::from)
            })
            .collect();
        Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            futures::stream::iter(batches),
        ))
    }
}
