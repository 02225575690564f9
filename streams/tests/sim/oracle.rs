//! What must be true in the end, whatever happened: outputs == f(input), state == fold(changelog) == f(input), nothing acknowledged is missing,
//! nothing is there twice, no transaction hangs.

use std::collections::{BTreeMap, BTreeSet};

use millpond_log::broker::{Broker, Isolation, OffsetSpec};
use millpond_log::record::Record;
use millpond_log::types::TopicPartition;
use millpond_streams::runtime::StreamsHandle;
use millpond_streams::state::ValueEnvelope;

use super::feeder::Written;
use super::support::{read_committed, topic};
use super::world::{APPLICATION, STORE};

type Counts = BTreeMap<String, u64>;

/// Checks everything; the first thing that is not so is told.
pub(crate) async fn check(broker: &Broker, app: &StreamsHandle, written: &Written) -> Result<(), String> {
    let input = read_committed(broker, "events").await;
    let mut expected = Counts::new();
    let mut ids = BTreeSet::new();
    for record in &input {
        let id = text(&record.value)?
            .parse::<u64>()
            .map_err(|error| error.to_string())?;
        if !ids.insert(id) {
            return Err(format!("input {id} is in the log twice"));
        }
        *expected.entry(text(&record.key)?).or_default() += 1;
    }
    if let Some(lost) = written.acknowledged.difference(&ids).next() {
        return Err(format!("input {lost} was acknowledged and is gone"));
    }
    let outputs = outputs(&read_committed(broker, "counts").await)?;
    same("outputs", &outputs, &expected)?;

    let store = app
        .store::<String, u64>(STORE)
        .map_err(|error| error.to_string())?;
    let state: Counts = store
        .all()
        .map_err(|error| error.to_string())?
        .into_iter()
        .collect();
    same("state", &state, &expected)?;

    let mut changelog = Counts::new();
    for record in read_committed(broker, &format!("{APPLICATION}-{STORE}-changelog")).await {
        let value = record.value.as_deref().unwrap_or_default();
        let envelope =
            ValueEnvelope::parse(value).map_err(|_| "a changelog value has no envelope".to_owned())?;
        let count = envelope
            .value
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| "a count is not 8 bytes".to_owned())?;
        changelog.insert(text(&record.key)?, count);
    }
    same("fold of the changelog", &changelog, &expected)?;
    nothing_hangs(broker).await
}

/// The last count per key; each must be larger than the one before.
fn outputs(updates: &[Record]) -> Result<Counts, String> {
    let mut counts = Counts::new();
    for update in updates {
        let key = text(&update.key)?;
        let count = text(&update.value)?
            .parse::<u64>()
            .map_err(|error| error.to_string())?;
        if let Some(before) = counts
            .insert(key.clone(), count)
            .filter(|before| *before >= count)
        {
            return Err(format!("outputs of {key}: {before} was followed by {count}"));
        }
    }
    Ok(counts)
}

fn same(what: &str, found: &Counts, expected: &Counts) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differs = keys
        .into_iter()
        .find(|key| found.get(*key) != expected.get(*key))
        .expect("they differ");
    Err(format!(
        "{what}: {differs} is {:?}, the input says {:?}",
        found.get(differs),
        expected.get(differs)
    ))
}

/// No open transaction holds back readers of committed data.
pub(crate) async fn nothing_hangs(broker: &Broker) -> Result<(), String> {
    for description in broker.describe_topics(None).await {
        let description = description.map_err(|error| error.to_string())?;
        for partition in 0..description.partitions {
            let partition = TopicPartition::new(topic(description.name.as_str()), partition);
            let asked = vec![
                (partition.clone(), OffsetSpec::Latest),
                (partition.clone(), OffsetSpec::LastStable),
            ];
            let answers = broker.list_offsets(asked, Isolation::ReadUncommitted).await;
            let ends: Vec<_> = answers
                .into_iter()
                .map(|answer| answer.map(|listed| listed.offset))
                .collect();
            if !matches!(&ends[..], [Ok(end), Ok(stable)] if end == stable) {
                return Err(format!("a transaction hangs in {partition}: {ends:?}"));
            }
        }
    }
    Ok(())
}

fn text(bytes: &Option<bytes::Bytes>) -> Result<String, String> {
    String::from_utf8(bytes.as_deref().unwrap_or_default().to_vec()).map_err(|error| error.to_string())
}
