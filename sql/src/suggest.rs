//! Near names for error hints: "did you mean …?".
//!
//! Always true: a suggestion is one of the candidates handed in, chosen by the smallest edit distance (ties: first in
//! the candidates' order), and only when at most a third of the wanted name would have to change.

/// The candidate closest to `wanted`, if one is close enough to be a likely slip.
///
/// Case is ignored for the distance, so that `FLIGHTS` suggests `flights`.
pub(crate) fn near<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let length = wanted.chars().count();
    let limit = (length / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        let mut distance = edit_distance(&wanted, &lower);
        // `depdelay` for `dep_delay`, or a prefix of a longer name: likely meant even when many characters differ.
        if length >= 3 && (lower.starts_with(&wanted) || wanted.starts_with(&lower) && lower.len() >= 3) {
            distance = distance.min(limit);
        }
        if distance <= limit && best.is_none_or(|(found, _)| distance < found) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// The hint text for an unknown name: the near miss if there is one, else the list of what exists.
pub(crate) fn hint<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> String {
    if let Some(name) = near(wanted, candidates.clone()) {
        return format!("did you mean \"{name}\"?");
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    match all.len() {
        0 => format!("there are no {what} yet"),
        1..=12 => format!("known {what}: {}", all.join(", ")),
        n => format!("known {what}: {}, … ({n} in all)", all[..12].join(", ")),
    }
}

/// Optimal string alignment distance: insert, delete, replace, and swap of two neighbours cost one each.
fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
#[path = "suggest_test.rs"]
mod suggest_test;
