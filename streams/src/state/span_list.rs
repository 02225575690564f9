//! Layout of stores of spans: sessions and sliding windows, whose bounds come from the records and not from a grid.
//!
//! ```text
//! key   = pane (8 bytes, see window_key) ++ the record's key
//! value = the key's spans of that pane, ascending: per span  start i64 | end i64 | length u32 | value envelope   (big-endian)
//! ```
//! A span lies in the pane of its anchor: a session's end, a sliding window's start. A pane is a stretch of time, a power of two wide and at least as
//! wide as the gap or the window. Why not one entry per span, in time order or in key order? Time order alone cannot find the sessions of a key
//! without walking all keys; key order alone cannot expire with one range delete, and finds by a walk what is a point read here. So "sessions of a
//! key that end after e and start before s" is one get per pane from e on, mostly one or two, answered by hash tables and bloom filters and read for a
//! whole batch of keys in one call; expiry is one range delete of whole panes; and as sessions of a key are further apart than the gap, a
//! list is short. Always true: no list is empty, no two spans of a key have the same bounds.

use millpond_log::types::Timestamp;

use super::value_envelope::CutShort;

/// Bytes in front of a span's envelope.
const HEAD_LEN: usize = 20;

/// Width of the panes of a store whose gap or window is this long: the power of two at or above it, so that small changes of the setting keep the layout.
pub const fn pane_width(at_least_ms: i64) -> i64 {
    let at_least = if at_least_ms < 1 { 1 } else { at_least_ms as u64 };
    if at_least > 1 << 61 {
        1 << 61
    } else {
        at_least.next_power_of_two() as i64
    }
}

/// A span in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef<'a> {
    /// Start in ms, included.
    pub start_ms: Timestamp,
    /// End in ms, included.
    pub end_ms: Timestamp,
    /// Its value envelope.
    pub envelope: &'a [u8],
}

/// Appends a span to a list; `write` appends its value envelope.
pub fn append<E>(
    start_ms: Timestamp,
    end_ms: Timestamp,
    list: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    list.extend_from_slice(&start_ms.to_be_bytes());
    list.extend_from_slice(&end_ms.to_be_bytes());
    let length_at = list.len();
    list.extend_from_slice(&[0; 4]);
    write(list)?;
    let length = (list.len() - length_at - 4) as u32;
    list[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The spans of a list, in order. Ends after the first that is cut short.
pub fn iter(list: &[u8]) -> impl Iterator<Item = Result<SpanRef<'_>, CutShort>> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest.take().filter(|list| !list.is_empty())?;
        Some(split_first(list).map(|(span, after)| {
            rest = Some(after);
            span
        }))
    })
}

fn split_first(list: &[u8]) -> Result<(SpanRef<'_>, &[u8]), CutShort> {
    let (head, after) = list.split_first_chunk::<HEAD_LEN>().ok_or(CutShort)?;
    let long = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[from..from + 8]);
        i64::from_be_bytes(bytes)
    };
    let length = u32::from_be_bytes([head[16], head[17], head[18], head[19]]) as usize;
    let (envelope, after) = after.split_at_checked(length).ok_or(CutShort)?;
    let span = SpanRef {
        start_ms: long(0),
        end_ms: long(8),
        envelope,
    };
    Ok((span, after))
}

#[cfg(test)]
#[path = "span_list_test.rs"]
mod span_list_test;
