//! The rows of one interval at a time, and what changed in it told at its end (`../early.rs`).

use millpond_log::types::Timestamp;

use super::super::early::{Held, UntoldKey};
use super::paning::Paning;
use super::{Aggregate, AggregateSettings};
use crate::dsl::row::Row;
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::state::{KeyBatch, StoreIndex, ValueEnvelope};

impl<K, V, A, P, F> Aggregate<K, V, A, P, F>
where
    K: Data,
    V: Data,
    A: Data,
    P: Paning<K>,
    F: Fn(&K, &V, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    pub(super) fn fold_by_intervals(
        &mut self,
        mut rows: &[Row<K, V>],
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let settings = self.settings.clone();
        let counts = |row: &Row<K, V>| {
            let null_value = settings.skips_null_values && settings.value.is_null(&row.value);
            !null_value && !settings.key.is_null(&row.key)
        };
        while let (Some(early), Some(time)) = (&self.early, self.time.of_batch(rows, context)) {
            let (count, first) = early.rows_of_interval(rows, time.ahead(), counts);
            let (now, later) = rows.split_at(count);
            self.tell_early(first, context)?;
            self.fold(now, context)?;
            rows = later;
        }
        Ok(())
    }

    /// Tells what changed in the interval that ends by `stream_time`, the operator's, if one does.
    pub(super) fn tell_early(
        &mut self,
        stream_time: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        early.load(context)?;
        let Some(told_at) = early.advance(stream_time, self.time.committed(context)) else {
            return Ok(());
        };
        self.flush(context)?;
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        let (settings, panes, store) = (&*self.settings, self.panes, self.store);
        let rows = early.take(
            told_at,
            context,
            |keys, context| values_of(keys, settings, panes, store, context),
            |key, window| Ok(panes.out_key(settings.key.deserialize(key)?, window.start_ms)),
        )?;
        settings.late.forward_results(rows, context);
        Ok(())
    }
}

/// The stored values of results, in their order.
fn values_of<K: Data, V, A: Data, P: Paning<K>>(
    keys: &[UntoldKey],
    settings: &AggregateSettings<K, V, A>,
    panes: P,
    store: StoreIndex,
    context: &mut ProcessContext<'_>,
) -> Result<Vec<Held<A>>, ProcessError> {
    let mut wanted = KeyBatch::new();
    for (_, start_ms, key) in keys {
        wanted.push_with(|out| panes.store_key(*start_ms, key, out));
    }
    let read = |stored: &[u8]| -> Result<(A, Timestamp), BoxError> {
        let envelope = ValueEnvelope::parse(stored)?;
        Ok((
            settings.aggregate.deserialize(envelope.value)?,
            envelope.timestamp,
        ))
    };
    let mut values = Vec::with_capacity(keys.len());
    let mut damaged = None;
    context.store(store).multi_get_with(&wanted, |_, stored| {
        values.push(stored.map(read).transpose().unwrap_or_else(|cause| {
            damaged = Some(cause);
            None
        }));
    })?;
    match damaged {
        None => Ok(values),
        Some(cause) => Err(ProcessError::node(context.node(), cause)),
    }
}
