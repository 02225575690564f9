//! The groups or rows of a materialised view as a table: committed state of all tasks, one consistent snapshot per task.

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
use crate::logical::{GroupsResult, ResultPlan};
use crate::physical::{EMITTED_KEY, FLAG_FINAL, GroupLayout, GroupResults, RowLayout, parse_store_key};
use crate::planner::RowSource;
use crate::runtime::{GROUPS_STORE, ViewJob};

/// Entries turned into rows at once.
const CHUNK: usize = 8192;

/// Key and value.
type Entry = (bytes::Bytes, bytes::Bytes);

/// The rows of a materialised view that keeps them in a store.
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
        let store = match &self.job.view.plan.result {
            ResultPlan::Rows(rows) => rows.store.as_str(),
            _ => GROUPS_STORE,
        };
        let parts = self
            .job
            .handle()
            .stores()
            .readers(store)
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
        let ResultPlan::Groups(groups) = &self.job.view.plan.result else {
            return Ok(None);
        };
        let aggregate = &groups.aggregate;
        if !aggregate.group_columns.is_empty() {
            return Ok(None);
        }
        let layout = GroupLayout::new(aggregate)?;
        let results = GroupResults::new(aggregate, groups.steps.clone());
        let mut accumulators = layout.accumulators()?;
        accumulators.iter_mut().for_each(|a| a.resize(1));
        let group = layout.rows(&[0], [b"".as_slice()], &accumulators, &[0])?;
        results.rows(group).map(Some)
    }

    fn reading(&self) -> String {
        format!("reading view {}", self.job.view.definition.name)
    }

    /// All entries of a part that `wanted` picks, in pieces.
    fn entries(
        &self,
        part: &StorePart,
        wanted: impl Fn(&[u8], &[u8]) -> crate::error::Result<bool>,
        mut piece: impl FnMut(Vec<Entry>) -> crate::error::Result<()>,
    ) -> crate::error::Result<()> {
        let reading = self.reading();
        let failed = |e| SqlError::runtime(&reading, e);
        let pinned = part.reader.pin().map_err(failed)?;
        let snapshot = pinned.snapshot().map_err(failed)?;
        let all = KeyRange::prefix(b"");
        let mut entries = snapshot.scan(part.index, &all).map_err(failed)?;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            for entry in entries.by_ref() {
                let (key, value) = entry.map_err(failed)?;
                if wanted(&key, &value)? {
                    chunk.push((key, value));
                }
                if chunk.len() == CHUNK {
                    break;
                }
            }
            if chunk.is_empty() {
                return Ok(());
            }
            piece(chunk)?;
        }
    }

    fn part(&self, part: &StorePart) -> crate::error::Result<Vec<RecordBatch>> {
        let view = &self.job.view;
        match &view.plan.result {
            ResultPlan::Groups(groups) => self.groups(part, groups),
            ResultPlan::Rows(rows) => self.rows(part, &RowLayout::new(rows)?),
            ResultPlan::Appends { .. } => {
                let name = &view.definition.name;
                Err(SqlError::invalid(format!("view \"{name}\" keeps no rows")))
            }
        }
    }

    fn groups(&self, part: &StorePart, groups: &GroupsResult) -> crate::error::Result<Vec<RecordBatch>> {
        let layout = GroupLayout::new(&groups.aggregate)?;
        let results = GroupResults::new(&groups.aggregate, groups.steps.clone());
        let is_final = self.job.view.definition.emit == Emit::Final;
        let wanted = |key: &[u8], value: &[u8]| {
            Ok(key != EMITTED_KEY && !(is_final && GroupLayout::flags(value)? & FLAG_FINAL == 0))
        };
        let mut batches = Vec::new();
        self.entries(part, wanted, |chunk| {
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
            Ok(())
        })?;
        Ok(batches)
    }

    fn rows(&self, part: &StorePart, layout: &RowLayout) -> crate::error::Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.entries(
            part,
            |_, _| Ok(true),
            |chunk| {
                let mut rows: Vec<&[u8]> = Vec::with_capacity(chunk.len());
                for (key, value) in &chunk {
                    for (row, copies) in layout.shown(key, value)? {
                        rows.extend(std::iter::repeat_n(row, usize::try_from(copies).unwrap_or(0)));
                    }
                }
                batches.push(layout.decode(rows)?);
                Ok(())
            },
        )?;
        Ok(batches)
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
