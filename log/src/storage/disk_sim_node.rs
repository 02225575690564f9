//! One file or directory of the simulated disk: what everybody sees, what is durable, and the changes between the two.
//!
//! Always true, unless a sync failed: `durable` with all of `pending` applied in order gives `current`. After a failed sync
//! the pending changes are gone from the list but stay visible, as Linux keeps the pages it marked clean.

use std::collections::BTreeMap;

use super::disk_sim::CrashMode;

pub(super) type NodeId = u64;

/// Unit in which a dying disk keeps or loses parts of a write when the kernel wrote pages back in any order.
const PAGE: u64 = 4096;
/// Unit a disk writes whole.
const SECTOR: u64 = 512;

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<FileChange>,
    /// Open handles; the node outlives its name while there are any.
    pub(super) handles: usize,
    /// False once no current name leads here.
    pub(super) linked: bool,
}

#[derive(Clone, Debug)]
enum FileChange {
    Write { at: u64, bytes: Vec<u8> },
    Truncate(u64),
}

impl FileChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            FileChange::Write { at, bytes } => write_into(content, *at, bytes),
            FileChange::Truncate(length) => content.resize(*length as usize, 0),
        }
    }
}

fn write_into(content: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let (at, end) = (at as usize, at as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

impl FileNode {
    /// An empty file that has a name.
    pub(super) fn linked() -> FileNode {
        FileNode {
            linked: true,
            ..FileNode::default()
        }
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        write_into(&mut self.current, at, bytes);
        self.pending.push(FileChange::Write {
            at,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn truncate(&mut self, length: u64) {
        self.current.resize(length as usize, 0);
        self.pending.push(FileChange::Truncate(length));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What a failed sync leaves: visible, never to be durable.
    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Rot: changes the bit wherever the byte stands.
    pub(super) fn flip(&mut self, byte: usize, bit: u8) {
        for content in [&mut self.current, &mut self.durable] {
            if let Some(byte) = content.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    pub(super) fn crash(&mut self, mode: CrashMode, rng: &mut fastrand::Rng) {
        self.handles = 0;
        match mode {
            CrashMode::KeepAll => return,
            CrashMode::LoseUnsynced => {}
            CrashMode::KeepRandomPrefix => {
                let kept = rng.usize(..=self.pending.len());
                for change in &self.pending[..kept] {
                    change.apply(&mut self.durable);
                }
                if let Some(FileChange::Write { at, bytes }) = self.pending.get(kept) {
                    let torn = torn_length(*at, bytes.len(), rng);
                    if torn > 0 {
                        write_into(&mut self.durable, *at, &bytes[..torn]);
                    }
                }
            }
            CrashMode::KeepRandomSubset => {
                for change in &self.pending {
                    match change {
                        FileChange::Truncate(_) if rng.bool() => change.apply(&mut self.durable),
                        FileChange::Truncate(_) => {}
                        FileChange::Write { at, bytes } => {
                            for (at, page) in pages(*at, bytes) {
                                if rng.bool() {
                                    write_into(&mut self.durable, at, page);
                                }
                            }
                        }
                    }
                }
            }
        }
        self.pending.clear();
        self.current = self.durable.clone();
    }
}

/// How much of the write that was under way reached the disk: whole sectors, or (for disks that tear those) any part.
fn torn_length(at: u64, length: usize, rng: &mut fastrand::Rng) -> usize {
    let any = rng.usize(..=length);
    if rng.bool() {
        return any;
    }
    let end = (at + any as u64) / SECTOR * SECTOR;
    end.saturating_sub(at) as usize
}

fn pages(at: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (at, bytes);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = ((PAGE - at % PAGE) as usize).min(rest.len());
        let (page, tail) = rest.split_at(length);
        let start = at;
        (at, rest) = (at + length as u64, tail);
        Some((start, page))
    })
}

#[derive(Clone, Debug, Default)]
pub(super) struct DirNode {
    pub(super) current: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<DirChange>,
}

#[derive(Clone, Debug)]
enum DirChange {
    Link { name: String, node: NodeId },
    Unlink { name: String },
    Rename { from: String, to: String, node: NodeId },
}

impl DirChange {
    fn apply(&self, names: &mut BTreeMap<String, NodeId>) {
        match self {
            DirChange::Link { name, node } => {
                names.insert(name.clone(), *node);
            }
            DirChange::Unlink { name } => {
                names.remove(name);
            }
            DirChange::Rename { from, to, node } => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl DirNode {
    fn change(&mut self, change: DirChange) {
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    pub(super) fn link(&mut self, name: &str, node: NodeId) {
        self.change(DirChange::Link {
            name: name.to_owned(),
            node,
        });
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(DirChange::Unlink {
            name: name.to_owned(),
        });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, node: NodeId) {
        self.change(DirChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            node,
        });
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    pub(super) fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Every node this directory may still lead to, now or after a crash.
    pub(super) fn reachable(&self) -> impl Iterator<Item = NodeId> {
        let pending = self.pending.iter().filter_map(|change| match change {
            DirChange::Link { node, .. } | DirChange::Rename { node, .. } => Some(*node),
            DirChange::Unlink { .. } => None,
        });
        self.current
            .values()
            .chain(self.durable.values())
            .copied()
            .chain(pending)
    }

    pub(super) fn crash(&mut self, mode: CrashMode, rng: &mut fastrand::Rng) {
        let kept = match mode {
            CrashMode::KeepAll => return,
            CrashMode::LoseUnsynced => 0,
            // File systems journal names: they come back in order, up to some point, never as a random subset.
            CrashMode::KeepRandomPrefix | CrashMode::KeepRandomSubset => rng.usize(..=self.pending.len()),
        };
        for change in &self.pending[..kept] {
            change.apply(&mut self.durable);
        }
        self.pending.clear();
        self.current = self.durable.clone();
    }
}
