//! Versions of single keys, read from wherever the bytes are: what queries see of a versioned table's past.
//!
//! Always true: it reads what `history.rs` wrote and writes nothing; a key's present is in the table's own store. `query/versions.rs` asks it.

use bytes::Bytes;
use millpond_log::types::Timestamp;

use super::history::History;
use super::version::{CutShort, OPEN, VersionRef, split_head, time_key};
use crate::processor::BoxError;
use crate::state::StoreIndex;

/// Name of the store that keeps the versions of the table `store`.
pub(crate) fn history_store(store: &str) -> String {
    format!("{store}-history")
}

/// Versions of single keys, read from wherever the bytes are: for queries.
pub(crate) struct StoredVersions {
    history: History,
}

/// Bytes that are no version.
pub(crate) type Damaged = BoxError;

impl StoredVersions {
    pub(crate) fn new(retention_ms: i64) -> Self {
        StoredVersions {
            history: History::new(retention_ms, StoreIndex::new(0)),
        }
    }

    /// Largest timestamp put; -1 before the first.
    pub(crate) fn time<E>(
        &self,
        mut get: impl FnMut(&[u8]) -> Result<Option<Bytes>, E>,
    ) -> Result<Result<Timestamp, Damaged>, E> {
        let Some(bytes) = get(&time_key())? else {
            return Ok(Ok(-1));
        };
        let bytes = bytes[..].try_into().map(Timestamp::from_be_bytes);
        Ok(bytes.map_err(|_| CutShort.into()))
    }

    /// The values of a key that were replaced within the retention before `time`: from when to when each held, in no order.
    #[allow(
        clippy::type_complexity,
        reason = "what was read, or that it is damaged, or why it could not be read"
    )]
    pub(crate) fn read<E>(
        &self,
        key: &[u8],
        time: Timestamp,
        mut get: impl FnMut(&[u8]) -> Result<Option<Bytes>, E>,
    ) -> Result<Result<Vec<(Timestamp, Timestamp, Bytes)>, Damaged>, E> {
        let (history, mut store_key) = (&self.history, Vec::new());
        let mut versions = Vec::new();
        let keep = |bytes: &Bytes, version: &[u8], versions: &mut Vec<_>| -> Result<(), Damaged> {
            let version = VersionRef::parse(version)?;
            if let Some(value) = version.value
                && version.to != OPEN
            {
                versions.push((version.from, version.to, bytes.slice_ref(value)));
            }
            Ok(())
        };
        for pane in history.panes(history.horizon(time), time) {
            history.head_key(pane, key, &mut store_key);
            let Some(head) = get(&store_key)? else { continue };
            let (count, first) = match split_head(&head) {
                Ok(split) => split,
                Err(damaged) => return Ok(Err(damaged)),
            };
            if let Err(damaged) = keep(&head, first, &mut versions) {
                return Ok(Err(damaged));
            }
            for number in 1..count {
                history.more_key(pane, key, number, &mut store_key);
                let Some(bytes) = get(&store_key)? else { continue };
                if let Err(damaged) = keep(&bytes, &bytes, &mut versions) {
                    return Ok(Err(damaged));
                }
            }
        }
        Ok(Ok(versions))
    }
}
