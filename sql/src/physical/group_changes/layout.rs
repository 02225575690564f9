//! The layout of the state in words, as the catalogue remembers it.
//!
//! Always true: it names what decides the bytes (types of keys, results and values, and what each aggregate keeps) in words of our own.

use super::calls::{Call, calls_of};
use super::value_set::{ValueSet, type_words};
use crate::error::Result;
use crate::logical::GroupChangesPlan;

/// How the groups and values of `plan` lie in their stores.
pub fn group_changes_layout(plan: &GroupChangesPlan) -> Result<String> {
    let (calls, sets) = calls_of(plan)?;
    let kept = calls.iter().map(|call: &Call| call.words(&plan.input));
    let kept = kept.collect::<Result<Vec<_>>>()?.join(", ");
    let keys = plan.keys.iter().map(|column| type_words(&plan.input, *column));
    let keys = keys.collect::<Result<Vec<_>>>()?.join(", ");
    let results =
        (plan.keys.len()..plan.schema.fields().len()).map(|column| type_words(&plan.schema, column));
    let results = results.collect::<Result<Vec<_>>>()?.join(", ");
    let values = sets.iter().map(|set: &ValueSet| set.spec.words(&plan.input));
    let values = values.collect::<Result<Vec<_>>>()?.join(", ");
    Ok(format!(
        "keys [{keys}]; results [{results}]; kept [{kept}]; values [{values}]"
    ))
}

/// The names of the stores that the operator of `plan` opens: that of groups, and that of values if an aggregate keeps any.
pub fn group_changes_stores(plan: &GroupChangesPlan) -> Result<Vec<&str>> {
    let (_, sets) = calls_of(plan)?;
    let mut stores = vec![plan.store.as_str()];
    if !sets.is_empty() {
        stores.push(&plan.values_store);
    }
    Ok(stores)
}
