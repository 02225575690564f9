//! One record meets the other side of a join: its partners, or the store of those who wait for one; then it goes into its own store.

use millpond_log::types::{Offset, Timestamp};

use super::side::{Element, JoinSide};
use super::waiting::Waiting;
use super::{Item, What, limit};
use crate::dsl::JoinWindows;
use crate::dsl::row::Row;
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::serde::Data;

/// One row meets the other side.
pub(super) struct Meeting<'a, J> {
    /// As the row's side sees them.
    pub(super) windows: JoinWindows,
    pub(super) is_outer: bool,
    pub(super) follows: bool,
    pub(super) key_bytes: &'a [u8],
    pub(super) value: &'a mut Vec<u8>,
    pub(super) join: J,
}

/// A row whose value cannot be encoded.
pub(super) struct Refused {
    offset: Offset,
    timestamp: Timestamp,
    cause: BoxError,
}

impl Refused {
    pub(super) fn report(self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        context.refuse(None, self.offset, self.timestamp, self.cause)
    }
}

impl<J> Meeting<'_, J> {
    pub(super) fn run<K: Data, This: Data, Other: Data, R>(
        self,
        item: &Item,
        row: Row<K, This>,
        this: &mut JoinSide<This>,
        other: &JoinSide<Other>,
        mut waiting: Option<&mut Waiting>,
        results: &mut Vec<Row<K, R>>,
    ) -> Result<(), Refused>
    where
        J: Fn(&K, &This, Option<&Other>) -> Option<R>,
    {
        let (timestamp, stream_time) = (row.timestamp, row.stream_time);
        let result = |value: R, timestamp: Timestamp| Row {
            key: row.key.clone(),
            value,
            timestamp,
            headers: row.headers.clone(),
            stream_time,
            offset: row.offset,
        };
        match item.what {
            What::Skip => return Ok(()),
            What::Unmatched => {
                let value = (self.join)(&row.key, &row.value, None);
                results.extend(value.map(|value| result(value, timestamp)));
                return Ok(());
            }
            What::Join => {}
        }
        self.value.clear();
        if let Err(cause) = this.encode(&row.value, self.value) {
            return Err(Refused {
                offset: row.offset,
                timestamp,
                cause,
            });
        }
        let retention_ms = self.windows.retention_ms();
        let visible_from = |observed: Timestamp| {
            let time = observed.min(limit(stream_time, self.follows));
            time.saturating_sub(retention_ms).saturating_add(1)
        };
        let (from, to) = self.windows.partners(timestamp);
        let from = from.max(visible_from(other.observed()));
        let mut met = false;
        for partner in other.partners(self.key_bytes, item.hash, from, to) {
            met = true;
            if let Some(waiting) = &mut waiting {
                waiting.remove(
                    partner.timestamp,
                    item.side.other(),
                    self.key_bytes,
                    partner.sequence,
                );
            }
            let value = (self.join)(&row.key, &row.value, Some(&partner.value));
            results.extend(value.map(|value| result(value, timestamp.max(partner.timestamp))));
        }
        let mut sequence = 0;
        if self.is_outer
            && let Some(waiting) = waiting
        {
            sequence = waiting.next_sequence();
            if !met && to < waiting.stream_time() {
                let value = (self.join)(&row.key, &row.value, None);
                results.extend(value.map(|value| result(value, timestamp)));
            } else if !met {
                waiting.put(timestamp, item.side, self.key_bytes, sequence, self.value);
            }
        }
        let element = Element {
            timestamp,
            sequence,
            value: row.value,
        };
        this.keep(self.key_bytes, item.hash, self.value, element, |observed| {
            timestamp >= visible_from(observed)
        });
        Ok(())
    }
}
