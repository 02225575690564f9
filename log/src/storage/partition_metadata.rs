//! `partition.metadata`: which topic id a partition directory belongs to. Two lines: `version: 0`, `topic_id: <base64>`.
//!
//! Always true: written once, when the directory is created; a directory whose id differs from the topic's belongs to an
//! older topic of the same name and must not be served.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::disk::{Disk, DiskError, DiskExt};
use crate::types::TopicId;

/// Name of the file in a partition directory.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";
const FILE_BYTES_MAX: u64 = 4096;

/// Why the file cannot be read or written.
#[derive(Debug, Error)]
pub enum PartitionMetadataError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its text is not what was written.
    #[error("{path} is malformed: {reason}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The topic id of a partition directory; `None` if the file does not exist.
pub fn read(disk: &dyn Disk, partition_dir: &Path) -> Result<Option<TopicId>, PartitionMetadataError> {
    let path = partition_dir.join(PARTITION_METADATA_FILE);
    let content = match disk.read_file(&path, FILE_BYTES_MAX) {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match parse(&content) {
        Ok(id) => Ok(Some(id)),
        Err(reason) => Err(PartitionMetadataError::Malformed { path, reason }),
    }
}

/// Writes the file, durably.
pub fn write(disk: &dyn Disk, partition_dir: &Path, id: TopicId) -> Result<(), PartitionMetadataError> {
    Ok(disk.replace_file(&partition_dir.join(PARTITION_METADATA_FILE), text(id).as_bytes())?)
}

/// What the file holds.
pub(super) fn text(id: TopicId) -> String {
    format!("version: 0\ntopic_id: {id}")
}

fn parse(content: &[u8]) -> Result<TopicId, String> {
    let text = std::str::from_utf8(content).map_err(|e| e.to_string())?;
    let (mut version, mut id) = (None, None);
    for line in text.lines() {
        match line
            .split_once(':')
            .map(|(name, value)| (name.trim(), value.trim()))
        {
            Some(("version", value)) => version = Some(value),
            Some(("topic_id", value)) => id = Some(value),
            _ => return Err(format!("line {line:?} is unknown")),
        }
    }
    match (version, id) {
        (Some("0"), Some(id)) => {
            let id: TopicId = id.parse().map_err(|e| format!("{e}"))?;
            if id == TopicId::ZERO {
                Err("the topic id is zero".to_owned())
            } else {
                Ok(id)
            }
        }
        (Some("0"), None) => Err("the topic id is missing".to_owned()),
        (Some(version), _) => Err(format!("version {version} is not supported")),
        (None, _) => Err("the version is missing".to_owned()),
    }
}
