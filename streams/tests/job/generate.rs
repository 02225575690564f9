//! Record number `index` of an input partition, as a pure function of the seed.

use millpond_streams::processor::partition_for_key;

use super::{INPUTS, JITTER_MS, PARTITIONS, Plan, STEP_MS};

/// Value of the records that come long after everything else, and the beginning of their keys. One reaches every partition of every topic, those behind a repartition too,
/// so that time goes on everywhere.
const END: &str = "end";

/// Whether a record is one of these, or what became of one.
pub(crate) fn is_of_the_end(key: &str) -> bool {
    key.starts_with(END)
}

/// Users of one partition.
const USERS: u64 = 7;

/// Names of customers, over all partitions. A customer that orders name may not exist.
const CUSTOMERS: u64 = 23;

/// Regions that customers are from.
const REGIONS: u64 = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generated {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) timestamp: i64,
}

/// The record at `index`; `None` beyond the last one.
pub(crate) fn record(plan: &Plan, topic: &str, partition: i32, index: u64) -> Option<Generated> {
    let at = plan.base_ms + i64::try_from(index).ok()? * STEP_MS;
    if index == plan.records {
        return Some(Generated {
            key: placed(partition, 0, END),
            value: Some(END.to_owned()),
            timestamp: at + 2 * plan.grace_ms + 5_000,
        });
    }
    if index > plan.records {
        return None;
    }
    let number = INPUTS.iter().position(|name| *name == topic)? as u64;
    let mut drawn = Drawn::new(plan.seed, number, partition, index);
    let behind = i64::try_from(drawn.below(JITTER_MS as u64)).ok()?;
    let timestamp = if topic == "views" { at } else { at - behind };
    let (key, value) = match topic {
        "clicks" => (
            user(partition, drawn.below(USERS)),
            Some(format!("c{partition}.{index}")),
        ),
        "views" => (
            user(partition, drawn.below(USERS)),
            Some(format!("v{partition}.{index}")),
        ),
        "profiles" => {
            let gone = drawn.below(8) == 0;
            let value = (!gone).then(|| format!("p{partition}.{index}"));
            (user(partition, drawn.below(USERS)), value)
        }
        "customers" => {
            let gone = drawn.below(6) == 0;
            let value = (!gone).then(|| format!("r{}#{index}", drawn.below(REGIONS)));
            (customer(partition, drawn.below(CUSTOMERS)), value)
        }
        "accounts" => {
            let gone = drawn.below(6) == 0;
            (
                customer(partition, drawn.below(CUSTOMERS)),
                (!gone).then(|| format!("a{index}")),
            )
        }
        _ => {
            let gone = drawn.below(6) == 0;
            let of = drawn.below(CUSTOMERS + 3);
            let key = placed(partition, drawn.below(40), "o");
            (key, (!gone).then(|| format!("c{of}:{index}")))
        }
    };
    Some(Generated {
        key,
        value,
        timestamp,
    })
}

/// The customer an order is of.
pub(crate) fn customer_of(order: &str) -> Option<String> {
    order.split_once(':').map(|(customer, _)| customer.to_owned())
}

/// The region a customer is from.
pub(crate) fn region_of(customer: &str) -> String {
    customer
        .split_once('#')
        .map_or(customer, |(region, _)| region)
        .to_owned()
}

/// Clicks are counted per group of users; groups are spread over the partitions of a repartition topic.
pub(crate) fn group_of(user: &str) -> String {
    user.rsplit_once('.')
        .map_or(user, |(_, number)| number)
        .to_owned()
}

fn user(partition: i32, number: u64) -> String {
    format!("u{partition}.{number}")
}

fn customer(partition: i32, number: u64) -> String {
    placed(partition, number, "c")
}

/// The first key from `number` on that Kafka's partitioner puts into `partition`.
fn placed(partition: i32, number: u64, prefix: &str) -> String {
    (number..)
        .map(|number| format!("{prefix}{number}"))
        .find(|key| partition_for_key(key.as_bytes(), PARTITIONS) == partition)
        .expect("keys are spread over all partitions")
}

/// splitmix64, seeded with a place.
struct Drawn(u64);

impl Drawn {
    fn new(seed: u64, topic: u64, partition: i32, index: u64) -> Drawn {
        let place = (topic << 56) ^ (u64::from(partition.unsigned_abs()) << 48) ^ index;
        let mut drawn = Drawn(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        drawn.next();
        drawn
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
