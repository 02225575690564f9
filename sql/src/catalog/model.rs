//! The catalogue in memory: a pure model that records are applied to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{CatalogRecord, MaterializedViewDefinition, StreamDefinition, ViewDefinition};

/// Something that can stand in FROM.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A topic with columns.
    Stream(Arc<StreamDefinition>),
    /// A query kept up to date by a job.
    MaterializedView(Arc<MaterializedViewDefinition>),
    /// A named query.
    View(Arc<ViewDefinition>),
}

impl Entry {
    /// The kind, as users call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::Stream(_) => "stream",
            Entry::MaterializedView(_) => "materialized view",
            Entry::View(_) => "view",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Entry::Stream(stream) => &stream.name,
            Entry::MaterializedView(view) => &view.name,
            Entry::View(view) => &view.name,
        }
    }

    /// Position in the order of creation.
    pub fn sequence(&self) -> u64 {
        match self {
            Entry::Stream(stream) => stream.sequence,
            Entry::MaterializedView(view) => view.sequence,
            Entry::View(view) => view.sequence,
        }
    }

    /// The statement that created it.
    pub fn sql(&self) -> &str {
        match self {
            Entry::Stream(stream) => &stream.sql,
            Entry::MaterializedView(view) => &view.sql,
            Entry::View(view) => &view.sql,
        }
    }
}

/// All definitions by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    dropping: BTreeMap<String, Arc<MaterializedViewDefinition>>,
    generations: BTreeMap<String, u64>,
    next_sequence: u64,
}

impl Catalog {
    /// Applies one record; `None` is a tombstone.
    pub fn apply(&mut self, name: &str, record: Option<CatalogRecord>) {
        let mut saw_sequence = |sequence: u64| self.next_sequence = self.next_sequence.max(sequence + 1);
        self.entries.remove(name);
        self.dropping.remove(name);
        match record {
            None => {}
            Some(CatalogRecord::Stream(stream)) => {
                saw_sequence(stream.sequence);
                self.entries
                    .insert(name.to_owned(), Entry::Stream(Arc::new(stream)));
            }
            Some(CatalogRecord::MaterializedView(view)) => {
                saw_sequence(view.sequence);
                self.entries
                    .insert(name.to_owned(), Entry::MaterializedView(Arc::new(view)));
            }
            Some(CatalogRecord::View(view)) => {
                saw_sequence(view.sequence);
                self.entries.insert(name.to_owned(), Entry::View(Arc::new(view)));
            }
            Some(CatalogRecord::Dropping(view)) => {
                saw_sequence(view.sequence);
                self.generations.insert(name.to_owned(), view.generation + 1);
                self.dropping.insert(name.to_owned(), Arc::new(view));
            }
            Some(CatalogRecord::Dropped {
                next_generation,
                sequence,
            }) => {
                saw_sequence(sequence);
                self.generations.insert(name.to_owned(), next_generation);
            }
        }
    }

    /// The definition of `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// All definitions by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// All names, for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.keys().map(String::as_str)
    }

    /// Definitions in the order they were made, so that each finds what it reads.
    pub fn in_order(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.entries.values().cloned().collect();
        entries.sort_by_key(Entry::sequence);
        entries
    }

    /// Views whose removal was begun and not finished.
    pub fn dropping(&self) -> Vec<Arc<MaterializedViewDefinition>> {
        self.dropping.values().cloned().collect()
    }

    /// The generation a new materialised view of this name gets.
    pub fn generation_of(&self, name: &str) -> u64 {
        self.generations.get(name).copied().unwrap_or(0)
    }

    /// The position the next definition gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }
}
