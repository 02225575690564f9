//! Records that came too late, and where they go: counted always, shown to a hook and sent on as a stream when asked for.
//!
//! An operator with a stream of late records has exactly two children: the first takes its results, the second the late records.

use std::sync::Arc;

use millpond_log::types::Timestamp;

use crate::dsl::change::Change;
use crate::dsl::row::{Row, batch_of};
use crate::dsl::{Window, Windowed};
use crate::processor::ProcessContext;
use crate::serde::Data;

/// A record that came after its window was closed.
#[derive(Clone, Copy, Debug)]
pub struct LateRecord<'a, K, V> {
    /// Its key.
    pub key: &'a K,
    /// Its value.
    pub value: &'a V,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The closed window it would have belonged to.
    pub window: Window,
    /// Stream time of the operator, this record counted.
    pub stream_time: Timestamp,
}

/// Called for every late record and window.
pub(in crate::dsl) type LateHook<K, V> = Arc<dyn Fn(LateRecord<'_, K, V>) + Send + Sync>;

/// What is done with late records beside counting them.
pub(in crate::dsl) struct LateOutput<K, V> {
    pub(in crate::dsl) hook: Option<LateHook<K, V>>,
    /// They go to the operator's second child, and results to the first.
    pub(in crate::dsl) is_stream: bool,
}

impl<K, V> LateOutput<K, V> {
    /// Forwards results to those who want them.
    pub(super) fn forward_results<K2: Data, A: Data>(
        &self,
        rows: Vec<Row<K2, Change<A>>>,
        context: &mut ProcessContext<'_>,
    ) {
        if rows.is_empty() {
            return;
        }
        if self.is_stream {
            context.forward_to(0, batch_of(rows));
        } else {
            context.forward(batch_of(rows));
        }
    }
}

/// The late records of a batch.
pub(super) struct LateRows<'a, K, V> {
    output: &'a LateOutput<K, V>,
    rows: Vec<Row<Windowed<K>, V>>,
}

impl<'a, K: Data, V: Data> LateRows<'a, K, V> {
    pub(super) fn new(output: &'a LateOutput<K, V>) -> Self {
        LateRows {
            output,
            rows: Vec::new(),
        }
    }

    /// A record came too late for a window, at this time of the operator.
    pub(super) fn add(
        &mut self,
        row: &Row<K, V>,
        window: Window,
        stream_time: Timestamp,
        context: &mut ProcessContext<'_>,
    ) {
        context.late(1);
        if let Some(hook) = &self.output.hook {
            hook(LateRecord {
                key: &row.key,
                value: &row.value,
                timestamp: row.timestamp,
                window,
                stream_time,
            });
        }
        if self.output.is_stream {
            let windowed = |key, value| (Windowed { key, window }, value);
            self.rows.push(row.clone().with_pair(windowed));
        }
    }

    pub(super) fn forward(self, context: &mut ProcessContext<'_>) {
        if !self.rows.is_empty() {
            context.forward_to(1, batch_of(self.rows));
        }
    }
}
