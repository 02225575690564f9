//! Counts and hashes what a job wrote, whoever ran it: equal lines mean equal results.
//!
//! Of streams every record counts, with key, value and time, in any order. Of updates the last of every key counts, and nothing of keys that were deleted last. Only what
//! was committed is read.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use millpond_log::broker::{FetchPartition, FetchRequest, FetchedData, Isolation, OffsetSpec};
use millpond_log::clock::SystemClock;
use millpond_log::record::{BatchIter, RecordRef};
use millpond_log::types::{Offset, TopicName, TopicPartition};
use millpond_streams::runtime::{LogClient, LogError};

use crate::arguments::{Arguments, Outcome};
use crate::job::{OUTPUT, PARTITIONS};
use crate::place::Place;

const FETCH_BYTES: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(90);

/// Prints `results N hash H written W`: W records were written, updates included.
pub(crate) async fn digest(arguments: &Arguments) -> Outcome {
    let job = arguments.job()?;
    let place = Place::open(arguments).await?;
    let log = place.log()?;
    let mut results = match job.writes_updates() {
        true => Results::Updates(HashMap::default()),
        false => Results::Records { count: 0, sum: 0 },
    };
    let mut written = 0_u64;
    for number in 0..PARTITIONS {
        let partition = TopicPartition::new(TopicName::new(OUTPUT)?, number);
        let end = settled_end(&*log, &partition).await?;
        let mut next = Offset::ZERO;
        while next < end {
            let data = fetch(&*log, &partition, next).await?;
            next = each_committed(data, next, |record| {
                written += 1;
                results.take(record);
            })?;
        }
    }
    let (count, sum) = results.sum();
    println!("results {count} hash {sum:032x} written {written}");
    drop(log);
    place.close().await
}

enum Results {
    /// Number and sum of hashes.
    Records { count: u64, sum: u128 },
    /// Hash of the key → hash of the whole record.
    Updates(HashMap<u128, u128, FixedState>),
}

impl Results {
    fn take(&mut self, record: &RecordRef<'_>) {
        let whole = || wide_hash(&(record.key, record.value, record.timestamp));
        match self {
            Results::Records { count, sum } => {
                *count += 1;
                *sum = sum.wrapping_add(whole());
            }
            Results::Updates(latest) => {
                let key = wide_hash(&record.key);
                match record.value {
                    Some(_) => latest.insert(key, whole()),
                    None => latest.remove(&key),
                };
            }
        }
    }

    fn sum(self) -> (u64, u128) {
        match self {
            Results::Records { count, sum } => (count, sum),
            Results::Updates(latest) => {
                let sum = latest.values().fold(0, |sum: u128, hash| sum.wrapping_add(*hash));
                (latest.len() as u64, sum)
            }
        }
    }
}

/// 128 bits of hash, the same in every process.
fn wide_hash(of: &impl std::hash::Hash) -> u128 {
    let half = |seed| u128::from(FixedState::with_seed(seed).hash_one(of));
    (half(1) << 64) | half(2)
}

/// The end of a partition, once no transaction is open in it: a log may answer the end of one before its markers are everywhere.
async fn settled_end(log: &dyn LogClient, partition: &TopicPartition) -> Outcome<Offset> {
    let clock = SystemClock::shared();
    let began = clock.monotonic();
    loop {
        let asked = [OffsetSpec::LastStable, OffsetSpec::Latest];
        let asked = asked.map(|spec| (partition.clone(), spec)).to_vec();
        match log.list_offsets(asked).await?[..] {
            [stable, end] if stable == end => return Ok(end),
            _ if clock.monotonic() - began > PATIENCE => {
                return Err(format!("{partition}: a transaction stays open").into());
            }
            _ => clock.sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn fetch(log: &dyn LogClient, partition: &TopicPartition, from: Offset) -> Outcome<FetchedData> {
    let request = FetchRequest {
        max_wait: Duration::from_millis(100),
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        isolation: Isolation::ReadCommitted,
        partitions: vec![FetchPartition {
            partition: partition.clone(),
            fetch_offset: from,
            max_bytes: FETCH_BYTES,
        }],
    };
    let answer = log.fetch(request).await?.partitions.pop();
    let (_, data): (_, Result<FetchedData, LogError>) = match answer {
        Some((partition, data)) => (partition, data.map_err(LogError::from)),
        None => return Err(format!("{partition}: no answer to a fetch").into()),
    };
    Ok(data?)
}

/// Shows every committed record from `next` on; returns where to go on.
fn each_committed(
    data: FetchedData,
    mut next: Offset,
    mut see: impl FnMut(&RecordRef<'_>),
) -> Outcome<Offset> {
    let mut aborted = data.aborted.iter().peekable();
    let mut aborting = BTreeSet::new();
    for batch in data.batches.into_iter().flat_map(BatchIter::new) {
        let batch = batch?;
        while let Some(aborted) = aborted.next_if(|aborted| aborted.first_offset <= batch.last_offset()) {
            aborting.insert(aborted.producer_id);
        }
        if batch.is_control() {
            aborting.remove(&batch.producer_id());
        } else if !(batch.is_transactional() && aborting.contains(&batch.producer_id())) {
            let decoded = batch.decode()?;
            for record in decoded.iter() {
                let record = record?;
                if record.offset >= next {
                    see(&record);
                }
            }
        }
        next = next.max(batch.next_offset());
    }
    Ok(next)
}
