//! The job's outputs and state beside what its input says.

use std::collections::BTreeMap;

use millpond_streams::runtime::{LogClient, StreamsHandle};

use super::generate::is_of_the_end;
use super::log_io::{Read, read_committed};
use super::recompute::{Bag, Expected, Input, Table, expected, last_values};
use super::topology::{BAGS, FOLDS, REGIONS_STORE, TABLES};
use super::{INPUTS, Plan};
use crate::job::topic;

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

/// Records of each output.
pub(crate) type Outputs = BTreeMap<&'static str, Vec<Read>>;

/// Reads all input there is, committed.
pub(crate) async fn read_input(log: &dyn LogClient) -> Input {
    let mut input = Input::new();
    for name in INPUTS {
        input.insert(name.to_owned(), read_committed(log, &topic(name)).await);
    }
    input
}

/// Everything is processed and every window is closed: outputs must be exactly what the input says.
pub(crate) async fn finished(log: &dyn LogClient, plan: &Plan) -> Result<(Expected, Compared), String> {
    let input = read_input(log).await;
    let expected = expected(&input);
    let mut outputs = Outputs::new();
    for name in BAGS.into_iter().chain(FOLDS) {
        outputs.insert(name, read_committed(log, &topic(&plan.output(name))).await);
    }
    compare(&outputs, &expected, true)?;
    let compared = Compared {
        input: input.values().map(Vec::len).sum(),
        output: outputs.values().map(Vec::len).sum(),
    };
    Ok((expected, compared))
}

/// Outputs beside what the input says; while the job is under way (`complete` is false), only what it has told of what is final: nothing of that may be wrong or there
/// twice. Read outputs before the input then, so that whatever they rest on is in it.
pub(crate) fn compare(outputs: &Outputs, expected: &Expected, complete: bool) -> Result<(), String> {
    for name in BAGS {
        same_bags(name, &bag(&outputs[name]), &expected.bags[name], complete)?;
    }
    for name in FOLDS.into_iter().filter(|_| complete) {
        same_tables(name, &fold(&outputs[name]), &expected.folds[name])?;
    }
    Ok(())
}

/// The committed state of a job that has caught up.
pub(crate) fn state(app: &StreamsHandle, expected: &Expected) -> Result<(), String> {
    for name in TABLES {
        let store = app
            .store::<String, String>(name)
            .map_err(|error| error.to_string())?;
        let all = store.all().map_err(|error| error.to_string())?;
        let found = all.into_iter().filter(|(key, _)| !is_of_the_end(key)).collect();
        same_tables(&format!("store {name}"), &found, &expected.tables[name])?;
    }
    let store = app
        .store::<String, u64>(REGIONS_STORE)
        .map_err(|error| error.to_string())?;
    let all = store.all().map_err(|error| error.to_string())?;
    let counts = all
        .into_iter()
        .filter(|(region, count)| *count > 0 && !is_of_the_end(region))
        .map(|(region, count)| (region, count.to_string()));
    same_tables("store of regions", &counts.collect(), &expected.folds["regions"])
}

fn bag(reads: &[Read]) -> Bag {
    let mut bag = Bag::new();
    for read in reads.iter().filter(|read| !is_of_the_end(&read.key)) {
        *bag.entry((read.key.clone(), read.value.clone())).or_default() += 1;
    }
    bag
}

fn fold(reads: &[Read]) -> Table {
    let mut table = last_values(reads.iter().filter(|read| !is_of_the_end(&read.key)));
    // A count that went down to nothing stays as a zero.
    table.retain(|_, value| value != "0");
    table
}

fn same_bags(name: &str, found: &Bag, expected: &Bag, complete: bool) -> Result<(), String> {
    let extra = found
        .iter()
        .find(|(record, count)| expected.get(*record).is_none_or(|most| *count > most));
    if let Some((record, count)) = extra {
        let wanted = expected.get(record).copied().unwrap_or(0);
        let start = record.1.split('|').next();
        let alike = |(key, value): &&(String, String)| {
            *key == record.0 && (value.split('|').next() == start || !value.contains('|'))
        };
        let (says, are): (Vec<_>, Vec<_>) = (
            expected.keys().filter(alike).collect(),
            found.keys().filter(alike).collect(),
        );
        return Err(format!(
            "{name}: {record:?} is there {count} times, the input says {wanted}; like it are {are:?} and should be {says:?}"
        ));
    }
    let missing = expected
        .iter()
        .find(|(record, count)| found.get(*record).unwrap_or(&0) < *count);
    match missing {
        Some((record, count)) if complete => {
            let is = found.get(record).copied().unwrap_or(0);
            let absent = expected
                .keys()
                .filter(|record| !found.contains_key(*record))
                .count();
            Err(format!(
                "{name}: {record:?} is there {is} times, the input says {count}; {absent} of {} are not there",
                expected.len()
            ))
        }
        _ => Ok(()),
    }
}

fn same_tables(name: &str, found: &Table, expected: &Table) -> Result<(), String> {
    let differs = found
        .keys()
        .chain(expected.keys())
        .find(|key| found.get(*key) != expected.get(*key));
    match differs {
        None => Ok(()),
        Some(key) => Err(format!(
            "{name}: {key} is {:?}, the input says {:?}",
            found.get(key),
            expected.get(key)
        )),
    }
}
