//! Joins of two streams over a sliding window: inner, left and outer, Kafka Streams' rules to the letter.
//!
//! ```text
//! left  ─ MarkSide ─┐                ┌─ window store of the left side
//!                   ├─→ StreamJoin ──┼─ window store of the right side
//! right ─ MarkSide ─┘                └─ store of records that wait for a partner (left and outer joins)
//! ```
//! Per record, in order: the join's stream time goes on; when the record is not out of order, waiting records whose window has closed are given out; the record
//! meets its partners of the other side, by time; without any, it waits, or is given out at once when its window is in the past; last it goes into its own window
//! store. A batch does so in passes: encode keys, read all that is needed with two reads per side, work through the rows, write.
//!
//! Always true: results do not depend on how the input was cut into batches. Where both sides stem from one source, their batches belong between each
//! other, record by record, so they are held back until the source batch is complete (`on_batch_end`).
//!
//! Time is the largest timestamp that came to the join, as in Kafka Streams, and is saved with every commit. In tasks that read a repartition topic it is
//! never ahead of what the upstream tasks tell (`Row::stream_time`), so that it does not matter which of them ran first.
//!
//! Next: `layout.rs` for the keys, `side.rs` for the window stores, `waiting.rs` for when unmatched records are given out.

pub(in crate::dsl) mod layout;
mod meeting;
mod side;
pub(in crate::dsl) mod sided;
mod waiting;

use std::sync::Arc;

use millpond_log::types::Timestamp;

use self::layout::{Layout, Side};
use self::meeting::Meeting;
use self::side::{JoinSide, hash_key};
use self::sided::{Sided, sided_of};
use self::waiting::Waiting;
use crate::dsl::JoinWindows;
use crate::dsl::row::{NO_OFFSET, Row, batch_of};
use crate::processor::{
    Batch, BoxError, Headers, InitContext, NO_TIME, ProcessContext, ProcessError, Processor,
};
use crate::serde::{Data, SerdeRef};

/// What a join needs to know.
pub(in crate::dsl) struct JoinSettings<K, V1, V2> {
    pub(in crate::dsl) key: SerdeRef<K>,
    pub(in crate::dsl) left: SerdeRef<V1>,
    pub(in crate::dsl) right: SerdeRef<V2>,
    pub(in crate::dsl) windows: JoinWindows,
    /// Records of the left, and of the right stream are given out without a partner, too.
    pub(in crate::dsl) left_outer: bool,
    pub(in crate::dsl) right_outer: bool,
    pub(in crate::dsl) left_store: String,
    pub(in crate::dsl) right_store: String,
    /// Store of waiting records; none for inner joins.
    pub(in crate::dsl) waiting_store: Option<String>,
    /// Both sides stem from one source.
    pub(in crate::dsl) has_common_source: bool,
}

/// See the module's text. `F` makes a result of a key and the values of both sides; it is never called without any value.
pub(in crate::dsl) struct StreamJoin<K, V1, V2, F> {
    settings: Arc<JoinSettings<K, V1, V2>>,
    joiner: Arc<F>,
    left: JoinSide<V1>,
    right: JoinSide<V2>,
    waiting: Option<Waiting>,
    /// Rows that wait for the end of the source batch, and the order they came in.
    held: Held<K, V1, V2>,
    keys: Keys,
}

/// Rows of both sides, and their order.
struct Held<K, V1, V2> {
    left: Vec<Row<K, V1>>,
    right: Vec<Row<K, V2>>,
}

/// The keys of a batch as bytes, and room for one value.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    value: Vec<u8>,
}

impl Keys {
    fn of(&mut self, item: &Item) -> (&[u8], &mut Vec<u8>) {
        (&self.bytes[item.key.0..item.key.1], &mut self.value)
    }
}

/// A row that takes part. The items of a side are in the order of its rows.
struct Item {
    side: Side,
    what: What,
    /// Place of the key's bytes.
    key: (usize, usize),
    hash: u64,
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// It is joined.
    Join,
    /// Its key is null: it matches nothing, and is given out at once (KIP-962).
    Unmatched,
    /// It only moves the time on.
    Skip,
}

impl<K: Data, V1: Data, V2: Data, F> StreamJoin<K, V1, V2, F> {
    pub(in crate::dsl) fn new(settings: Arc<JoinSettings<K, V1, V2>>, joiner: Arc<F>) -> Self {
        let layout = Layout::of(&settings.windows);
        let waits = settings.waiting_store.is_some();
        StreamJoin {
            left: JoinSide::new(layout, settings.left.clone(), waits && settings.left_outer),
            right: JoinSide::new(layout, settings.right.clone(), waits && settings.right_outer),
            waiting: waits.then(|| Waiting::new(layout, settings.windows)),
            settings,
            joiner,
            held: Held {
                left: Vec::new(),
                right: Vec::new(),
            },
            keys: Keys::default(),
        }
    }
}

impl<K, V1, V2, R, F> Processor for StreamJoin<K, V1, V2, F>
where
    K: Data,
    V1: Data,
    V2: Data,
    R: Data,
    F: Fn(&K, Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.left.store = context.store_index(&self.settings.left_store)?;
        self.right.store = context.store_index(&self.settings.right_store)?;
        if let (Some(waiting), Some(store)) = (&mut self.waiting, &self.settings.waiting_store) {
            waiting.store = context.store_index(store)?;
        }
        Ok(())
    }

    fn wants_batch_end(&self) -> bool {
        self.settings.has_common_source
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        match sided_of(batch, context)? {
            Sided::Left(rows) => self.held.left.extend(rows),
            Sided::Right(rows) => self.held.right.extend(rows),
        }
        // In a task that works a record at a time, both sides of a record come before the next one as it is.
        if self.settings.has_common_source && !context.is_record_at_a_time() {
            Ok(())
        } else {
            self.join(context)
        }
    }

    fn on_batch_end(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.join(context)
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.join(context)?;
        // With records, it is they who move the join's time on, as in Kafka Streams.
        context
            .idle_time()
            .map_or(Ok(()), |time| self.close_idle(time, context))
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.join(context)?;
        let retention_ms = self.settings.windows.retention_ms();
        let limit = limit(context.stream_time(), context.follows_upstreams());
        let horizon =
            |observed: Timestamp| observed.min(limit).saturating_sub(retention_ms).saturating_add(1);
        let (left, right) = (horizon(self.left.observed()), horizon(self.right.observed()));
        self.left.on_commit(left, context);
        self.right.on_commit(right, context);
        if let Some(waiting) = &mut self.waiting {
            waiting.on_commit(context);
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        self.left.on_abort();
        self.right.on_abort();
        if let Some(waiting) = &mut self.waiting {
            waiting.on_abort();
        }
        self.held.left.clear();
        self.held.right.clear();
    }
}

impl<K, V1, V2, R, F> StreamJoin<K, V1, V2, F>
where
    K: Data,
    V1: Data,
    V2: Data,
    R: Data,
    F: Fn(&K, Option<&V1>, Option<&V2>) -> Option<R> + Send + Sync + 'static,
{
    /// Joins the rows held so far.
    fn join(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut held = Held {
            left: std::mem::take(&mut self.held.left),
            right: std::mem::take(&mut self.held.right),
        };
        if held.left.is_empty() && held.right.is_empty() {
            return Ok(());
        }
        if self.settings.has_common_source {
            // Branches of one source that were merged again came one after the other.
            held.left.sort_by_key(|row| row.offset);
            held.right.sort_by_key(|row| row.offset);
        }
        self.left.open(context)?;
        self.right.open(context)?;
        if let Some(waiting) = &mut self.waiting {
            waiting.open(context)?;
        }
        let items = self.plan(&held, context)?;
        self.left.load(context)?;
        self.right.load(context)?;
        let follows = context.follows_upstreams();
        if let Some(waiting) = &mut self.waiting {
            let (observed, limit) = latest(&held, follows);
            waiting.begin(observed, limit, context)?;
        }
        let (mut left, mut right) = (held.left.into_iter(), held.right.into_iter());
        let mut results = Vec::new();
        for item in items {
            // The rows of a side are in the order of its items.
            match item.side {
                Side::Left => {
                    let Some(row) = left.next() else { continue };
                    self.close(&item, &row, follows, &mut results, context)?;
                    let (key_bytes, value) = self.keys.of(&item);
                    let meeting = Meeting {
                        windows: self.settings.windows,
                        is_outer: self.settings.left_outer,
                        follows,
                        key_bytes,
                        value,
                        join: |key: &K, this: &V1, other: Option<&V2>| (self.joiner)(key, Some(this), other),
                    };
                    let waiting = self.waiting.as_mut();
                    let done = meeting.run(&item, row, &mut self.left, &self.right, waiting, &mut results);
                    done.or_else(|refused| refused.report(context))?;
                }
                Side::Right => {
                    let Some(row) = right.next() else { continue };
                    self.close(&item, &row, follows, &mut results, context)?;
                    let (key_bytes, value) = self.keys.of(&item);
                    let meeting = Meeting {
                        windows: self.settings.windows.reversed(),
                        is_outer: self.settings.right_outer,
                        follows,
                        key_bytes,
                        value,
                        join: |key: &K, this: &V2, other: Option<&V1>| (self.joiner)(key, other, Some(this)),
                    };
                    let waiting = self.waiting.as_mut();
                    let done = meeting.run(&item, row, &mut self.right, &self.left, waiting, &mut results);
                    done.or_else(|refused| refused.report(context))?;
                }
            }
        }
        self.left.write(context)?;
        self.right.write(context)?;
        if let Some(waiting) = &mut self.waiting {
            waiting.write(context);
        }
        if !results.is_empty() {
            context.forward(batch_of(results));
        }
        Ok(())
    }

    /// Moves the join's time on by one row and gives out the waiting records whose window has closed thereby. They get the headers of the row, as in
    /// Kafka Streams.
    fn close<V>(
        &mut self,
        item: &Item,
        row: &Row<K, V>,
        follows: bool,
        results: &mut Vec<Row<K, R>>,
        context: &ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        waiting.advance(row.timestamp, limit(row.stream_time, follows));
        // Out of order: as in Kafka Streams, it closes nothing.
        if item.what != What::Join || row.timestamp < waiting.stream_time() {
            return Ok(());
        }
        let cause = Row {
            key: (),
            value: (),
            timestamp: row.timestamp,
            headers: row.headers.clone(),
            stream_time: row.stream_time,
            offset: row.offset,
        };
        self.give_out(item.side, &cause, results)
            .map_err(|cause| ProcessError::node(context.node(), cause))
    }

    /// Time went on without a record: gives out the waiting records whose window has closed thereby.
    fn close_idle(&mut self, time: Timestamp, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        let limit = limit(context.stream_time(), context.follows_upstreams());
        waiting.open(context)?;
        waiting.begin(time, limit, context)?;
        waiting.advance(time, limit);
        let cause = Row {
            key: (),
            value: (),
            timestamp: time,
            headers: Headers::NONE,
            stream_time: time,
            offset: NO_OFFSET,
        };
        let mut results = Vec::new();
        for side in [Side::Left, Side::Right] {
            self.give_out(side, &cause, &mut results)
                .map_err(|cause| ProcessError::node(context.node(), cause))?;
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.write(context);
        }
        if !results.is_empty() {
            context.forward(batch_of(results));
        }
        Ok(())
    }

    /// Results of the records that waited in vain, with what `cause` hands down to them.
    fn give_out(
        &mut self,
        side: Side,
        cause: &Row<(), ()>,
        results: &mut Vec<Row<K, R>>,
    ) -> Result<(), BoxError> {
        let Some(waiting) = &mut self.waiting else {
            return Ok(());
        };
        let settings = &self.settings;
        for unmatched in waiting.close(side)? {
            let key = settings.key.deserialize(&unmatched.key)?;
            let result = match unmatched.side {
                Side::Left => {
                    let value = settings.left.deserialize(&unmatched.value)?;
                    (self.joiner)(&key, Some(&value), None)
                }
                Side::Right => {
                    let value = settings.right.deserialize(&unmatched.value)?;
                    (self.joiner)(&key, None, Some(&value))
                }
            };
            results.extend(result.map(|value| Row {
                timestamp: unmatched.timestamp,
                ..cause.clone().with(key, value)
            }));
        }
        Ok(())
    }

    /// Brings the rows into order, encodes their keys, and notes which records of the other side they may meet.
    fn plan(
        &mut self,
        held: &Held<K, V1, V2>,
        context: &mut ProcessContext<'_>,
    ) -> Result<Vec<Item>, ProcessError> {
        self.keys.bytes.clear();
        let mut items = Vec::with_capacity(held.left.len() + held.right.len());
        let mut skipped = 0;
        let mut order: Vec<(Side, u32)> = Vec::with_capacity(items.capacity());
        order.extend((0..held.left.len()).map(|row| (Side::Left, row as u32)));
        order.extend((0..held.right.len()).map(|row| (Side::Right, row as u32)));
        if !held.left.is_empty() && !held.right.is_empty() {
            // As the records came from the source, and each on the left first, where Kafka Streams adds the first child.
            order.sort_by_key(|(side, row)| match side {
                Side::Left => (held.left[*row as usize].offset, 0),
                Side::Right => (held.right[*row as usize].offset, 1),
            });
        }
        for (side, row) in order {
            let place = row as usize;
            let (key, null_value, timestamp, offset) = match side {
                Side::Left => {
                    let row = &held.left[place];
                    (&row.key, self.left.is_null(&row.value), row.timestamp, row.offset)
                }
                Side::Right => {
                    let row = &held.right[place];
                    (
                        &row.key,
                        self.right.is_null(&row.value),
                        row.timestamp,
                        row.offset,
                    )
                }
            };
            let is_outer = match side {
                Side::Left => self.settings.left_outer,
                Side::Right => self.settings.right_outer,
            };
            let start = self.keys.bytes.len();
            let what = if self.settings.key.is_null(key) {
                if is_outer && !null_value {
                    What::Unmatched
                } else {
                    What::Skip
                }
            } else if null_value {
                What::Skip
            } else {
                What::Join
            };
            let mut item = Item {
                side,
                what,
                key: (start, start),
                hash: 0,
            };
            if what == What::Skip {
                skipped += 1;
            }
            if what == What::Join {
                if let Err(cause) = self.settings.key.serialize(key, &mut self.keys.bytes) {
                    self.keys.bytes.truncate(start);
                    context.refuse(None, offset, timestamp, cause.into())?;
                    item.what = What::Skip;
                    items.push(item);
                    continue;
                }
                item.key.1 = self.keys.bytes.len();
                let key = &self.keys.bytes[start..];
                item.hash = hash_key(key);
                self.want(&item, timestamp, context);
            }
            items.push(item);
        }
        context.skipped(skipped);
        Ok(items)
    }

    fn want(&mut self, item: &Item, timestamp: Timestamp, context: &ProcessContext<'_>) {
        let key = &self.keys.bytes[item.key.0..item.key.1];
        let retention_ms = self.settings.windows.retention_ms();
        // Time only goes on, so what is invisible now stays so. Behind a repartition topic less may be: there only the window limits.
        let visible = |observed: Timestamp| {
            if context.follows_upstreams() {
                0
            } else {
                observed.saturating_sub(retention_ms).saturating_add(1)
            }
        };
        match item.side {
            Side::Left => {
                let (from, to) = self.settings.windows.partners(timestamp);
                let from = from.max(visible(self.right.observed()));
                if from <= to {
                    self.right.want(key, item.hash, from, to);
                }
            }
            Side::Right => {
                let (from, to) = self.settings.windows.reversed().partners(timestamp);
                let from = from.max(visible(self.left.observed()));
                if from <= to {
                    self.left.want(key, item.hash, from, to);
                }
            }
        }
    }
}

/// The largest timestamp of these rows, and the largest limit.
fn latest<K, V1, V2>(held: &Held<K, V1, V2>, follows: bool) -> (Timestamp, Timestamp) {
    fn of<K, V>(rows: &[Row<K, V>]) -> (Option<Timestamp>, Option<Timestamp>) {
        let limits = rows.iter().map(|row| row.stream_time);
        (rows.iter().map(|row| row.timestamp).max(), limits.max())
    }
    let (left, right) = (of(&held.left), of(&held.right));
    let stream_time = left.1.max(right.1).unwrap_or(NO_TIME);
    (left.0.max(right.0).unwrap_or(0), limit(stream_time, follows))
}

/// What the join's time must not be ahead of, when the task's is `stream_time`.
fn limit(stream_time: Timestamp, follows: bool) -> Timestamp {
    if follows { stream_time } else { Timestamp::MAX }
}
