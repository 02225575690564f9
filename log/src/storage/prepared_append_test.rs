//! A batch that this process encoded is judged as the same bytes off a socket are.

use proptest::prelude::*;

use super::*;
use crate::record::{BatchBuilder, BatchOptions, BuiltBatch};
use crate::storage::settings::CleanupPolicy;
use crate::types::{NO_TIMESTAMP, TopicName};

const NOW: Timestamp = 1_700_000_000_000;
const HOUR: Timestamp = 3_600_000;

fn built(options: BatchOptions, records: &[(Timestamp, bool)]) -> BuiltBatch {
    let mut builder = BatchBuilder::new(options);
    for (timestamp, has_key) in records {
        let key = has_key.then_some(&b"key"[..]);
        builder
            .append(*timestamp, key, Some(b"value"), &[])
            .expect("fits");
    }
    builder.build_known()
}

fn prepare(config: &TopicConfig, batches: impl Into<BatchBytes>) -> Result<PreparedAppend, StorageError> {
    let partition = TopicPartition::new(TopicName::new("t").expect("a legal name"), 0);
    PreparedAppend::new(&partition, config, AppendRequest::client(batches), NOW)
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    let odd = [
        NO_TIMESTAMP,
        NOW - HOUR,
        NOW - HOUR - 1,
        NOW + HOUR,
        NOW + HOUR + 1,
        Timestamp::MIN,
        Timestamp::MAX,
    ];
    prop_oneof![3 => Just(NOW), 2 => proptest::sample::select(odd.to_vec())]
}

proptest! {
    #[test]
    fn what_the_encoder_saw_changes_no_verdict(
        records in proptest::collection::vec((timestamps(), proptest::bool::weighted(0.8)), 0..5),
        compact in any::<bool>(),
        bounded in any::<bool>(),
        stamped in any::<bool>(),
        says_stamped in any::<bool>(),
        control in proptest::bool::weighted(0.1),
        packed in any::<bool>(),
    ) {
        let bound = if bounded { HOUR } else { Timestamp::MAX };
        let config = TopicConfig {
            cleanup_policy: CleanupPolicy { delete: !compact, compact },
            timestamp_before_max_ms: bound,
            timestamp_after_max_ms: bound,
            timestamp_source: if stamped { TimestampSource::LogAppendTime } else { TimestampSource::CreateTime },
            ..TopicConfig::default()
        };
        let options = BatchOptions {
            compression: if packed { Compression::Lz4 } else { Compression::None },
            control,
            timestamp_type: if says_stamped { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
            ..BatchOptions::default()
        };
        let built = built(options, &records);
        let plain = prepare(&config, built.clone().into_bytes());
        let known = prepare(&config, built);
        prop_assert_eq!(format!("{known:?}"), format!("{plain:?}"));
    }
}

#[test]
fn sound_records_that_this_process_encoded_are_not_walked() {
    let rules = RecordRules::of(&TopicConfig::default(), NOW);
    let built = built(BatchOptions::default(), &[(NOW, true), (NOW - 1, false)]);
    let batch = batches_of(&built).next().expect("a batch").expect("sound");
    let seen = built.seen().expect("an ordinary batch");
    assert_eq!(rules.passes_unseen(&batch, seen), Some(NOW));
}

#[test]
fn of_bytes_alone_nothing_is_known() {
    let built = built(BatchOptions::default(), &[(NOW, true)]);
    assert!(BatchBytes::from(built.clone()).records_seen().is_some());
    let bytes = built.into_bytes();
    assert_eq!(BatchBytes::from(BytesMut::from(&bytes[..])).records_seen(), None);
    assert_eq!(BatchBytes::from(bytes).records_seen(), None);
}
