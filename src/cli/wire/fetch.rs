//! Reading records by plain Fetch requests, without a group.
//!
//! What is always true: batches of a partition come in order, each once; a committed reader sees no record of an aborted transaction and none
//! beyond the last stable offset; a partition is done exactly when its next offset has reached its bound, which control
//! records and compaction cannot hide, since it is counted in batches and not in records.
//! Where to look next: `consume/plain.rs`, which prints what comes out of here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use millpond::log::record::{BatchError, BatchIter, ControlRecord, DecodeLimits, DecodedBatch};

use super::client::{Client, To, Topic};
use super::error::{is_transient, kafka_failure};
use super::text;
use crate::cli::settings::warn;

/// The last version that names topics; later ones carry ids alone.
const FETCH_VERSION_MAX: i16 = 12;
/// Longest wait for new records in a request.
const WAIT: Duration = Duration::from_millis(500);
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// Which records are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Committed,
    Uncommitted,
}

/// A partition that is being read.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) leader: i32,
    /// Offset of the next record to read.
    pub(crate) next: i64,
    /// Where to stop; exclusive.
    pub(crate) until: Option<i64>,
    pub(crate) log_start: Option<i64>,
    pub(crate) last_stable: Option<i64>,
    pub(crate) high_watermark: Option<i64>,
}

impl Part {
    /// Whether its bound is reached.
    pub(crate) fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }
}

/// A batch with the records of it that are to be seen: offsets from `from`, below `until`.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Index of its partition in [`Fetcher::parts`].
    pub(crate) part: usize,
    pub(crate) batch: DecodedBatch,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// Reads partitions from their leaders.
#[derive(Debug)]
pub(crate) struct Fetcher {
    pub(crate) parts: Vec<Part>,
    isolation: Isolation,
    /// Whether markers of transactions are handed out too.
    controls: bool,
    bytes_max: i32,
    /// Since when every answer was a transient error, on the monotonic clock.
    failing_since: Option<Duration>,
}

impl Fetcher {
    /// Reads `parts`.
    pub(crate) fn new(parts: Vec<Part>, isolation: Isolation, controls: bool) -> Fetcher {
        Fetcher {
            parts,
            isolation,
            controls,
            bytes_max: 50 << 20,
            failing_since: None,
        }
    }

    /// Whether every partition has reached its bound.
    pub(crate) fn is_done(&self) -> bool {
        self.parts.iter().all(Part::is_done)
    }

    /// Asks each leader once, and waits a moment for records if there are none. Safe to drop between two calls only.
    pub(crate) async fn poll(&mut self, client: &mut Client) -> anyhow::Result<Vec<Fetched>> {
        let mut leaders: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (index, part) in self.parts.iter().enumerate() {
            if !part.is_done() {
                leaders.entry(part.leader).or_default().push(index);
            }
        }
        let wait = WAIT / u32::try_from(leaders.len().max(1)).unwrap_or(1);
        let mut fetched = Vec::new();
        let mut stale = false;
        for (leader, indexes) in leaders {
            let request = self.request(&indexes, wait);
            let asked = client.ask_below(To::Node(leader), FETCH_VERSION_MAX, |_| request.clone(), |_| 0);
            let answer = match asked.await {
                Ok(answer) => answer,
                // What other leaders sent is counted as read already; the next call meets the error again.
                Err(_) if !fetched.is_empty() => break,
                Err(error) => return Err(error),
            };
            if answer.error_code != 0 {
                return Err(kafka_failure(
                    &format!("broker {leader} refuses to be read"),
                    answer.error_code,
                    None,
                )
                .into());
            }
            for topic in answer.responses {
                for data in topic.partitions {
                    let name = topic.topic.0.as_str();
                    let index = indexes
                        .iter()
                        .copied()
                        .find(|index| {
                            let part = &self.parts[*index];
                            part.topic == name && part.partition == data.partition_index
                        })
                        .with_context(|| {
                            format!("broker {leader} sent {name}-{}, unasked", data.partition_index)
                        })?;
                    stale |= self.take(index, data, &mut fetched, client).await?;
                }
            }
        }
        if stale {
            self.refresh(client).await?;
        } else {
            self.failing_since = None;
        }
        Ok(fetched)
    }

    fn request(&self, indexes: &[usize], wait: Duration) -> FetchRequest {
        let mut topics: BTreeMap<&str, Vec<FetchPartition>> = BTreeMap::new();
        for index in indexes {
            let part = &self.parts[*index];
            topics.entry(&part.topic).or_default().push(
                FetchPartition::default()
                    .with_partition(part.partition)
                    .with_current_leader_epoch(-1)
                    .with_fetch_offset(part.next)
                    .with_partition_max_bytes(self.bytes_max / 10),
            );
        }
        request_of(topics, wait, self.bytes_max, self.isolation)
    }

    /// Takes an answer in; says whether the leader is not known any more.
    async fn take(
        &mut self,
        index: usize,
        data: PartitionData,
        fetched: &mut Vec<Fetched>,
        client: &mut Client,
    ) -> anyhow::Result<bool> {
        let part = &mut self.parts[index];
        let what = format!("{}-{}", part.topic, part.partition);
        if data.error_code == OFFSET_OUT_OF_RANGE && part.log_start.is_none_or(|start| part.next >= start) {
            // What was there when the offsets were asked for may have been deleted since.
            let topics = client.topics(Some(std::slice::from_ref(&part.topic))).await?;
            let partition = part.partition;
            let starts = client
                .offsets(&topics, super::OffsetAt::Start, |_, id| id == partition)
                .await?;
            let start = starts.values().find_map(|spot| spot.offset);
            if let Some(start) = start.filter(|start| *start > part.next) {
                warn(&format!(
                    "{what}: records {} to {} are deleted, going on at {start}",
                    part.next,
                    start - 1
                ));
                part.next = start;
                return Ok(false);
            }
        }
        if is_transient(data.error_code) {
            return Ok(true);
        }
        if data.error_code != 0 {
            return Err(
                kafka_failure(&format!("{what} at offset {}", part.next), data.error_code, None).into(),
            );
        }
        part.log_start = Some(data.log_start_offset).filter(|offset| *offset >= 0);
        part.last_stable = Some(data.last_stable_offset).filter(|offset| *offset >= 0);
        part.high_watermark = Some(data.high_watermark).filter(|offset| *offset >= 0);
        let mut aborted: Vec<(i64, i64)> = data
            .aborted_transactions
            .unwrap_or_default()
            .iter()
            .map(|aborted| (aborted.first_offset, aborted.producer_id.0))
            .collect();
        aborted.sort_unstable();
        let records = data.records.unwrap_or_default();
        cut(
            index,
            part,
            records,
            &aborted,
            self.isolation,
            self.controls,
            fetched,
        )
        .with_context(|| format!("{what} at offset {}", part.next))?;
        Ok(false)
    }

    /// Asks for the leaders again, a little later; gives up when that did not help for long.
    async fn refresh(&mut self, client: &mut Client) -> anyhow::Result<()> {
        let now = client.clock().monotonic();
        let since = *self.failing_since.get_or_insert(now);
        if now.saturating_sub(since) > client.settings().request_timeout() {
            let what = self.parts.iter().find(|part| !part.is_done());
            let what = what
                .map(|part| format!("{}-{}", part.topic, part.partition))
                .unwrap_or_default();
            return Err(kafka_failure(&what, 5, Some("no leader could be found")).into());
        }
        client.clock().sleep(WAIT / 5).await;
        let names: BTreeSet<String> = self.parts.iter().map(|part| part.topic.clone()).collect();
        let topics = client
            .topics(Some(&names.into_iter().collect::<Vec<_>>()))
            .await?;
        for part in &mut self.parts {
            let found = topics
                .iter()
                .filter(|topic| topic.name == part.topic)
                .flat_map(|topic| &topic.partitions)
                .find(|partition| partition.id == part.partition);
            if let Some(leader) = found.and_then(|partition| partition.leader) {
                part.leader = leader;
            }
        }
        Ok(())
    }
}

/// A request outside of a fetch session.
fn request_of(
    topics: BTreeMap<&str, Vec<FetchPartition>>,
    wait: Duration,
    bytes_max: i32,
    isolation: Isolation,
) -> FetchRequest {
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(i32::from(!wait.is_zero()))
        .with_max_bytes(bytes_max)
        .with_isolation_level(i8::from(isolation == Isolation::Committed))
        .with_session_epoch(-1)
        .with_topics(
            topics
                .into_iter()
                .map(|(name, partitions)| {
                    FetchTopic::default()
                        .with_topic(TopicName(text(name)))
                        .with_partitions(partitions)
                })
                .collect(),
        )
}

/// Cuts an answer into batches, leaves out what is not to be seen, and moves the partition on.
fn cut(
    index: usize,
    part: &mut Part,
    records: Bytes,
    aborted: &[(i64, i64)],
    isolation: Isolation,
    controls: bool,
    fetched: &mut Vec<Fetched>,
) -> Result<(), BatchError> {
    let mut aborted = aborted.iter().peekable();
    let mut open: BTreeSet<i64> = BTreeSet::new();
    let mut first = true;
    for batch in BatchIter::new(records) {
        let batch = match batch {
            Ok(batch) => batch,
            // An answer may end inside a batch when it is full; the next one begins with it.
            Err(BatchError::Truncated { .. }) if !first => break,
            Err(error) => return Err(error),
        };
        first = false;
        batch.check_crc()?;
        let header = batch.header();
        let (last, producer) = (header.last_offset().get(), header.producer_id().get());
        while let Some((_, aborted_producer)) = aborted.next_if(|(first_offset, _)| *first_offset <= last) {
            open.insert(*aborted_producer);
        }
        let from = part.next;
        let skipped =
            isolation == Isolation::Committed && header.is_transactional() && open.contains(&producer);
        let (is_control, next) = (header.is_control(), header.next_offset().get());
        if last < from {
            continue;
        }
        let decoded = batch.decode_within(DecodeLimits::default())?;
        if is_control {
            for record in decoded.iter() {
                let record = record?;
                if let Some(ControlRecord::Abort { .. }) = ControlRecord::parse(record.key, record.value)? {
                    open.remove(&producer);
                }
            }
        }
        part.next = next.max(from);
        if (is_control && controls) || (!is_control && !skipped) {
            fetched.push(Fetched {
                part: index,
                batch: decoded,
                from,
                until: part.until.unwrap_or(i64::MAX),
            });
        }
        if part.is_done() {
            break;
        }
    }
    Ok(())
}

/// Bytes of an answer when only the first record of each partition is of interest.
const FIRST_RECORD_BYTES: i32 = 640 << 10;

/// The time of the first record at or after each offset that a reader of committed records would see: how old what is unread is.
/// `None` where there is no such record: markers and aborted records alone are nothing to read.
pub(crate) async fn oldest_times(
    client: &mut Client,
    topics: &[Topic],
    offsets: &BTreeMap<(String, i32), i64>,
) -> anyhow::Result<BTreeMap<(String, i32), Option<i64>>> {
    let wanted = |topic: &str, partition: i32| offsets.contains_key(&(topic.to_owned(), partition));
    let starts = client.offsets(topics, super::OffsetAt::Start, wanted).await?;
    let ends = client.offsets(topics, super::OffsetAt::StableEnd, wanted).await?;
    let mut parts = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.id);
            let known = |spots: &BTreeMap<_, super::Spot>| spots.get(&key).and_then(|spot| spot.offset);
            if let (Some(offset), Some(start), Some(end)) = (offsets.get(&key), known(&starts), known(&ends))
            {
                parts.push(Part {
                    topic: key.0,
                    partition: key.1,
                    leader: partition.leader.unwrap_or(-1),
                    next: (*offset).max(start),
                    until: Some(end),
                    log_start: None,
                    last_stable: None,
                    high_watermark: None,
                });
            }
        }
    }
    let mut times: BTreeMap<(String, i32), Option<i64>> = parts
        .iter()
        .map(|part| ((part.topic.clone(), part.partition), None))
        .collect();
    let mut fetcher = Fetcher::new(parts, Isolation::Committed, false);
    fetcher.bytes_max = FIRST_RECORD_BYTES;
    while !fetcher.is_done() {
        for fetched in fetcher.poll(client).await? {
            let part = &mut fetcher.parts[fetched.part];
            let seen = |offset: i64| (fetched.from..fetched.until).contains(&offset);
            let mut records = fetched.batch.iter().filter_map(Result::ok);
            if let Some(record) = records.find(|record| seen(record.offset.get())) {
                let time = times.entry((part.topic.clone(), part.partition)).or_default();
                *time = Some(time.map_or(record.timestamp, |time| time.min(record.timestamp)));
                // Its first record is all there is to know of a partition.
                part.until = Some(part.next);
            }
        }
    }
    Ok(times)
}

#[cfg(test)]
#[path = "fetch_test.rs"]
mod fetch_test;
