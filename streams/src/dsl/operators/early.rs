//! Early results: what changed is told whenever the operator's time passes a multiple of an interval, and only then.
//!
//! Always true: which changes are told together, and in which order, depends on the records alone, not on batches, commits or restarts. For that the operator works on
//! the rows of one interval at a time, and what was not told is in a store of its own at every commit: the windowed key, whether receivers know it, and the value they
//! know if they want it. In between it is in memory, one entry per result that changed in the interval.

use std::collections::BTreeMap;

use millpond_log::types::Timestamp;

use crate::dsl::Window;
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row};
use crate::processor::{BoxError, Headers, InitContext, NO_TIME, OperatorTime, ProcessContext, ProcessError};
use crate::serde::{Data, SerdeError, SerdeRef};
use crate::state::{KeyBatch, KeyRange, StoreIndex, ValueEnvelope, window_key};

/// Name of the store beside that of an aggregation.
pub(in crate::dsl) fn untold_store(store: &str) -> String {
    format!("{store}-untold")
}

/// A result that changed: end, start, key bytes. Told in this order.
pub(super) type UntoldKey = (Timestamp, Timestamp, Box<[u8]>);

/// A value and its timestamp, if there is one.
pub(super) type Held<A> = Option<(A, Timestamp)>;

struct Untold<A> {
    /// Receivers know a value.
    was_told: bool,
    /// That value, if they want it.
    old: Option<A>,
    is_stored: bool,
}

/// See the module's text.
pub(super) struct EarlyResults<A> {
    interval_ms: i64,
    store: StoreIndex,
    aggregate: SerdeRef<A>,
    /// Number of the interval that is open.
    current: Option<i64>,
    untold: BTreeMap<UntoldKey, Untold<A>>,
    /// What the store has is in `untold`.
    is_loaded: bool,
}

impl<A: Data> EarlyResults<A> {
    pub(super) fn new(interval_ms: i64, aggregate: SerdeRef<A>) -> Self {
        EarlyResults {
            interval_ms,
            store: StoreIndex::new(0),
            aggregate,
            current: None,
            untold: BTreeMap::new(),
            is_loaded: false,
        }
    }

    pub(super) fn init(&mut self, name: &str, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&untold_store(name))?;
        Ok(())
    }

    /// Rows at the front of `rows` that belong to one interval, and the time of the first of them. `time` is looked ahead with, `counts` tells which rows move it.
    pub(super) fn rows_of_interval<K, V>(
        &self,
        rows: &[Row<K, V>],
        mut time: OperatorTime,
        counts: impl Fn(&Row<K, V>) -> bool,
    ) -> (usize, Timestamp) {
        let mut first = None;
        for (place, row) in rows.iter().enumerate() {
            let now = if counts(row) {
                time.observe(row.timestamp, row.stream_time)
            } else {
                time.at(row.stream_time)
            };
            let first = *first.get_or_insert(now);
            if now.div_euclid(self.interval_ms) > first.div_euclid(self.interval_ms) {
                return (place, first);
            }
        }
        (rows.len(), first.unwrap_or(NO_TIME))
    }

    /// Opens the interval of `stream_time`, the operator's. When that ends another, returns the time at which its results are told.
    pub(super) fn advance(&mut self, stream_time: Timestamp, committed_time: Timestamp) -> Option<Timestamp> {
        if stream_time == NO_TIME {
            return None;
        }
        let now = stream_time.div_euclid(self.interval_ms);
        let before = self.current.unwrap_or(match committed_time {
            NO_TIME => now,
            committed => committed.div_euclid(self.interval_ms),
        });
        self.current = Some(now.max(before));
        let told_at = before.saturating_add(1).saturating_mul(self.interval_ms);
        (now > before).then_some(told_at)
    }

    /// Reads what the last transaction left untold. Before anything is noted.
    pub(super) fn load(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if std::mem::replace(&mut self.is_loaded, true) {
            return Ok(());
        }
        let mut damaged: Option<BoxError> = None;
        {
            let mut store = context.store(self.store);
            let mut scan = store.scan(&KeyRange::all())?;
            while let Some((key, value)) = scan.next_entry()? {
                match read(key, value, &self.aggregate) {
                    Ok((key, untold)) => {
                        self.untold.insert(key, untold);
                    }
                    Err(cause) => {
                        damaged = Some(cause);
                        break;
                    }
                }
            }
        }
        damaged.map_or(Ok(()), |cause| Err(ProcessError::node(context.node(), cause)))
    }

    /// A result changed; `before`: whether it was there before, and its value if receivers want it.
    pub(super) fn note(&mut self, window: Window, key: &[u8], before: (bool, Option<A>)) {
        let key = (window.end_ms, window.start_ms, Box::from(key));
        self.untold.entry(key).or_insert_with(|| Untold {
            was_told: before.0,
            old: before.1,
            is_stored: false,
        });
    }

    /// Writes what was noted since the last commit.
    pub(super) fn write(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let (mut key_bytes, mut value) = (Vec::new(), Vec::new());
        for (key, untold) in self.untold.iter_mut().filter(|(_, untold)| !untold.is_stored) {
            key_bytes.clear();
            write_key(key, &mut key_bytes);
            value.clear();
            value.push(u8::from(untold.was_told));
            if let Some(old) = &untold.old {
                value.push(1);
                self.aggregate
                    .serialize(old, &mut value)
                    .map_err(|cause| ProcessError::node(context.node(), cause))?;
            }
            let envelope = ValueEnvelope::plain(key.0, &value);
            context.store(self.store).put(&key_bytes, envelope);
            untold.is_stored = true;
        }
        Ok(())
    }

    /// Takes everything that is untold, in order: `now` finds the values of now, `key_of` makes the results' keys. The store forgets it.
    pub(super) fn take<K: Data>(
        &mut self,
        told_at: Timestamp,
        context: &mut ProcessContext<'_>,
        now: impl FnOnce(&[UntoldKey], &mut ProcessContext<'_>) -> Result<Vec<Held<A>>, ProcessError>,
        key_of: impl Fn(&[u8], Window) -> Result<K, SerdeError>,
    ) -> Result<Vec<Row<K, Change<A>>>, ProcessError> {
        let all = std::mem::take(&mut self.untold);
        let mut deleted = KeyBatch::new();
        let (mut keys, mut rest) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
        for (key, untold) in all {
            if untold.is_stored {
                deleted.push_with(|out| write_key(&key, out));
            }
            keys.push(key);
            rest.push(untold);
        }
        let values = now(&keys, context)?;
        {
            let mut store = context.store(self.store);
            deleted.iter().for_each(|key| store.delete(key));
        }
        let mut rows = Vec::with_capacity(keys.len());
        for (((end_ms, start_ms, key), untold), value) in keys.into_iter().zip(rest).zip(values) {
            // Came and went in between: nobody below knows of it.
            if value.is_none() && !untold.was_told {
                continue;
            }
            let key = key_of(&key, Window { start_ms, end_ms });
            let key = key.map_err(|cause| ProcessError::node(context.node(), cause))?;
            let (new, timestamp) = match value {
                Some((value, timestamp)) => (Some(value), timestamp),
                // Which of the records since made it go is not known, nor does it matter.
                None => (None, told_at),
            };
            rows.push(Row {
                key,
                value: Change::latest(new, untold.old),
                timestamp,
                headers: Headers::NONE,
                stream_time: told_at,
                offset: NO_OFFSET,
            });
        }
        Ok(rows)
    }

    /// The transaction was lost.
    pub(super) fn forget(&mut self) {
        self.untold.clear();
        (self.current, self.is_loaded) = (None, false);
    }
}

fn write_key((end_ms, start_ms, key): &UntoldKey, out: &mut Vec<u8>) {
    out.extend_from_slice(&window_key::pane_prefix(*end_ms));
    window_key::append_to(*start_ms, key, out);
}

fn read<A: 'static>(
    key: &[u8],
    value: &[u8],
    aggregate: &SerdeRef<A>,
) -> Result<(UntoldKey, Untold<A>), BoxError> {
    let (end_ms, rest) = window_key::decode(key).ok_or("a key is too short for a window")?;
    let (start_ms, key) = window_key::decode(rest).ok_or("a key is too short for a window")?;
    let envelope = ValueEnvelope::parse(value)?;
    let (was_told, old) = envelope.value.split_first().ok_or("an untold result is empty")?;
    let old = match old.split_first() {
        None => None,
        Some((_, old)) => Some(aggregate.deserialize(old)?),
    };
    let untold = Untold {
        was_told: *was_told != 0,
        old,
        is_stored: true,
    };
    Ok(((end_ms, start_ms, Box::from(key)), untold))
}
