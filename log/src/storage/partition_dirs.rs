//! Partition directories made and removed, many at a time.
//!
//! Always: a directory is complete (metadata, epochs, an empty segment) and durable before it gets its name, and loses its name before anything in it
//! is removed, so a crash leaves whole partitions or rubbish under other names. Making a thousand one after another costs seven syncs each;
//! here the directories are filled side by side, made durable together, and named by one sync of their parent. Next: `log_store.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint;
use super::checkpoints;
use super::disk::{DiskExt, DiskResult, OpenMode};
use super::epoch_log::{EPOCH_FILE, EpochLog};
use super::leases::Urgency;
use super::log_dir::LogDir;
use super::partition::Partition;
use super::partition_metadata::{self, PARTITION_METADATA_FILE};
use super::segment::{Numbers, Segment};
use super::storage_error::StorageError;
use crate::types::{Offset, TopicId, TopicPartition};

/// Suffix of a directory under construction; removed at the next start.
pub(super) const CREATING: &str = "-create";
/// Suffix of a directory under removal, as in Kafka; removed at the next start.
pub(super) const DELETING: &str = "-delete";
/// Directories worked on side by side.
const LANES: usize = 8;
/// Up to this many, each new file is synced by itself; above, everything new is made durable at once, which also writes out what others left
/// dirty and is only worth it for many.
const SYNC_EACH_MAX: usize = 16;

/// A directory that is there now, empty of records.
#[derive(Debug)]
pub(super) struct NewDirectory {
    pub(super) path: PathBuf,
    pub(super) segment: Segment,
    pub(super) epochs: EpochLog,
}

/// Makes a directory for each of these partitions, durably; in order. After an error none counts as made, and what is there under a
/// partition's name is whole.
pub(super) async fn make(
    dir: &Arc<LogDir>,
    wanted: Vec<(TopicPartition, TopicId)>,
) -> Result<Vec<NewDirectory>, StorageError> {
    let sync_each = wanted.len() <= SYNC_EACH_MAX;
    let lane = wanted.len().div_ceil(LANES).max(1);
    let lanes = wanted.chunks(lane).map(|wanted| {
        let (dir, wanted) = (Arc::clone(dir), wanted.to_vec());
        dir.disk.clone().blocking(move || -> DiskResult<Vec<PathBuf>> {
            let build = |(id, topic_id): &(TopicPartition, TopicId)| build(&dir, id, *topic_id, sync_each);
            wanted.iter().map(build).collect()
        })
    });
    let mut building = Vec::with_capacity(wanted.len());
    for built in futures::future::join_all(lanes).await {
        building.extend(built?);
    }
    let named = Arc::clone(dir);
    let name = move || -> DiskResult<Vec<NewDirectory>> {
        if !sync_each {
            named.disk.sync_new(&named.path, &building)?;
        }
        let mut made = Vec::with_capacity(building.len());
        for (building, (id, _)) in building.iter().zip(&wanted) {
            let path = named.path.join(id.to_string());
            named.disk.rename(building, &path)?;
            made.push(NewDirectory {
                segment: Segment::at(&named, &path, Offset::ZERO, Numbers::default()),
                epochs: EpochLog::started(&path),
                path,
            });
        }
        named.disk.sync_dir(&named.path)?;
        Ok(made)
    };
    Ok(dir.disk.blocking(name).await?)
}

/// Fills a directory under another name.
fn build(dir: &LogDir, id: &TopicPartition, topic_id: TopicId, sync: bool) -> DiskResult<PathBuf> {
    let building = dir.path.join(format!("{id}.{}{CREATING}", dir.next_number()));
    dir.disk.create_dir_all(&building)?;
    let metadata = partition_metadata::text(topic_id);
    write(dir, &building.join(PARTITION_METADATA_FILE), &metadata, sync)?;
    dir.faults.point("K8");
    let epochs = checkpoint::epochs_text(EpochLog::started(&building).cache().entries());
    write(dir, &building.join(EPOCH_FILE), &epochs, sync)?;
    Segment::create(dir, &building, Offset::ZERO)?;
    if sync {
        dir.disk.sync_dir(&building)?;
    }
    dir.files.forget_dir(&building);
    Ok(building)
}

fn write(dir: &LogDir, path: &Path, text: &str, sync: bool) -> DiskResult<()> {
    let file = dir.disk.open(path, OpenMode::CreateNew)?;
    file.write_at(text.as_bytes(), 0)?;
    if sync { file.sync_all() } else { Ok(()) }
}

/// Takes the names of these partitions away, durably, then removes their files.
pub(super) async fn remove(dir: &Arc<LogDir>, gone: Vec<Arc<Partition>>) -> Result<(), StorageError> {
    let unnamed = Arc::clone(dir);
    let unname = move || -> DiskResult<Vec<PathBuf>> {
        let mut doomed = Vec::with_capacity(gone.len());
        for partition in &gone {
            let name = format!("{}.{}{DELETING}", partition.id, partition.key);
            let path = unnamed.path.join(name);
            unnamed.files.forget_dir(&partition.path);
            unnamed.disk.rename(&partition.path, &path)?;
            doomed.push(path);
        }
        unnamed.disk.sync_dir(&unnamed.path)?;
        if gone.iter().any(|partition| !partition.leases().all().is_empty()) {
            unnamed.lease_changes.note(Urgency::Soon);
        }
        checkpoints::forget_removed(&unnamed)?;
        for partition in &gone {
            unnamed.files.forget_dir(&partition.path);
        }
        Ok(doomed)
    };
    let doomed = dir.disk.blocking(unname).await?;
    // Giving blocks back is slow on some file systems, and then mostly waiting.
    let lane = doomed.len().div_ceil(LANES).max(1);
    let lanes = doomed.chunks(lane).map(|doomed| {
        let (dir, doomed) = (Arc::clone(dir), doomed.to_vec());
        dir.disk
            .clone()
            .blocking(move || doomed.iter().try_for_each(|path| dir.disk.remove_dir_all(path)))
    });
    for removed in futures::future::join_all(lanes).await {
        removed?;
    }
    Ok(())
}
