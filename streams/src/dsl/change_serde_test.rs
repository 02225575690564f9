//! Changes survive their bytes; damaged bytes are refused.

use super::*;
use crate::serde::DefaultSerde;

fn change(new: Option<&str>, old: Option<&str>) -> Change<String> {
    Change::latest(new.map(str::to_owned), old.map(str::to_owned))
}

fn write(change: &Change<String>) -> Result<Vec<u8>, SerdeError> {
    let mut bytes = Vec::new();
    ChangeSerde(String::default_serde()).serialize(change, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn every_change_reads_back_as_it_was_written() {
    let long = "x".repeat(300);
    for change in [
        change(Some("new"), None),
        change(None, Some("old")),
        change(Some("new"), Some("old")),
        change(Some(""), Some("")),
        change(Some(&long), Some(&long)),
    ] {
        let bytes = write(&change).expect("it has a value");
        let read = ChangeSerde(String::default_serde()).deserialize(&bytes);
        assert_eq!(read.expect("it was just written"), change);
    }
}

#[test]
fn a_change_of_nothing_has_no_bytes() {
    assert!(write(&change(None, None)).is_err());
}

#[test]
fn the_format_stays_as_it_is() {
    let bytes = write(&change(Some("ab"), Some("c"))).expect("it has a value");
    assert_eq!(bytes, b"\x02\x02abc");
    assert_eq!(write(&change(Some("ab"), None)).expect("new"), b"\x00ab");
    assert_eq!(write(&change(None, Some("c"))).expect("old"), b"\x01c");
}

#[test]
fn damaged_bytes_are_refused() {
    let serde = ChangeSerde(String::default_serde());
    for bytes in [&b""[..], b"\x03a", b"\x02", b"\x02\x80", b"\x02\x05abc"] {
        assert!(serde.deserialize(bytes).is_err(), "{bytes:?}");
    }
}
