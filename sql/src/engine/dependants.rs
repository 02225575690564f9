//! What would stop working if something were dropped: views over it, streams over its topic, and so on from there.

use super::state::State;
use crate::catalog::{Entry, MaterializedViewDefinition};
use crate::error::SqlError;
use crate::parser;
use crate::runtime::internal_topics;

/// Something that needs something else.
struct Dependant {
    entry: Entry,
    /// What it needs, in words.
    needs: String,
}

/// The refusal to drop `entry`, if anything depends on it.
pub(super) fn refusal(state: &State, entry: &Entry) -> Option<SqlError> {
    let dependants = dependants(state, entry);
    if dependants.is_empty() {
        return None;
    }
    let lines = dependants.iter().map(|d| {
        let (kind, name) = (d.entry.kind(), d.entry.name());
        format!("{kind} \"{name}\" depends on {}", d.needs)
    });
    // Newest first: each then falls before what it needs.
    let mut doomed: Vec<&Entry> = dependants.iter().map(|d| &d.entry).collect();
    doomed.sort_by_key(|entry| std::cmp::Reverse(entry.sequence()));
    let statements = doomed
        .iter()
        .map(|entry| format!("DROP {} {}", entry.kind().to_uppercase(), entry.name()));
    let error = SqlError::invalid(format!(
        "cannot drop {} \"{}\" because other objects depend on it",
        entry.kind(),
        entry.name()
    ))
    .with_detail(lines.collect::<Vec<_>>().join("\n"))
    .with_hint(format!(
        "drop them first: {}",
        statements.collect::<Vec<_>>().join("; ")
    ));
    Some(error)
}

/// Everything that needs `entry`, directly or through others; each once, in the order of creation behind what it needs.
fn dependants(state: &State, entry: &Entry) -> Vec<Dependant> {
    let all = state.catalog.in_order();
    let mut found: Vec<Dependant> = Vec::new();
    // What was made later can need what was made before, never the other way round, so one pass in this order finds all.
    for other in all {
        let known = found.iter().map(|d| &d.entry);
        let needed = std::iter::once(entry)
            .chain(known)
            .find_map(|needed| need(&other, needed));
        if let Some(needs) = needed {
            found.push(Dependant { entry: other, needs });
        }
    }
    found
}

/// What of `needed` is needed by `entry`, if anything is.
fn need(entry: &Entry, needed: &Entry) -> Option<String> {
    let what = || format!("{} \"{}\"", needed.kind(), needed.name());
    let query = match entry {
        Entry::Stream(stream) => {
            // Its topic would go with the view.
            return match needed {
                Entry::MaterializedView(view) if owns_topic(view, &stream.topic) => {
                    Some(format!("topic {} of {}", stream.topic, what()))
                }
                _ => None,
            };
        }
        Entry::View(view) => &view.query,
        Entry::MaterializedView(view) => &view.query,
    };
    // A query that cannot be read any more gives no rows, whatever it once read.
    let query = parser::parse_query(query).ok()?;
    query.named_tables().contains(needed.name()).then(what)
}

/// Whether `topic` would be removed with `view`.
fn owns_topic(view: &MaterializedViewDefinition, topic: &str) -> bool {
    topic == view.topic || internal_topics(view).iter().any(|name| name == topic)
}
