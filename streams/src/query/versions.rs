//! Queries of tables that know their past ([`Materialized::versioned`](crate::dsl::Materialized::versioned), KIP-889, KIP-968).

use bytes::Bytes;
use millpond_log::types::Timestamp;

use super::{QueryError, StoreView};
use crate::dsl::{StoredVersions, history_store};
use crate::state::{StateSnapshot, StoreKind, ValueEnvelope};

/// What an entry was for some time (Kafka Streams' `VersionedRecord`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// Since when it held, in ms, included: the timestamp of its record.
    pub valid_from_ms: Timestamp,
    /// Until when it held, in ms, excluded; `None` = it holds still.
    pub valid_to_ms: Option<Timestamp>,
}

/// Versions as bytes, and the largest timestamp the table saw.
struct Found {
    present: Option<(Timestamp, Bytes)>,
    past: Vec<(Timestamp, Timestamp, Bytes)>,
    horizon: Timestamp,
}

impl<K: 'static, V: 'static> StoreView<K, V> {
    /// What the entry of `key` was at `at_ms` (`VersionedKeyQuery` with `asOf`). The value that holds now is found however old it is; one that was replaced, as long as
    /// the time asked for lies within the retention.
    /// # Errors
    /// When the table is not versioned, or the store cannot be read.
    pub fn get_as_of(&self, key: &K, at_ms: Timestamp) -> Result<Option<VersionedRecord<V>>, QueryError> {
        let mut versions = self.versions(key, at_ms, at_ms)?;
        Ok(versions.pop())
    }

    /// Everything the entry of `key` was from `from_ms` to `to_ms`, both included, oldest first (`MultiVersionedKeyQuery` with ascending timestamps). A value
    /// belongs to it if it held at any moment of that time.
    /// # Errors
    /// When the table is not versioned, or the store cannot be read.
    pub fn versions(
        &self,
        key: &K,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<VersionedRecord<V>>, QueryError> {
        let Found {
            present,
            past,
            horizon,
        } = self.find_versions(&self.key_bytes(key)?)?;
        let mut versions = Vec::new();
        if to_ms >= horizon {
            for (valid_from_ms, valid_to_ms, bytes) in past {
                if valid_from_ms <= to_ms && valid_to_ms > from_ms {
                    versions.push(VersionedRecord {
                        value: self.plain_value(&bytes)?,
                        valid_from_ms,
                        valid_to_ms: Some(valid_to_ms),
                    });
                }
            }
        }
        if let Some((valid_from_ms, bytes)) = present
            && valid_from_ms <= to_ms
        {
            versions.push(VersionedRecord {
                value: self.plain_value(&bytes)?,
                valid_from_ms,
                valid_to_ms: None,
            });
        }
        versions.sort_by_key(|version| version.valid_from_ms);
        Ok(versions)
    }

    /// As [`versions`](Self::versions), newest first.
    /// # Errors
    /// As `versions`.
    pub fn reverse_versions(
        &self,
        key: &K,
        from_ms: Timestamp,
        to_ms: Timestamp,
    ) -> Result<Vec<VersionedRecord<V>>, QueryError> {
        let mut versions = self.versions(key, from_ms, to_ms)?;
        versions.reverse();
        Ok(versions)
    }

    /// The versions of a key in the one task that has any.
    fn find_versions(&self, key: &[u8]) -> Result<Found, QueryError> {
        let history = history_store(&self.name);
        let Some(StoreKind::Window { retention_ms, .. }) = self.registry.kind(&history) else {
            return Err(self.wrong_kind("a store without versions", "past"));
        };
        let stored = StoredVersions::new(retention_ms);
        let mut found = Found {
            present: None,
            past: Vec::new(),
            horizon: Timestamp::MIN,
        };
        for part in self.registry.readers(&self.name)? {
            let past_index = part.reader.index_of(&history)?;
            let pinned = part.reader.pin()?;
            // Both stores as they were after the same commit.
            let snapshot: StateSnapshot<'_> = pinned.snapshot()?;
            let present = snapshot.get(part.index, key)?;
            let time = stored.time(|key| snapshot.get(past_index, key))?;
            let time = time.map_err(|_| self.damaged())?;
            let past = stored.read(key, time, |key| snapshot.get(past_index, key))?;
            let past = past.map_err(|_| self.damaged())?;
            if present.is_none() && past.is_empty() {
                continue;
            }
            found.horizon = time.saturating_sub(retention_ms);
            found.past = past;
            if let Some(bytes) = present {
                let envelope = ValueEnvelope::parse(&bytes).map_err(|_| self.damaged())?;
                found.present = Some((envelope.timestamp, bytes.slice_ref(envelope.value)));
            }
            break;
        }
        Ok(found)
    }

    fn plain_value(&self, bytes: &[u8]) -> Result<V, QueryError> {
        self.value.deserialize(bytes).map_err(|cause| self.serde(cause))
    }
}
