//! Behaviour of the newtypes.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::rng::{Rng, SeededRng};

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    assert_eq!(Sequence::new(i32::MAX).next(), Sequence::ZERO);
    assert_eq!(Sequence::new(i32::MAX - 1).plus(3), Sequence::new(1));
    assert_eq!(Sequence::ZERO.minus(1), Sequence::new(i32::MAX));
    assert_eq!(Sequence::new(2).minus(2), Sequence::ZERO);
}

#[test]
fn offsets_saturate_instead_of_wrapping() {
    assert_eq!(Offset::MAX.next(), Offset::MAX);
    assert_eq!(Offset::new(5).plus(7), Offset::new(12));
    assert_eq!(Offset::new(5).distance_from(Offset::new(2)), 3);
    assert!(Offset::new(2) < Offset::new(10));
}

#[test]
fn the_last_producer_epoch_is_kept_for_fencing() {
    assert_eq!(ProducerEpoch::ZERO.next(), Some(ProducerEpoch::new(1)));
    assert_eq!(
        ProducerEpoch::new(i16::MAX - 2).next(),
        Some(ProducerEpoch::new(i16::MAX - 1))
    );
    assert_eq!(ProducerEpoch::new(i16::MAX - 1).next(), None);
    assert_eq!(ProducerEpoch::new(i16::MAX).next(), None);
}

#[test]
fn topic_names_follow_kafkas_rule() {
    for legal in ["a", "__consumer_offsets", "A.b-c_9", "...", &"x".repeat(249)] {
        assert_eq!(TopicName::new(legal).expect(legal).as_str(), legal);
    }
    assert_eq!(TopicName::new(""), Err(InvalidTopicName::Empty));
    assert_eq!(TopicName::new(".."), Err(InvalidTopicName::Dots("..".into())));
    assert_eq!(
        TopicName::new(&"x".repeat(250)),
        Err(InvalidTopicName::TooLong { length: 250 })
    );
    for (illegal, character) in [("a b", ' '), ("a/b", '/'), ("grüße", 'ü'), ("a\0", '\0')] {
        let expected = InvalidTopicName::Character {
            name: illegal.into(),
            character,
        };
        assert_eq!(TopicName::new(illegal), Err(expected));
    }
}

#[test]
fn a_partition_directory_name_is_read_back_even_when_the_topic_has_dashes() {
    let partition = TopicPartition::new(TopicName::new("a-b-7").unwrap(), 12);
    assert_eq!(partition.to_string(), "a-b-7-12");
    assert_eq!(TopicPartition::from_dir_name("a-b-7-12"), Some(partition));
    for not_a_partition in [
        "a",
        "a-",
        "a-x",
        "-1",
        "a-01",
        "a-+1",
        "a--1-",
        "a-0.abc-delete",
        "a-99999999999",
    ] {
        assert_eq!(
            TopicPartition::from_dir_name(not_a_partition),
            None,
            "{not_a_partition}"
        );
    }
}

#[test]
fn topic_ids_print_as_kafka_prints_them() {
    // Kafka's Uuid.METADATA_TOPIC_ID is (0, 1); its text is documented as AAAAAAAAAAAAAAAAAAAAAQ.
    let id = TopicId::new(Uuid::from_u128(1));
    assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(id));
    let all = TopicId::new(Uuid::from_u128(u128::MAX));
    assert_eq!(all.to_string(), "_____________________w");
    for wrong in [
        "",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAAAAAA+",
        "ÄAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(wrong.parse::<TopicId>(), Err(InvalidTopicId(wrong.into())));
    }
}

#[test]
fn random_topic_ids_never_look_like_a_flag() {
    let rng = SeededRng::new(1);
    assert!(
        (0..1000).any(|_| TopicId::new(rng.uuid()).to_string().starts_with('-')),
        "the seed proves nothing"
    );
    let rng = SeededRng::new(1);
    for _ in 0..1000 {
        assert!(!TopicId::random(&rng).to_string().starts_with('-'));
    }
}

#[test]
fn names_are_checked_when_they_are_deserialised() {
    assert!(serde_json::from_str::<TopicName>("\"a/b\"").is_err());
    let partition = TopicPartition::new(TopicName::new("flights").unwrap(), 3);
    let text = serde_json::to_string(&partition).unwrap();
    assert_eq!(text, r#"{"topic":"flights","partition":3}"#);
    assert_eq!(serde_json::from_str::<TopicPartition>(&text).unwrap(), partition);
}

proptest! {
    #[test]
    fn topic_ids_round_trip_as_text(value: u128) {
        let id = TopicId::new(Uuid::from_u128(value));
        prop_assert_eq!(id.to_string().parse::<TopicId>(), Ok(id));
    }

    #[test]
    fn stepping_a_sequence_forth_and_back_is_neutral(start in 0..=i32::MAX, step in 0..=i32::MAX) {
        let sequence = Sequence::new(start);
        let later = sequence.plus(step);
        prop_assert!(later.get() >= 0);
        prop_assert_eq!(later.minus(step), sequence);
    }
}
