//! Which outputs of a plan end the same with the record cache.
//!
//! A cache forwards the last update of a key and a commit, so whatever sees each update (a count of updates, a filter of a table's stream, a buffer's clock) sees
//! others with it. A table that is a function of tables ends the same.

use std::collections::{BTreeMap, BTreeSet};

/// What the cache leaves as it is.
#[derive(Clone, Copy, Default)]
struct Known {
    /// A stream that holds the same records: no cache is above it.
    exact: bool,
    /// The last update of each key is the same at the end.
    settles: bool,
    /// Read by another operator, the table gives what it would give without a cache.
    fresh: bool,
}

const EXACT: Known = Known {
    exact: true,
    settles: true,
    fresh: true,
};
const TABLE: Known = Known {
    exact: false,
    settles: true,
    fresh: true,
};

/// The topics whose last record of every key is the same with the cache.
pub(crate) fn settled_outputs(lines: &[String]) -> BTreeSet<String> {
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    let mut settled = BTreeSet::new();
    let mut unsettled = BTreeSet::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["to", name, topic] = *words {
            let set = if known[name].settles {
                &mut settled
            } else {
                &mut unsettled
            };
            set.insert(topic.to_owned());
            continue;
        }
        let [names, _, operator, arguments @ ..] = words.as_slice() else {
            panic!("{line} is no line of a plan")
        };
        let result = after(operator, arguments, &known);
        known.extend(names.split(',').map(|name| (name, result)));
    }
    settled.retain(|topic| !unsettled.contains(topic));
    settled
}

fn after(operator: &str, words: &[&str], known: &BTreeMap<&str, Known>) -> Known {
    let of = |place: usize| words.get(place).and_then(|name| known.get(name)).copied();
    let first = of(0).unwrap_or_default();
    let stored = words
        .iter()
        .any(|word| *word == "stored" || word.starts_with("stored:"));
    let exact = |exact: bool| if exact { EXACT } else { Known::default() };
    match operator {
        "stream" => EXACT,
        "table" | "global" => TABLE,
        // Views show what the table above shows; streams of updates only as long as every record passes.
        "filter" | "filter-not" | "map-values" if first.fresh && !first.exact => Known {
            fresh: !stored,
            ..TABLE
        },
        "map-values" | "to-stream" => Known {
            exact: first.exact,
            settles: first.settles,
            fresh: false,
        },
        "filter" | "filter-not" if !first.exact => Known {
            settles: first.settles && is_table(words[0]),
            ..Known::default()
        },
        "merge" => exact(first.exact && of(1).is_some_and(|other| other.exact)),
        "to-table" => Known {
            fresh: first.exact,
            settles: first.settles,
            exact: false,
        },
        "cogroup" if words.len() > 2 => exact(first.exact && of(1).is_some_and(|other| other.exact)),
        "group" if words.len() > 3 => Known {
            exact: false,
            ..first
        },
        // Of a grouped table: each change is taken away and added, which counts the same in whatever order, but joins no texts the same.
        "count" if !first.exact => Known {
            settles: first.settles,
            ..Known::default()
        },
        "count" | "reduce" | "aggregate" if first.exact => TABLE,
        "join" | "foreign-join" => {
            let second = of(1).unwrap_or_default();
            match (first.exact, second.exact) {
                (true, true) => EXACT,
                (true, false) => exact(second.fresh),
                (false, true) => Known::default(),
                (false, false) if is_table(words[0]) => Known {
                    settles: first.settles && second.settles,
                    fresh: first.fresh && second.fresh && !stored && operator == "join",
                    exact: false,
                },
                (false, false) => Known::default(),
            }
        }
        _ => exact(first.exact),
    }
}

/// Drawn plans call tables `t…`; hand-written ones name them so where it matters.
fn is_table(name: &str) -> bool {
    name.starts_with('t')
}
