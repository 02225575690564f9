//! The offset grammar, row by row, and what it means in a partition.

use super::*;

/// 2022-02-15T00:00:00Z
const NOW: i64 = 1_644_883_200_000;
const VALENTINE: i64 = NOW - 86_400_000;
const HOUR: i64 = 3_600_000;

fn span(from: Position, until: Until) -> Span {
    Span { from, until }
}

#[test]
fn every_form_of_the_grammar_is_read() {
    use Position::{AfterStart, At, BeforeEnd, End, Start, Time};
    for (text, from, until) in [
        ("start", Start, Until::Never),
        ("end", End, Until::Never),
        (":end", Start, Until::End),
        ("42", At(42), Until::Never),
        ("42:", At(42), Until::Never),
        (":42", Start, Until::At(42)),
        ("42:50", At(42), Until::At(50)),
        ("42:end", At(42), Until::End),
        ("start:end", Start, Until::End),
        ("+7", AfterStart(7), Until::Never),
        ("-7", BeforeEnd(7), Until::Never),
        ("-7:end", BeforeEnd(7), Until::End),
        ("@1644796800000", Time(VALENTINE), Until::Never),
        ("@1644796800", Time(VALENTINE), Until::Never),
        ("@2022-02-14", Time(VALENTINE), Until::Never),
        ("@2022-02-14:", Time(VALENTINE), Until::Never),
        ("@2022-02-14T01:00:00Z", Time(VALENTINE + HOUR), Until::Never),
        (
            "@2022-02-14T01:00:00Z:2022-02-14T02:00:00Z",
            Time(VALENTINE + HOUR),
            Until::Time(VALENTINE + 2 * HOUR),
        ),
        (
            "@2022-02-14T01:00:00Z:1h",
            Time(VALENTINE + HOUR),
            Until::Time(VALENTINE + 2 * HOUR),
        ),
        ("@2022-02-14:1h", Time(VALENTINE), Until::Time(VALENTINE + HOUR)),
        ("@-48h:-24h", Time(NOW - 48 * HOUR), Until::Time(NOW - 24 * HOUR)),
        ("@-1h", Time(NOW - HOUR), Until::Never),
        ("@-1h:end", Time(NOW - HOUR), Until::End),
        ("@-2h:1h", Time(NOW - 2 * HOUR), Until::Time(NOW - HOUR)),
        ("@:2022-02-14", Start, Until::Time(VALENTINE)),
        ("@:-1h", Start, Until::Time(NOW - HOUR)),
    ] {
        assert_eq!(Span::parse(text, NOW).expect(text), span(from, until), "{text}");
    }
}

#[test]
fn what_is_no_offset_is_refused_with_examples() {
    for text in [
        "",
        ":",
        "x",
        "1:x",
        "--1",
        "+",
        "-",
        "1.5",
        "@",
        "@x",
        "@:",
        "99999999999999999999",
        "5:3",
        "@2022-02-14:2022-02-13",
    ] {
        let refused = Span::parse(text, NOW);
        assert!(refused.is_err(), "{text:?} became {refused:?}");
    }
    let ahead = Span::parse("@2h", NOW).expect_err("in the future");
    assert_eq!(
        ahead.to_string(),
        "@2h: a duration without a sign says how long, not since when"
    );
}

#[test]
fn a_place_is_clamped_into_the_partition() {
    let ends = Ends { start: 100, end: 110 };
    for (position, at_time, wanted) in [
        (Position::Start, None, 100),
        (Position::End, None, 110),
        (Position::At(105), None, 105),
        (Position::At(5), None, 100),
        (Position::At(500), None, 110),
        (Position::AfterStart(3), None, 103),
        (Position::AfterStart(300), None, 110),
        (Position::BeforeEnd(3), None, 107),
        (Position::BeforeEnd(300), None, 100),
        (Position::Time(1), Some(104), 104),
        (Position::Time(1), None, 110),
    ] {
        assert_eq!(position.resolve(ends, at_time), wanted, "{position:?}");
    }
}

#[test]
fn an_end_that_is_an_offset_may_lie_in_the_future() {
    let ends = Ends { start: 0, end: 10 };
    assert_eq!(Until::At(50).resolve(ends, None), Some(50));
    assert_eq!(Until::End.resolve(ends, None), Some(10));
    assert_eq!(Until::Time(7).resolve(ends, None), Some(10));
    assert_eq!(Until::Time(7).resolve(ends, Some(3)), Some(3));
    assert_eq!(Until::Never.resolve(ends, None), None);
}

#[test]
fn a_range_is_refused_where_one_place_is_needed() {
    assert_eq!(
        parse_position("@-1h", NOW).expect("one place"),
        Position::Time(NOW - HOUR)
    );
    assert!(parse_position("1:2", NOW).is_err());
    assert!(parse_position(":end", NOW).is_err());
}
