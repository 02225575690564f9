//! Retention leases of one partition: who still needs its records from which offset on, and until when that counts.
//!
//! State stores hold them on their changelogs, at the offset a crash would replay from. They outlive restarts in `retention-lease-checkpoint`, below Kafka's two
//! head lines one lease a line: `topic partition offset renewed_ms name`. Always true: a lease counts until its holder has been silent for
//! `log.retention.lease.ms`; what the file says of a holder that moved up lies below what memory says, so an old file keeps too much, never too little. Written by
//! `checkpoints.rs` when the housekeeper comes by; new, lowered and removed leases at its next round, others at the next round of retention.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checkpoint::{CheckpointError, number, read_entries, write_entries};
use super::disk::Disk;
use crate::types::{Offset, PartitionId, Timestamp, TopicName, TopicPartition};

/// What a holder asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLease {
    /// First offset it needs (inclusive).
    pub offset: Offset,
    /// Wall-clock time at which it said so last.
    pub renewed_ms: Timestamp,
}

impl RetentionLease {
    /// Whether the holder was silent for too long. A clock set back lets leases live on. `None`: they never expire.
    fn has_expired(self, now: Timestamp, kept_ms: Option<i64>) -> bool {
        kept_ms.is_some_and(|kept| now.saturating_sub(self.renewed_ms) > kept)
    }
}

/// The leases of one partition, by their holders' names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Leases {
    by_name: BTreeMap<String, RetentionLease>,
}

/// How soon a change has to reach the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// After a crash now, the file would keep too little, or for somebody who is gone.
    Soon,
    /// The file merely keeps more than is needed.
    Sometime,
}

impl Leases {
    pub(super) fn set(&mut self, name: &str, offset: Offset, now: Timestamp) -> Urgency {
        assert!(
            is_name(name),
            "the name {name:?} of a lease is empty or has white space in it"
        );
        let lease = RetentionLease {
            offset,
            renewed_ms: now,
        };
        match self.by_name.insert(name.to_owned(), lease) {
            Some(before) if before.offset <= offset => Urgency::Sometime,
            _ => Urgency::Soon,
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Urgency> {
        self.by_name.remove(name).map(|_| Urgency::Soon)
    }

    /// The lowest offset anybody needs who was heard of lately.
    pub(super) fn lowest(&self, now: Timestamp, kept_ms: Option<i64>) -> Option<Offset> {
        let alive = self
            .by_name
            .values()
            .filter(|lease| !lease.has_expired(now, kept_ms));
        alive.map(|lease| lease.offset).min()
    }

    /// Takes out the leases of those who were silent for too long.
    pub(super) fn take_expired(
        &mut self,
        now: Timestamp,
        kept_ms: Option<i64>,
    ) -> BTreeMap<String, RetentionLease> {
        let (expired, alive) = std::mem::take(&mut self.by_name)
            .into_iter()
            .partition(|(_, lease)| lease.has_expired(now, kept_ms));
        self.by_name = alive;
        expired
    }

    pub(super) fn all(&self) -> &BTreeMap<String, RetentionLease> {
        &self.by_name
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What the file of a directory does not say yet.
#[derive(Debug, Default)]
pub(super) struct LeaseChanges {
    soon: AtomicBool,
    sometime: AtomicBool,
}

impl LeaseChanges {
    pub(super) fn note(&self, urgency: Urgency) {
        let flag = match urgency {
            Urgency::Soon => &self.soon,
            Urgency::Sometime => &self.sometime,
        };
        flag.store(true, Ordering::Release);
    }

    /// Whether the file has to be written now; whoever asks does it, and notes the change again if that failed.
    pub(super) fn take(&self, also_sometime: bool) -> bool {
        let due = self.soon.load(Ordering::Acquire) || also_sometime && self.sometime.load(Ordering::Acquire);
        if !due {
            return false;
        }
        self.soon.store(false, Ordering::Release);
        self.sometime.store(false, Ordering::Release);
        true
    }
}

/// The leases of every partition that has any.
pub(super) type AllLeases = BTreeMap<TopicPartition, Leases>;

/// Reads the file; none if there is none.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<AllLeases, CheckpointError> {
    let mut all = AllLeases::new();
    read_entries(disk, path, |fields| {
        let [topic, partition, offset, renewed_ms, name] = fields[..] else {
            return Err("five fields are expected".to_owned());
        };
        let topic = TopicName::new(topic).map_err(|e| e.to_string())?;
        let partition = PartitionId::new(number(partition)?);
        let lease = RetentionLease {
            offset: Offset::new(number(offset)?),
            renewed_ms: number(renewed_ms)?,
        };
        let of = all.entry(TopicPartition { topic, partition }).or_default();
        match of.by_name.insert(name.to_owned(), lease) {
            None => Ok(()),
            Some(_) => Err(format!("the lease {name} stands there twice")),
        }
    })?;
    Ok(all)
}

/// Replaces the file, durably.
pub(super) fn write(disk: &dyn Disk, path: &Path, all: &AllLeases) -> Result<(), CheckpointError> {
    let mut lines = Vec::new();
    for (at, leases) in all {
        for (name, lease) in leases.all() {
            let mut line = String::new();
            // Writing to a string cannot fail.
            write!(
                line,
                "{} {} {} {} {name}",
                at.topic, at.partition, lease.offset, lease.renewed_ms
            )
            .ok();
            lines.push(line);
        }
    }
    write_entries(disk, path, lines.into_iter())
}

#[cfg(test)]
#[path = "leases_test.rs"]
mod leases_test;
