//! Serdes: what is written is read, and wrong bytes are refused.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::*;

fn round_trip<T: DefaultSerde + PartialEq + std::fmt::Debug>(value: T) -> Vec<u8> {
    let serde = T::default_serde();
    let mut bytes = vec![0xee];
    serde.serialize(&value, &mut bytes).expect("can be written");
    assert_eq!(bytes[0], 0xee, "the caller's buffer is appended to");
    assert_eq!(serde.deserialize(&bytes[1..]).expect("can be read back"), value);
    bytes.split_off(1)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
    note: Option<String>,
}

#[test]
fn every_default_serde_reads_what_it_writes() {
    assert_eq!(round_trip("grüß".to_owned()), "grüß".as_bytes());
    assert_eq!(round_trip(-2_i64), (-2_i64).to_be_bytes());
    assert_eq!(round_trip(258_i32), [0, 0, 1, 2]);
    assert_eq!(round_trip(1.5_f64), 1.5_f64.to_be_bytes());
    assert_eq!(round_trip(true), [1]);
    assert_eq!(round_trip(Bytes::from_static(b"raw")), b"raw");
    assert_eq!(round_trip(vec![1_u8, 2]), [1, 2]);
    assert_eq!(round_trip(Some(7_u8)), [7]);
    assert_eq!(
        round_trip(("ab".to_owned(), None::<u8>, 258_u16)),
        [0, 0, 0, 2, b'a', b'b', 255, 255, 255, 255, 0, 0, 0, 2, 1, 2]
    );
    assert_eq!(round_trip((String::new(), ((), 1_u8))).len(), 4 + 4 + 4 + 5);
    let order = Order { id: 7, note: None };
    assert_eq!(round_trip(Json(order.clone())), br#"{"id":7,"note":null}"#);
    assert_eq!(round_trip(Bincode(order)), [7, 0]);
}

#[test]
fn null_belongs_to_option_and_unit_only() {
    assert!(matches!(String::default_serde().null(), Err(SerdeError::Null)));
    assert_eq!(Option::<String>::default_serde().null().ok(), Some(None));
    assert!(Option::<String>::default_serde().is_null(&None));
    assert!(!Option::<String>::default_serde().is_null(&Some(String::new())));
    assert!(<()>::default_serde().is_null(&()));
}

#[test]
fn wrong_bytes_are_refused_with_the_reason() {
    let message = |error: SerdeError| error.to_string();
    assert_eq!(
        message(i64::default_serde().deserialize(b"abc").unwrap_err()),
        "3 bytes where i64 takes 8"
    );
    assert_eq!(
        message(String::default_serde().deserialize(&[0xff]).unwrap_err()),
        "not UTF-8"
    );
    assert!(
        message(Json::<Order>::default_serde().deserialize(b"{").unwrap_err())
            .starts_with("not valid JSON: EOF")
    );
    assert!(
        message(
            Bincode::<Order>::default_serde()
                .deserialize(&[7, 0, 9])
                .unwrap_err()
        )
        .contains("1 bytes are left over")
    );
    assert!(bool::default_serde().deserialize(&[2]).is_err());
    for damaged in [
        &[0, 0, 0][..],
        &[0, 0, 0, 2, 1],
        &[255, 255, 255, 254],
        &[0, 0, 0, 0, 0, 0, 0, 1, 9, 9],
    ] {
        let error = <(Vec<u8>, u8)>::default_serde().deserialize(damaged).unwrap_err();
        assert!(message(error).starts_with("not valid tuple: "), "{damaged:?}");
    }
    let null = <(String, u8)>::default_serde().deserialize(&[255, 255, 255, 255, 0, 0, 0, 1, 9]);
    assert!(matches!(null, Err(SerdeError::Null)));
}

#[test]
fn detached_values_are_equal_and_sizes_are_those_of_all_parts() {
    let batch = Bytes::from(vec![7; 1_000]);
    let mut value = (batch.slice(0..10), (Some(batch.slice(10..30)), 5_i64));
    let before = value.clone();
    let serde = <(Bytes, (Option<Bytes>, i64))>::default_serde();
    serde.detach(&mut value);
    assert_eq!(value, before);
    let range = batch.as_ptr_range();
    assert!(!range.contains(&value.0.as_ptr()));
    assert!(
        !value
            .1
            .0
            .as_ref()
            .is_some_and(|part| range.contains(&part.as_ptr()))
    );
    assert_eq!(serde.heap_bytes(&value), Some(30));
    let unknown = <(Bytes, Json<Order>)>::default_serde();
    let order = Order { id: 1, note: None };
    assert_eq!(unknown.heap_bytes(&(batch, Json(order))), None);
}

#[test]
fn a_value_of_unknown_size_is_encoded_when_it_is_new_and_ever_less_often() {
    let serde = Json::<String>::default_serde();
    let (mut held, mut encoded) = (held::HeldBytes::default(), Vec::new());
    let (mut looks, mut seen) = (Vec::new(), 0);
    for change in 1..=300 {
        let mut value = Json("x".repeat(1_000 + change));
        held = held.settle(&*serde, &mut value, &mut encoded);
        if held.bytes() != seen {
            seen = held.bytes();
            looks.push(change);
        }
    }
    assert_eq!(looks, [1, 2, 4, 8, 16, 32, 64, 128, 256]);
    assert_eq!(seen, 1_256 + 2 - size_of::<Json<String>>());
    let mut value = Json("x".repeat(5_000));
    let written = held::HeldBytes::seen(&*serde, &value, 5_002);
    assert_eq!(written.bytes(), 5_002 - size_of::<Json<String>>());
    assert_eq!(
        written.settle(&*serde, &mut value, &mut encoded).bytes(),
        written.bytes()
    );
}
