//! "Did you mean …" for names of topics, groups and settings.
//!
//! Pure. Case and the choice between `.`, `-` and `_` count as nothing; at most a third of the letters may differ.

use millpond::log::config::nearest;

/// The known name nearest to `wrong`, if one is near enough to be what was meant.
pub(crate) fn near_miss<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<(String, &str)> = known
        .into_iter()
        .map(|name| (name.to_ascii_lowercase().replace(['_', '-'], "."), name))
        .collect();
    let near = nearest(wrong, names.iter().map(|(plain, _)| plain.as_str()))?;
    names
        .iter()
        .find(|(plain, _)| plain == near)
        .map(|(_, name)| *name)
}

/// A hint that names the near miss, or else how to list what there is.
pub(crate) fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>, list: &str) -> String {
    match near_miss(wrong, known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`millpond {list}` shows what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_and_nonsense_finds_none() {
        let known = ["orders-v2", "Payments", "audit_log"];
        assert_eq!(near_miss("order-v2", known), Some("orders-v2"));
        assert_eq!(near_miss("payment", known), Some("Payments"));
        assert_eq!(near_miss("audit-log", known), Some("audit_log"));
        assert_eq!(near_miss("zebra", known), None);
    }
}
