//! The names and contents of the simulated disk, as a tree.
//!
//! Always true: a node stays while a name leads to it, now or after a crash, or somebody has it open. No disk operation is here, only what they share.
//! Next: `disk_sim.rs` has the operations, `disk_sim_node.rs` a single file or directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use super::disk::DiskOp;
use super::disk_sim::SimStats;
use super::disk_sim_node::{DirNode, FileNode, Node, NodeId};

/// The root directory.
pub(super) const ROOT: NodeId = 0;

/// Everything on the disk.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: fastrand::Rng,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) next_node: NodeId,
    /// Counts crashes; handles and locks of an earlier one are dead.
    pub(super) generation: u64,
    pub(super) capacity: u64,
    pub(super) used: u64,
    pub(super) locked: BTreeSet<NodeId>,
    pub(super) failures: Vec<(DiskOp, String)>,
    /// Nodes at which the next sweep of unreachable ones is worth its cost.
    pub(super) sweep_at: usize,
    pub(super) stats: SimStats,
}

impl State {
    pub(super) fn resolve(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names(path)? {
            let Some(Node::Dir(dir)) = self.nodes.get(&at) else {
                return Err(ErrorKind::NotADirectory.into());
            };
            at = *dir.current.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    pub(super) fn dir_mut(&mut self, path: &Path) -> io::Result<&mut DirNode> {
        let node = self.resolve(path)?;
        match self.nodes.get_mut(&node) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        id
    }

    /// True, once, if a failure is armed for this operation on this path.
    pub(super) fn fails(&mut self, op: DiskOp, path: &Path) -> bool {
        let path = path.to_string_lossy();
        let armed = self
            .failures
            .iter()
            .position(|(armed, suffix)| *armed == op && path.ends_with(suffix.as_str()));
        armed.map(|index| self.failures.remove(index)).is_some()
    }

    /// A name no longer leads to `node`.
    pub(super) fn unlinked(&mut self, node: NodeId) {
        if let Some(Node::File(file)) = self.nodes.get_mut(&node) {
            file.linked = false;
            self.used -= file.current.len() as u64;
        }
        if self.nodes.len() > self.sweep_at {
            self.sweep();
            self.sweep_at = self.nodes.len() * 2 + 1024;
        }
    }

    /// Drops nodes that no name can lead to, not even after a crash, and that nobody has open.
    pub(super) fn sweep(&mut self) {
        let mut reachable = BTreeSet::from([ROOT]);
        let mut todo = vec![ROOT];
        while let Some(at) = todo.pop() {
            if let Some(Node::Dir(dir)) = self.nodes.get(&at) {
                todo.extend(dir.reachable().filter(|&node| reachable.insert(node)));
            }
        }
        self.nodes.retain(|id, node| {
            reachable.contains(id) || matches!(node, Node::File(FileNode { handles: 1.., .. }))
        });
    }

    /// Finds out anew which files have a name, and the bytes in use.
    pub(super) fn recount(&mut self) {
        let mut linked = BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Dir(dir) = node {
                linked.extend(dir.current.values().copied());
            }
        }
        self.used = 0;
        for (id, node) in &mut self.nodes {
            if let Node::File(file) = node {
                file.linked = linked.contains(id);
                self.used += if file.linked { file.current.len() as u64 } else { 0 };
            }
        }
    }

    pub(super) fn walk(&self, at: NodeId, path: &mut PathBuf, visit: &mut dyn FnMut(&Path, Option<&[u8]>)) {
        match self.nodes.get(&at) {
            Some(Node::File(file)) => visit(path, Some(&file.current)),
            Some(Node::Dir(dir)) => {
                visit(path, None);
                for (name, &node) in &dir.current {
                    path.push(name);
                    self.walk(node, path, visit);
                    path.pop();
                }
            }
            None => {}
        }
    }

    pub(super) fn remove_tree(&mut self, at: NodeId) {
        let Some(Node::Dir(dir)) = self.nodes.get_mut(&at) else {
            return;
        };
        let children = dir.current.clone();
        for name in children.keys() {
            dir.unlink(name);
        }
        for node in children.into_values() {
            self.remove_tree(node);
            self.unlinked(node);
        }
    }
}

/// The names along a path, from the root. Relative paths start there too.
pub(super) fn names(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(name.to_str().ok_or(ErrorKind::InvalidFilename)?),
            Component::ParentDir | Component::Prefix(_) => return Err(ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}

pub(super) fn file_name(path: &Path) -> io::Result<&str> {
    names(path)?.pop().ok_or_else(|| ErrorKind::InvalidInput.into())
}
