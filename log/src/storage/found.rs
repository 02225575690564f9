//! What a data directory holds before a store is opened on it.
//!
//! Always: rubbish under the names of half-made and half-removed partitions is gone afterwards; a directory that looks like a partition but does not say
//! which topic it belongs to is an error, never skipped. Next: `log_store.rs`.

use std::path::Path;

use super::checkpoints::{self, CLEANER_OFFSETS, LOG_STARTS, Offsets, RECOVERY_POINTS, TOMBSTONE_HORIZONS};
use super::disk::{Disk, DiskResult, parent_of};
use super::journal;
use super::leases::AllLeases;
use super::loader::LoadRequest;
use super::log_dir::LogDir;
use super::partition_dirs::{CREATING, DELETING};
use super::partition_metadata;
use super::storage_error::StorageError;
use crate::types::{Offset, TopicPartition};

/// Creates a directory and what is missing above it; each new name is durable in its parent.
pub(super) fn create_durably(disk: &dyn Disk, path: &Path) -> DiskResult<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !disk.exists(p).unwrap_or(true))
        .collect();
    disk.create_dir_all(path)?;
    for created in missing {
        disk.sync_dir(parent_of(created))?;
    }
    Ok(())
}

/// What the data directory holds: partitions to be loaded, and from where they need not be compacted again.
pub(super) struct Found {
    pub(super) requests: Vec<LoadRequest>,
    pub(super) cleaned: Offsets,
    pub(super) horizons: Offsets,
    pub(super) leases: AllLeases,
}

pub(super) fn gather(dir: &LogDir) -> Result<Found, StorageError> {
    let points = checkpoints::read(dir, RECOVERY_POINTS)?;
    let starts = checkpoints::read(dir, LOG_STARTS)?;
    let pieces = journal::read_pieces(&dir.path, &*dir.disk)?;
    let mut requests = Vec::new();
    for entry in dir.disk.list(&dir.path)? {
        if !entry.is_dir {
            continue;
        }
        let path = dir.path.join(&entry.name);
        if entry.name.ends_with(CREATING) || entry.name.ends_with(DELETING) {
            dir.disk.remove_dir_all(&path)?;
            continue;
        }
        let Some(id) = TopicPartition::from_dir_name(&entry.name) else {
            continue;
        };
        let metadata = partition_metadata::read(&*dir.disk, &path).map_err(|e| StorageError::Io {
            reason: e.to_string(),
        })?;
        let Some(topic_id) = metadata else {
            return Err(StorageError::Io {
                reason: format!(
                    "{} holds no {}",
                    path.display(),
                    partition_metadata::PARTITION_METADATA_FILE
                ),
            });
        };
        let recovery_point = points.get(&id).copied().unwrap_or(Offset::ZERO);
        let journal = pieces
            .iter()
            .filter(|p| {
                p.directory == entry.name && p.topic_id == topic_id.get() && p.next_offset > recovery_point
            })
            .cloned()
            .collect();
        requests.push(LoadRequest {
            log_start: starts.get(&id).copied(),
            id,
            topic_id,
            path,
            recovery_point,
            journal,
        });
    }
    Ok(Found {
        requests,
        cleaned: checkpoints::read(dir, CLEANER_OFFSETS)?,
        horizons: checkpoints::read(dir, TOMBSTONE_HORIZONS)?,
        leases: checkpoints::read_leases(dir)?,
    })
}
