//! OVER windows and Top-N over rows that change.
//!
//! Always true: the store holds the rows of each partition in the order of the plan, and the output is, after each commit, that of a batch query
//! over what was taken in. What changed is held until the commit (or until it is large), so a partition is walked once for all its changes.
//! `layout.rs` says how rows lie in the store, `top_n.rs` is the walk that finds which rows come and go, `windows.rs` computes window functions
//! over the partition before and after. A Top-N walks no further than its last row; window functions read their whole partition, which has to fit
//! into memory while it is worked on.

mod layout;
mod pending;
mod top_n;
mod windows;

use std::collections::BTreeMap;

use datafusion::arrow::array::{ArrayRef, Int64Array, UInt64Array};
use millpond_streams::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use millpond_streams::state::{KeyRange, StoreIndex};

pub use self::layout::over_layout;
use self::layout::{OverLayout, weight_from};
use self::pending::Pending;
use self::top_n::{Bounds, Walk};
use self::windows::Windows;
use super::calc::batch_of;
use super::column_batch::ColumnBatch;
use super::group_table::GroupTable;
use super::row_bag::RowBag;
use crate::error::{Result, SqlError};
use crate::logical::{OverOutput, OverPlan};

/// Changes are worked off before the commit when they hold as many bytes.
const BYTES_MAX: usize = 64 << 20;
/// Rows of an output batch.
const CHUNK: usize = 8192;

/// The changes of one partition, or its rows: in order, with weights.
type Weighted<'a> = Vec<(&'a [u8], i64)>;

/// Keeps the rows of partitions.
pub struct Over {
    plan: OverPlan,
    layout: OverLayout,
    /// None for a Top-N.
    windows: Option<Windows>,
    store: Option<StoreIndex>,
    /// (partition, row) to weight; the length of the partition's key stands in place of the pane.
    changed: GroupTable,
    weights: Vec<i64>,
    scratch: Vec<u8>,
}

impl Over {
    /// An operator for one task. Errs for columns no row can be kept of, naming them.
    pub fn new(plan: OverPlan) -> Result<Over> {
        let windows = match &plan.output {
            OverOutput::Windows(exprs) => Some(Windows::new(exprs.clone(), &plan)?),
            OverOutput::TopN { .. } => None,
        };
        Ok(Over {
            layout: OverLayout::new(&plan)?,
            windows,
            store: None,
            changed: GroupTable::default(),
            weights: Vec::new(),
            scratch: Vec::new(),
            plan,
        })
    }

    fn add(&mut self, rows: &ColumnBatch) -> Result<()> {
        let encoded = self.layout.encode(&rows.batch)?;
        for row in 0..rows.batch.num_rows() {
            self.scratch.clear();
            let partition = encoded.write(row, &mut self.scratch);
            let (slot, is_new) = self.changed.intern(partition as i64, &self.scratch);
            if is_new {
                self.weights.push(0);
            }
            self.weights[slot as usize] += rows.weight(row);
        }
        Ok(())
    }

    /// Sends what the changes make of the output, and writes them.
    fn work_off(&mut self, context: &mut ProcessContext<'_>) -> Result<()> {
        let changed = std::mem::take(&mut self.changed);
        let weights = std::mem::take(&mut self.weights);
        let mut partitions: BTreeMap<&[u8], Weighted<'_>> = BTreeMap::new();
        for (slot, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0) {
            let slot = slot as u32;
            let (partition, row) = changed.key(slot).split_at(changed.pane(slot) as usize);
            partitions.entry(partition).or_default().push((row, *weight));
        }
        let mut out = Pending::default();
        for (partition, mut changes) in partitions {
            changes.sort_unstable();
            match &self.plan.output {
                OverOutput::TopN {
                    first,
                    last,
                    numbered,
                } => {
                    let (first, last) = (*first, *last);
                    let mut walk = Walk::new(Bounds { first, last }, *numbered);
                    self.top_n(partition, &changes, &mut walk, &mut out, context)?;
                }
                OverOutput::Windows(_) => self.windows(partition, &changes, context)?,
            }
            self.write(partition, &changes, context)?;
            if out.len() >= CHUNK {
                self.send_top_n(&mut out, context)?;
            }
        }
        self.send_top_n(&mut out, context)
    }

    /// Walks a partition as far as the last row of the Top-N, before and after.
    fn top_n(
        &self,
        partition: &[u8],
        changes: &Weighted<'_>,
        walk: &mut Walk,
        out: &mut Pending,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let mut waiting = changes.iter().peekable();
        let mut store = context.store(self.store()?);
        let mut scan = store.scan(&KeyRange::prefix(partition)).map_err(reading)?;
        while !walk.is_done() {
            let Some((key, value)) = scan.next_entry().map_err(reading)? else {
                break;
            };
            let (row, weight) = (&key[partition.len()..], weight_from(value)?);
            while let Some((new, change)) = waiting.next_if(|(new, _)| *new < row) {
                walk.step(0, *change, |change| out.push(new, change));
            }
            let change = waiting.next_if(|(new, _)| *new == row);
            let change = change.map_or(0, |(_, change)| *change);
            walk.step(weight, change, |change| out.push(row, change));
        }
        for (new, change) in waiting {
            if walk.is_done() {
                break;
            }
            walk.step(0, *change, |change| out.push(new, change));
        }
        Ok(())
    }

    fn send_top_n(&self, out: &mut Pending, context: &mut ProcessContext<'_>) -> Result<()> {
        let numbered = matches!(self.plan.output, OverOutput::TopN { numbered: true, .. });
        let out = std::mem::take(out);
        for start in (0..out.len()).step_by(CHUNK) {
            let rows = start..(start + CHUNK).min(out.len());
            let mut columns = self.layout.decode(rows.clone().map(|index| out.row(index)))?;
            if numbered {
                let numbers = UInt64Array::from_iter_values(out.numbers[rows.clone()].iter().copied());
                columns.push(std::sync::Arc::new(numbers) as ArrayRef);
            }
            let batch = batch_of(&self.plan.schema, columns, rows.len())?;
            let weights = Int64Array::from_iter_values(out.weights[rows].iter().copied());
            context.forward(Batch::Columns(Box::new(ColumnBatch::weighted(batch, weights))));
        }
        Ok(())
    }

    /// Computes the window functions of a partition before and after its changes.
    fn windows(
        &self,
        partition: &[u8],
        changes: &Weighted<'_>,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let Some(windows) = &self.windows else {
            return Ok(());
        };
        let mut old: Vec<(Box<[u8]>, i64)> = Vec::new();
        let mut store = context.store(self.store()?);
        let mut scan = store.scan(&KeyRange::prefix(partition)).map_err(reading)?;
        while let Some((key, value)) = scan.next_entry().map_err(reading)? {
            old.push((key[partition.len()..].into(), weight_from(value)?));
        }
        drop(scan);
        drop(store);
        let old: Weighted<'_> = old.iter().map(|(row, weight)| (&**row, *weight)).collect();
        let new = RowBag::add(&old, changes);
        for (batch, weights) in windows.changes(&self.layout, &old, &new)? {
            context.forward(Batch::Columns(Box::new(ColumnBatch::weighted(batch, weights))));
        }
        Ok(())
    }

    fn write(
        &self,
        partition: &[u8],
        changes: &Weighted<'_>,
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        for chunk in changes.chunks(CHUNK) {
            let keys: Vec<Vec<u8>> = chunk.iter().map(|(row, _)| [partition, row].concat()).collect();
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let mut store = context.store(self.store()?);
            let before = store.multi_get(&keys).map_err(reading)?;
            for ((key, (_, change)), before) in keys.iter().zip(chunk).zip(before) {
                match before.map_or(Ok(0), |value| weight_from(&value))? + change {
                    0 => store.delete(key),
                    weight => store.put(key, weight.to_le_bytes()),
                }
            }
        }
        Ok(())
    }

    fn store(&self) -> Result<StoreIndex> {
        self.store
            .ok_or_else(|| SqlError::invalid("the rows of OVER were not initialised"))
    }
}

fn reading(error: millpond_streams::state::StateError) -> SqlError {
    SqlError::runtime("reading the rows of a partition", error)
}

impl Processor for Over {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        self.store = Some(context.store_index(&self.plan.store)?);
        Ok(())
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let rows = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "rows",
                actual: other.shape(),
            })?;
        self.add(&rows)
            .and_then(|()| match self.changed.bytes() > BYTES_MAX {
                true => self.work_off(context),
                false => Ok(()),
            })
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.work_off(context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_abort(&mut self) {
        self.changed.clear();
        self.weights.clear();
    }
}
