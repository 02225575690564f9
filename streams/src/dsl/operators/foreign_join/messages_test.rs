//! Messages of a foreign-key join survive their bytes; those of a later version and damaged ones are refused.

use super::*;
use crate::serde::DefaultSerde;

fn bytes_of<T>(serde: &impl Serde<T>, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    serde.serialize(value, &mut bytes).expect("it can be written");
    bytes
}

#[test]
fn subscriptions_read_back_as_they_were_written() {
    let serde = SubscriptionSerde(String::default_serde());
    for (instruction, hash) in [
        (Instruction::DeleteWithoutAnswer, Some([7; 16])),
        (Instruction::DeleteAndAnswer, None),
        (Instruction::AnswerAlways, Some([0; 16])),
        (Instruction::AnswerIfFound, Some([255; 16])),
        (Instruction::AskAgain, Some([1; 16])),
    ] {
        let key = "left".to_owned();
        let subscription = Subscription {
            instruction,
            partition: 3,
            hash,
            key,
        };
        let bytes = bytes_of(&serde, &subscription);
        assert_eq!(serde.deserialize(&bytes).expect("just written"), subscription);
    }
}

#[test]
fn responses_read_back_as_they_were_written() {
    let serde = ResponseSerde(String::default_serde());
    for value in [None, Some(String::new()), Some("right".to_owned())] {
        for hash in [None, Some([9; 16])] {
            let response = Response {
                partition: 1,
                hash,
                value: value.clone(),
            };
            let bytes = bytes_of(&serde, &response);
            assert_eq!(serde.deserialize(&bytes).expect("just written"), response);
        }
    }
}

#[test]
fn other_versions_and_damaged_bytes_are_refused() {
    let serde = SubscriptionSerde(String::default_serde());
    for bytes in [
        &b""[..],
        &[2, 0, 0, 0, 0, 0, 0],
        &[1, 9, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 1, 5],
    ] {
        assert!(serde.deserialize(bytes).is_err(), "{bytes:?}");
    }
    let serde = ResponseSerde(String::default_serde());
    for bytes in [
        &b""[..],
        &[2, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0],
    ] {
        assert!(serde.deserialize(bytes).is_err(), "{bytes:?}");
    }
}
