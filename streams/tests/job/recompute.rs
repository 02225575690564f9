//! What the job must give for an input, worked out from lists: no streams, no state, no order of arrival but that within a partition.

use std::collections::BTreeMap;

use super::generate::{customer_of, group_of, is_of_the_end, region_of};
use super::log_io::Read;
use super::{GAP_MS, JOIN_MS, WINDOW_MS, timers};

/// Records that must be there, each so often.
pub(crate) type Bag = BTreeMap<(String, String), u64>;
/// What each key must be in the end.
pub(crate) type Table = BTreeMap<String, String>;

/// Records of the input topics; within a partition in the order of their offsets.
pub(crate) type Input = BTreeMap<String, Vec<Read>>;

#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) bags: BTreeMap<&'static str, Bag>,
    pub(crate) folds: BTreeMap<&'static str, Table>,
    pub(crate) tables: BTreeMap<&'static str, Table>,
}

impl Expected {
    /// Outputs that are exactly as expected.
    pub(crate) fn as_outputs(&self) -> BTreeMap<&'static str, Vec<Read>> {
        let read = |key: &String, value: &String| Read {
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: key.clone(),
            value: value.clone(),
        };
        let bags = self.bags.iter().map(|(name, bag)| {
            let records = bag.iter();
            let reads = records.flat_map(|((key, value), count)| (0..*count).map(move |_| read(key, value)));
            (*name, reads.collect())
        });
        let folds = self.folds.iter();
        let folds =
            folds.map(|(name, table)| (*name, table.iter().map(|(key, value)| read(key, value)).collect()));
        bags.chain(folds).collect()
    }
}

/// Timestamps and values by key, in the order of time.
type Timeline<'a> = BTreeMap<&'a str, Vec<(i64, &'a str)>>;

pub(crate) fn expected(input: &Input) -> Expected {
    let none = Vec::new();
    let records = |topic: &str| {
        input
            .get(topic)
            .unwrap_or(&none)
            .iter()
            .filter(|read| !is_of_the_end(&read.key))
    };
    let timeline = |topic: &str| {
        let mut lines: Timeline<'_> = BTreeMap::new();
        for read in records(topic) {
            let line = lines.entry(&read.key).or_default();
            line.push((read.timestamp, &read.value));
        }
        // Stable: what has the same time stays in the order of its offsets.
        lines
            .values_mut()
            .for_each(|line| line.sort_by_key(|(time, _)| *time));
        lines
    };
    let (clicks, views) = (timeline("clicks"), timeline("views"));
    let profiles = history(records("profiles"));
    let mut expected = Expected::default();
    expected.bags.insert("window-counts", window_counts(&clicks));
    expected.bags.insert("pairs", pairs(&clicks, &views));
    expected.bags.insert("sessions", sessions(&clicks));
    expected.bags.insert("buckets", buckets(&clicks));
    expected
        .bags
        .insert("with-profile", with_profile(&views, &profiles));
    for name in ["customers", "accounts", "orders"] {
        expected.tables.insert(name, last_values(records(name)));
    }
    let (customers, accounts) = (&expected.tables["customers"], &expected.tables["accounts"]);
    let with_account = customers.iter().map(|(key, customer)| {
        let account = accounts.get(key).map_or("-", String::as_str);
        (key.clone(), format!("{customer}|{account}"))
    });
    expected.folds.insert("with-account", with_account.collect());
    let with_customer = expected.tables["orders"].iter().filter_map(|(key, order)| {
        let customer = customers.get(&customer_of(order)?)?;
        Some((key.clone(), format!("{order}|{customer}")))
    });
    expected.folds.insert("with-customer", with_customer.collect());
    let mut regions: BTreeMap<String, u64> = BTreeMap::new();
    for customer in customers.values() {
        *regions.entry(region_of(customer)).or_default() += 1;
    }
    let regions = regions
        .into_iter()
        .map(|(region, count)| (region, count.to_string()));
    expected.folds.insert("regions", regions.collect());
    expected
}

/// The last value of each key; an empty one deletes.
pub(crate) fn last_values<'a>(records: impl Iterator<Item = &'a Read>) -> Table {
    let mut table = Table::new();
    for read in records {
        if read.value.is_empty() {
            table.remove(&read.key);
        } else {
            table.insert(read.key.clone(), read.value.clone());
        }
    }
    table
}

fn window_of(time: i64) -> i64 {
    time.div_euclid(WINDOW_MS) * WINDOW_MS
}

fn told(counts: BTreeMap<String, u64>) -> Bag {
    let told = counts
        .into_iter()
        .map(|(key, count)| ((key, count.to_string()), 1));
    told.collect()
}

fn window_counts(clicks: &Timeline<'_>) -> Bag {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (user, line) in clicks {
        for (time, _) in line {
            *counts
                .entry(format!("{}@{}", group_of(user), window_of(*time)))
                .or_default() += 1;
        }
    }
    told(counts)
}

fn buckets(clicks: &Timeline<'_>) -> Bag {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (user, line) in clicks {
        for (time, _) in line {
            *counts.entry(timers::slot(user, window_of(*time))).or_default() += 1;
        }
    }
    told(counts)
}

fn pairs(clicks: &Timeline<'_>, views: &Timeline<'_>) -> Bag {
    let mut bag = Bag::new();
    for (user, line) in clicks {
        let views = views.get(user).map_or(&[][..], Vec::as_slice);
        for (time, click) in line {
            let from = views.partition_point(|(viewed, _)| *viewed < time - JOIN_MS);
            let near = views[from..]
                .iter()
                .take_while(|(viewed, _)| *viewed <= time + JOIN_MS);
            let mut found: Vec<&str> = near.map(|(_, view)| *view).collect();
            if found.is_empty() {
                found.push("-");
            }
            for view in found {
                *bag.entry(((*user).to_owned(), format!("{click}|{view}")))
                    .or_default() += 1;
            }
        }
    }
    bag
}

fn sessions(clicks: &Timeline<'_>) -> Bag {
    let mut bag = Bag::new();
    for (user, line) in clicks {
        let mut rest = line.as_slice();
        while let Some((start, _)) = rest.first() {
            let apart = |pair: &[(i64, &str)]| pair[1].0 - pair[0].0 > GAP_MS;
            let count = rest
                .windows(2)
                .position(apart)
                .map_or(rest.len(), |last| last + 1);
            let end = rest[count - 1].0;
            bag.insert((format!("{user}@{start}-{end}"), count.to_string()), 1);
            rest = &rest[count..];
        }
    }
    bag
}

/// What a versioned table remembers: everything, but a key's first value that is deleted at its very own time. Of that nothing is left, as in Kafka Streams, so an
/// older record that comes later is the latest again.
fn history<'a>(records: impl Iterator<Item = &'a Read>) -> Timeline<'a> {
    let mut lines: Timeline<'_> = BTreeMap::new();
    for read in records {
        let line = lines.entry(&read.key).or_default();
        let all_at_its_time = line.iter().all(|(time, _)| *time == read.timestamp);
        let deletes_a_value =
            read.value.is_empty() && line.last().is_some_and(|(_, value)| !value.is_empty());
        if all_at_its_time && deletes_a_value {
            line.clear();
        } else {
            line.push((read.timestamp, &read.value));
        }
    }
    lines
        .values_mut()
        .for_each(|line| line.sort_by_key(|(time, _)| *time));
    lines
}

/// Each view with what its user's profile was at its time.
fn with_profile(views: &Timeline<'_>, profiles: &Timeline<'_>) -> Bag {
    let mut bag = Bag::new();
    for (user, line) in views {
        let profiles = profiles.get(user).map_or(&[][..], Vec::as_slice);
        for (time, view) in line {
            let known = profiles.partition_point(|(since, _)| since <= time);
            let then = known.checked_sub(1).map(|last| profiles[last].1);
            if let Some(profile) = then.filter(|profile| !profile.is_empty()) {
                *bag.entry(((*user).to_owned(), format!("{view}|{profile}")))
                    .or_default() += 1;
            }
        }
    }
    bag
}
