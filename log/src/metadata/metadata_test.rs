//! Metadata records and the image they build.

use crate::types::{LeaderEpoch, Offset, PartitionId, ProducerId, TopicId, TopicName};

use super::{ApplyError, ConfigOwner, MetadataDelta, MetadataImage, MetadataRecord, PartitionRecord};

fn id(number: u128) -> TopicId {
    TopicId::new(uuid::Uuid::from_u128(number))
}

fn name(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn topic(topic: &str, number: u128, partitions: i32) -> Vec<MetadataRecord> {
    let head = MetadataRecord::Topic {
        name: name(topic),
        id: id(number),
    };
    let partitions = (0..partitions).map(|partition| {
        MetadataRecord::Partition(PartitionRecord {
            topic: id(number),
            partition: PartitionId::new(partition),
            replicas: vec![0],
            isr: vec![0],
            leader: 0,
            leader_epoch: LeaderEpoch::ZERO,
        })
    });
    std::iter::once(head).chain(partitions).collect()
}

fn config(number: u128, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::TopicConfig {
        topic: id(number),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn owned(owner: &ConfigOwner, key: &str, value: Option<&str>) -> MetadataRecord {
    MetadataRecord::Config {
        owner: owner.clone(),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    }
}

fn apply(image: &MetadataImage, records: &[MetadataRecord]) -> (MetadataImage, MetadataDelta) {
    image
        .apply(records, image.applied_to().plus(records.len() as i64))
        .unwrap()
}

#[test]
fn every_record_reads_back_as_it_was_written() {
    let mut records = topic("orders", 7, 2);
    records.push(MetadataRecord::Cluster {
        cluster_id: uuid::Uuid::from_u128(9),
    });
    records.push(config(7, "retention.ms", Some("-1")));
    records.push(config(7, "retention.ms", None));
    records.push(MetadataRecord::RemoveTopic { id: id(7) });
    records.push(MetadataRecord::ProducerIds {
        broker_id: 1,
        next_producer_id: 2000,
    });
    for owner in [
        ConfigOwner::AllBrokers,
        ConfigOwner::Broker(1),
        ConfigOwner::Group("billing".to_owned()),
        ConfigOwner::ClientMetrics("basic".to_owned()),
    ] {
        records.push(owned(&owner, "log.retention.ms", Some("5")));
        records.push(owned(&owner, "log.retention.ms", None));
    }
    records.push(MetadataRecord::Feature {
        name: "transaction.version".to_owned(),
        level: 2,
    });
    for record in records {
        let bytes = record.encode();
        assert_eq!(MetadataRecord::decode(&bytes), Ok(record.clone()));
        for length in 0..bytes.len() {
            assert!(
                MetadataRecord::decode(&bytes[..length]).is_err(),
                "{record:?} cut at {length}"
            );
        }
    }
}

#[test]
fn a_topic_record_is_laid_out_as_kafkas() {
    let record = MetadataRecord::Topic {
        name: name("a"),
        id: id(1),
    };
    assert_eq!(
        &record.encode()[..],
        b"\x01\x02\x00\x02a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00"
    );
}

#[test]
fn a_topic_its_partitions_and_settings_take_effect_together() {
    let mut records = topic("orders", 7, 3);
    records.push(config(7, "cleanup.policy", Some("compact")));
    let (image, delta) = apply(&MetadataImage::default(), &records);
    let orders = image.topic(&name("orders")).unwrap();
    assert_eq!(
        (orders.id, orders.partition_count(), image.partition_count()),
        (id(7), 3, 3)
    );
    assert_eq!(
        orders.overrides().get("cleanup.policy").map(String::as_str),
        Some("compact")
    );
    assert_eq!(delta.created.into_iter().collect::<Vec<_>>(), [id(7)]);
    assert!(
        delta.reconfigured.is_empty(),
        "a new topic is opened with its settings"
    );
    assert_eq!(image.applied_to(), Offset::new(5));
}

#[test]
fn an_older_image_is_not_changed_by_what_comes_after() {
    let (before, _) = apply(&MetadataImage::default(), &topic("orders", 7, 1));
    let (after, delta) = apply(&before, &[MetadataRecord::RemoveTopic { id: id(7) }]);
    assert!(before.topic(&name("orders")).is_some());
    assert!(after.topic(&name("orders")).is_none());
    assert_eq!((after.partition_count(), delta.removed.len()), (0, 1));
}

#[test]
fn a_name_can_be_used_again_with_another_id_but_not_twice() {
    let (image, _) = apply(&MetadataImage::default(), &topic("orders", 7, 1));
    let taken = image.apply(&topic("orders", 8, 1), Offset::new(9)).unwrap_err();
    assert!(matches!(taken, ApplyError::NameTaken { .. }));
    let (image, _) = apply(&image, &[MetadataRecord::RemoveTopic { id: id(7) }]);
    let (image, _) = apply(&image, &topic("orders", 8, 1));
    assert_eq!(image.topic(&name("orders")).unwrap().id, id(8));
}

#[test]
fn records_of_unknown_topics_are_errors() {
    let unknown = MetadataImage::default()
        .apply(&[config(7, "retention.ms", None)], Offset::new(1))
        .unwrap_err();
    assert_eq!(unknown, ApplyError::UnknownTopic { id: id(7) });
}

#[test]
fn producer_ids_never_go_back() {
    let block = |next_producer_id| MetadataRecord::ProducerIds {
        broker_id: 0,
        next_producer_id,
    };
    let (image, _) = apply(&MetadataImage::default(), &[block(2000)]);
    let refused = image.apply(&[block(1000)], Offset::new(9)).unwrap_err();
    assert_eq!(
        refused,
        ApplyError::ProducerIdsGoBack {
            from: ProducerId::new(2000),
            to: ProducerId::new(1000)
        }
    );
}

#[test]
fn a_merged_delta_forgets_what_was_made_and_removed() {
    let (image, mut history) = apply(&MetadataImage::default(), &topic("orders", 7, 1));
    let (_, removed) = apply(&image, &[MetadataRecord::RemoveTopic { id: id(7) }]);
    history.merge(removed);
    assert!(history.created.is_empty());
    assert_eq!(history.removed.len(), 1);
}

#[test]
fn config_and_feature_records_are_laid_out_as_kafkas() {
    let config = owned(&ConfigOwner::AllBrokers, "a", Some("b"));
    assert_eq!(&config.encode()[..], b"\x01\x04\x00\x04\x01\x02a\x02b\x00");
    let feature = MetadataRecord::Feature {
        name: "a".to_owned(),
        level: 2,
    };
    assert_eq!(&feature.encode()[..], b"\x01\x0c\x00\x02a\x00\x02\x00");
}

#[test]
fn settings_besides_topics_are_kept_per_owner_and_gone_with_the_last_one() {
    let group = ConfigOwner::Group("billing".to_owned());
    let set = owned(&group, "consumer.session.timeout.ms", Some("46000"));
    let (image, delta) = apply(&MetadataImage::default(), std::slice::from_ref(&set));
    assert!(delta.configured.contains(&group));
    assert_eq!(
        image
            .configs_of(&group)
            .unwrap()
            .get("consumer.session.timeout.ms"),
        Some(&"46000".to_owned())
    );
    let (image, _) = apply(&image, &[owned(&group, "consumer.session.timeout.ms", None)]);
    assert_eq!(image.config_owners().count(), 0);
}

#[test]
fn names_that_differ_only_in_dots_and_underscores_are_found_until_they_are_gone() {
    let (image, _) = apply(&MetadataImage::default(), &topic("a.b_c", 7, 1));
    assert_eq!(image.colliding_topic(&name("a_b.c")), Some(&name("a.b_c")));
    assert_eq!(image.colliding_topic(&name("a.b_c")), None, "not with itself");
    assert_eq!(image.colliding_topic(&name("abc")), None);
    let (image, _) = apply(&image, &[MetadataRecord::RemoveTopic { id: id(7) }]);
    assert_eq!(image.colliding_topic(&name("a_b.c")), None);
}
