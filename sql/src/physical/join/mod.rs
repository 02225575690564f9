//! A join of two relations that change.
//!
//! Always true: what left is the sum of weight × weight over all pairs that match (equal keys, condition true), and each row of a side that is shown
//! without a partner, by whether the weights of what it matches add up to more than 0 (`kind.rs`): padded and anti rows while they do not, semi rows
//! while they do. Both sides lie in stores, so nothing depends on which came first, nor on where the input is cut. NULL keys match nothing
//! unless the plan says so; their rows are shown or not at once and are not stored. Without keys every row has the same, empty key.
//!
//! How a batch goes: consolidate it (`delta.rs`), read the rows of its keys on the other side block by block (`block.rs`, `key_cache.rs`), make
//! candidate pairs in chunks, compare each chunk once (`pair_filter.rs`), send what matches (`output.rs`). Rows of the other side whose number of
//! matches passes 0 come or go with their block, those of the batch at the end, and then the batch is written to its own store (`side.rs`, bytes in
//! `side_codec.rs`). Candidates are bounded by the chunk and the block; what matches leaves at once, but waits in the task's queue until the batch is done.
//!
//! Deliberately absent: bounds in time. Rows of an interval join will be found by a pane of their time in front of the join key (pane ++ key ++ row, with
//! panes as wide as the interval, so that a row looks into two or three), not by a time behind it: expiry is then one range delete of whole panes, as for
//! windows, and needs no list of keys. Stores of joins without bounds keep the layout they have.

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array};
use millpond_streams::processor::{
    Batch, Headers, InitContext, ProcessContext, ProcessError, Processor, RawRecord,
};

use super::column_batch::ColumnBatch;
use crate::error::{Result, SqlError};
use crate::logical::JoinPlan;

mod block;
mod delta;
mod key_cache;
mod kind;
mod layout;
mod output;
mod pair_filter;
mod side;
mod side_codec;

use block::{Block, Reader};
use delta::{Delta, NullKeys, add};
use key_cache::KeyCache;
use kind::Shown;
pub use layout::join_layouts;
use output::{Alone, Output};
use pair_filter::{PairFilter, Picked};
use side::Side;
use side_codec::SideCodec;

/// How much is held at a time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Candidate pairs, and rows of an output batch.
    chunk: usize,
    /// Rows of the other side.
    block_rows: usize,
    /// Bytes of those rows.
    block_bytes: usize,
    /// Bytes of the rows remembered of each side.
    cache_bytes: usize,
    /// Bytes of the rows of one key that are remembered at most.
    cache_key_bytes: usize,
}

const LIMITS: Limits = Limits {
    chunk: 8192,
    block_rows: 8192,
    block_bytes: 4 << 20,
    cache_bytes: 8 << 20,
    // A row that is written to a remembered key is put in its place among the others: a hundred or so, not thousands.
    cache_key_bytes: 4 << 10,
};

/// Joins port 0, the left, with port 1, the right.
pub struct Join {
    sides: [Side; 2],
    null_equals_null: bool,
    filter: Option<PairFilter>,
    output: Output,
    limits: Limits,
}

/// Candidate pairs: entries of the batch with rows of the block.
#[derive(Default)]
struct Candidates {
    entries: Vec<u32>,
    rows: Vec<u32>,
}

/// A batch while it is worked on.
struct Work {
    port: usize,
    columns: Vec<ArrayRef>,
    delta: Delta,
    /// The matches of each entry that were found so far.
    matches: Vec<i64>,
}

impl Join {
    /// An operator for one task. Errs for columns no row can be kept of, naming them.
    pub fn new(plan: JoinPlan) -> Result<Join> {
        Join::with_limits(&plan, LIMITS)
    }

    fn with_limits(plan: &JoinPlan, limits: Limits) -> Result<Join> {
        join_layouts(plan)?;
        let [left, right] = Shown::of(plan.kind);
        let side = |schema, keys, shown: Shown, store: &String| -> Result<Side> {
            Ok(Side {
                codec: SideCodec::new(schema, keys, shown.is_counted())?,
                shown,
                cache: KeyCache::new(limits.cache_bytes, limits.cache_key_bytes),
                store_name: store.clone(),
                index: None,
            })
        };
        let (left_keys, right_keys) = plan.keys.iter().copied().unzip();
        Ok(Join {
            sides: [
                side(&plan.left, left_keys, left, &plan.stores[0])?,
                side(&plan.right, right_keys, right, &plan.stores[1])?,
            ],
            null_equals_null: plan.null_equals_null,
            filter: PairFilter::of(plan)?,
            output: Output::new(plan, limits.chunk),
            limits,
        })
    }

    fn work(&mut self, input: &ColumnBatch, context: &mut ProcessContext<'_>) -> Result<()> {
        let port = input.port;
        let side = self
            .sides
            .get(port)
            .ok_or_else(|| SqlError::invalid(format!("a join has no input {port}")))?;
        let null_keys = match (self.null_equals_null, side.shown.is_shown(false)) {
            (true, _) => NullKeys::Match,
            (false, true) => NullKeys::Alone,
            (false, false) => NullKeys::Drop,
        };
        let delta = Delta::new(&side.codec, input, null_keys)?;
        let mut work = Work {
            port,
            columns: input.batch.columns().to_vec(),
            matches: vec![0; delta.len()],
            delta,
        };
        let mut block = Block::default();
        let mut reader = Reader::default();
        loop {
            let other = &mut self.sides[1 - port];
            reader.fill(&work.delta, other, &self.limits, &mut block, context)?;
            if block.len() == 0 {
                break;
            }
            self.meet(&mut work, &mut block, context)?;
        }
        self.finish(&work, context)
    }

    /// Joins the batch with some rows of the other side.
    fn meet(&mut self, work: &mut Work, block: &mut Block, context: &mut ProcessContext<'_>) -> Result<()> {
        let other = 1 - work.port;
        let mut columns: Option<Vec<ArrayRef>> = None;
        if self.filter.is_none() && !self.output.shows_pairs {
            work.count_all(block)?;
        } else {
            let columns = columns.insert(self.sides[other].codec.decode(block.rows.iter())?);
            let mut candidates = Candidates::default();
            for segment in 0..block.segments.len() {
                let (group, rows) = block.segments[segment].clone();
                for entry in work.delta.group(group) {
                    let mut start = rows.start;
                    while start < rows.end {
                        let room = self.limits.chunk - candidates.rows.len();
                        let end = rows.end.min(start + room);
                        candidates.rows.extend(start as u32..end as u32);
                        candidates.entries.resize(candidates.rows.len(), entry as u32);
                        start = end;
                        if candidates.rows.len() >= self.limits.chunk {
                            self.settle(&mut candidates, work, block, columns, context)?;
                        }
                    }
                }
            }
            self.settle(&mut candidates, work, block, columns, context)?;
        }
        let side = &mut self.sides[other];
        if !side.shown.is_counted() || block.changes.iter().all(|change| *change == 0) {
            return Ok(());
        }
        let mut alone = Alone::default();
        for row in 0..block.len() {
            let before = block.matches[row];
            let after = add(before, block.changes[row])?;
            alone.turn(side.shown, row as u32, block.weights[row], [before, after]);
        }
        side.write_matches(&work.delta, block, context)?;
        if alone.is_empty() {
            return Ok(());
        }
        let columns = match columns {
            Some(columns) => columns,
            None => side.codec.decode(block.rows.iter())?,
        };
        self.output.alone(other, &columns, &alone, context)
    }

    /// Compares candidates, counts and sends those that match.
    fn settle(
        &mut self,
        candidates: &mut Candidates,
        work: &mut Work,
        block: &mut Block,
        columns: &[ArrayRef],
        context: &mut ProcessContext<'_>,
    ) -> Result<()> {
        let mut found = std::mem::take(candidates);
        if found.rows.is_empty() {
            return Ok(());
        }
        if let Some(filter) = &mut self.filter {
            let (own, other) = work.picked(&found);
            let sides = work.ordered(&own, columns, &other);
            let mask = filter.matching(sides, |pair, reason| {
                context.dead_letter(&without_origin(pair), reason);
            })?;
            let is_match = |pair: usize| mask.is_valid(pair) && mask.value(pair);
            let mut kept = 0;
            for pair in 0..found.rows.len() {
                if is_match(pair) {
                    found.rows[kept] = found.rows[pair];
                    found.entries[kept] = found.entries[pair];
                    kept += 1;
                }
            }
            found.rows.truncate(kept);
            found.entries.truncate(kept);
        }
        let mut weights = Vec::with_capacity(found.rows.len());
        for (entry, row) in found.entries.iter().zip(&found.rows) {
            let (entry, row) = (*entry as usize, *row as usize);
            let (own, other) = (work.delta.weight(entry), block.weights[row]);
            work.matches[entry] = add(work.matches[entry], other)?;
            block.changes[row] = add(block.changes[row], own)?;
            weights.push(
                own.checked_mul(other).ok_or_else(|| {
                    SqlError::invalid("a pair of rows occurs more often than can be counted")
                })?,
            );
        }
        if self.output.shows_pairs && !weights.is_empty() {
            let (own, other) = work.picked(&found);
            let sides = work.ordered(&own, columns, &other);
            self.output.pairs(sides, weights, context)?;
        }
        found.entries.clear();
        found.rows.clear();
        *candidates = found;
        Ok(())
    }

    /// Shows the rows of the batch that are shown without a partner, and stores the batch.
    fn finish(&mut self, work: &Work, context: &mut ProcessContext<'_>) -> Result<()> {
        let side = &mut self.sides[work.port];
        side.write_delta(&work.delta, &work.matches, context)?;
        let mut alone = Alone::default();
        for (row, weight) in &work.delta.loners {
            alone.add(side.shown, *row, *weight, false);
        }
        for (entry, matches) in work.matches.iter().enumerate() {
            let row = work.delta.source(entry);
            alone.add(side.shown, row, work.delta.weight(entry), *matches > 0);
        }
        self.output.alone(work.port, &work.columns, &alone, context)
    }
}

impl Work {
    /// Without a condition every row of a key matches every other: sums are enough.
    fn count_all(&mut self, block: &mut Block) -> Result<()> {
        for (group, rows) in &block.segments {
            let sum = block.weights[rows.clone()]
                .iter()
                .try_fold(0, |sum, weight| add(sum, *weight))?;
            for entry in self.delta.group(*group) {
                self.matches[entry] = add(self.matches[entry], sum)?;
            }
            let change = self.delta.group_weight(*group)?;
            block.changes[rows.clone()].fill(change);
        }
        Ok(())
    }

    /// The rows of the batch and of the block that candidates are made of.
    fn picked(&self, candidates: &Candidates) -> (UInt32Array, UInt32Array) {
        let entries = candidates.entries.iter();
        (
            UInt32Array::from_iter_values(entries.map(|entry| self.delta.source(*entry as usize))),
            UInt32Array::from_iter_values(candidates.rows.iter().copied()),
        )
    }

    /// The same, left first.
    fn ordered<'a>(
        &'a self,
        own: &'a UInt32Array,
        columns: &'a [ArrayRef],
        other: &'a UInt32Array,
    ) -> [Picked<'a>; 2] {
        let own = Picked {
            columns: &self.columns,
            rows: own,
        };
        let other = Picked { columns, rows: other };
        if self.port == 0 {
            [own, other]
        } else {
            [other, own]
        }
    }
}

/// A pair of rows comes from no single record.
fn without_origin(value: Option<bytes::Bytes>) -> RawRecord {
    RawRecord {
        origin: None,
        key: None,
        value,
        timestamp: 0,
        headers: Headers::NONE,
    }
}

impl Processor for Join {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        for side in &mut self.sides {
            side.index = Some(context.store_index(&side.store_name)?);
        }
        Ok(())
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let input = batch
            .into_columns::<ColumnBatch>()
            .map_err(|other| ProcessError::UnexpectedBatch {
                node: context.node().to_owned(),
                expected: "rows",
                actual: other.shape(),
            })?;
        self.work(&input, context)
            .map_err(|e| ProcessError::node(context.node(), e))
    }

    fn on_abort(&mut self) {
        self.sides.iter_mut().for_each(|side| side.cache.clear());
    }
}

#[cfg(test)]
#[path = "oracle_test.rs"]
mod oracle_test;

#[cfg(test)]
#[path = "join_test.rs"]
mod join_test;

#[cfg(test)]
#[path = "test_world.rs"]
mod test_world;
