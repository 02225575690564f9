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
}
