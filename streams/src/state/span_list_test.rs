//! Lists of spans as bytes.

use super::*;

fn list(spans: &[(i64, i64, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (start, end, envelope) in spans {
        let written: Result<(), CutShort> = append(*start, *end, &mut list, |out| {
            out.extend_from_slice(envelope);
            Ok(())
        });
        assert_eq!(written, Ok(()));
    }
    list
}

#[test]
fn spans_come_back_in_order_with_their_envelopes() {
    let bytes = list(&[(-5, 0, b"a"), (7, 1 << 40, b""), (i64::MAX, i64::MAX, b"long")]);
    let spans: Vec<_> = iter(&bytes).map(|span| span.expect("whole")).collect();
    let flat: Vec<_> = spans
        .iter()
        .map(|span| (span.start_ms, span.end_ms, span.envelope))
        .collect();
    assert_eq!(
        flat,
        [
            (-5, 0, &b"a"[..]),
            (7, 1 << 40, b""),
            (i64::MAX, i64::MAX, b"long")
        ]
    );
}

#[test]
fn a_list_that_is_cut_short_says_so_once() {
    let bytes = list(&[(1, 2, b"abc"), (3, 4, b"def")]);
    for len in 24..bytes.len() {
        let spans: Vec<_> = iter(&bytes[..len]).collect();
        let whole = spans.iter().filter(|span| span.is_ok()).count();
        assert_eq!((whole, spans.len()), (1, 2), "{len} bytes");
    }
    assert_eq!(iter(&[]).count(), 0);
}

#[test]
fn panes_are_powers_of_two_at_least_as_wide_as_asked() {
    assert_eq!([0, 1, 2, 3, 1000, 1024].map(pane_width), [1, 1, 2, 4, 1024, 1024]);
    assert_eq!(pane_width(i64::MAX), 1 << 61);
}
