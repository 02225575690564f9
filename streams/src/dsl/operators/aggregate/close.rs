//! Results when a window closes, once and for good: window by window, in each by key bytes, as Kafka Streams' final results (KIP-825).
//!
//! Emission happens at commits, for what closed since the last one; the order does not depend on how the input was cut. Nothing about it is stored: what
//! closed before is told by the operator's time the open transaction began with, which a restart restores.

use millpond_log::types::Timestamp;

use super::{AggregateSettings, Paning};
use crate::dsl::change::Change;
use crate::dsl::row::{NO_OFFSET, Row};
use crate::processor::{BoxError, Headers, NO_TIME, ProcessContext, ProcessError};
use crate::serde::Data;
use crate::state::{KeyRange, StoreIndex, ValueEnvelope, window_key};

/// Results forwarded in one go. Large, because every walk begins with the places of all keys it may meet.
const EMIT_CHUNK: usize = 65_536;

/// Forwards the results of all panes that closed between two times of the operator: that at the last commit, and now. All changes must be in the store.
pub(super) fn emit_closed<K: Data, V: Data, A: Data, P: Paning<K>>(
    panes: P,
    settings: &AggregateSettings<K, V, A>,
    store: StoreIndex,
    (before, now): (Timestamp, Timestamp),
    context: &mut ProcessContext<'_>,
) -> Result<(), ProcessError> {
    if now == NO_TIME || now == before {
        return Ok(());
    }
    let from = match before {
        NO_TIME => Some(NO_TIME),
        before => panes.closed_before(before),
    };
    let (Some(from), Some(to)) = (from, panes.closed_before(now)) else {
        return Ok(());
    };
    let mut range = KeyRange::between(window_key::pane_prefix(from), window_key::pane_prefix(to));
    if range.is_empty() {
        return Ok(());
    }
    loop {
        let mut rows = Vec::new();
        let mut damaged: Option<BoxError> = None;
        let mut next = None;
        {
            let mut store = context.store(store);
            let mut scan = store.scan(&range)?;
            while let Some((key, value)) = scan.next_entry()? {
                if rows.len() == EMIT_CHUNK {
                    next = Some(key.to_vec());
                    break;
                }
                match read(panes, settings, key, value) {
                    Ok(row) => rows.push(row),
                    Err(cause) => {
                        damaged = Some(cause);
                        break;
                    }
                }
            }
        }
        if let Some(cause) = damaged {
            return Err(ProcessError::node(context.node(), cause));
        }
        settings.late.forward_results(rows, context);
        match next {
            Some(next) => range.from = next,
            None => return Ok(()),
        }
    }
}

fn read<K: Data, V, A: Data, P: Paning<K>>(
    panes: P,
    settings: &AggregateSettings<K, V, A>,
    key: &[u8],
    value: &[u8],
) -> Result<Row<P::OutKey, Change<A>>, BoxError> {
    let (start_ms, key) = window_key::decode(key).ok_or("a key is too short for a window")?;
    let envelope = ValueEnvelope::parse(value)?;
    Ok(Row {
        key: panes.out_key(settings.key.deserialize(key)?, start_ms),
        value: Change::latest(Some(settings.aggregate.deserialize(envelope.value)?), None),
        timestamp: envelope.timestamp,
        headers: Headers::NONE,
        // The time at which it closed, however much further that of the commit is.
        stream_time: panes.closes_at(start_ms),
        offset: NO_OFFSET,
    })
}
