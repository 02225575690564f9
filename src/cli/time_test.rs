//! Times as typed and as printed.

use super::*;

const VALENTINE: i64 = 1_644_796_800_000;

#[test]
fn every_way_to_write_a_point_is_read() {
    for (text, wanted) in [
        ("1644796800000", Point::At(VALENTINE)),
        ("1644796800", Point::At(VALENTINE)),
        ("999999999", Point::At(999_999_999_000)),
        ("2022-02-14", Point::At(VALENTINE)),
        ("2022-02-14T00:00:00Z", Point::At(VALENTINE)),
        ("2022-02-14T00:00Z", Point::At(VALENTINE)),
        ("2022-02-14T01:30:00.25+01:30", Point::At(VALENTINE + 250)),
        ("2022-02-13T19:00:00-05:00", Point::At(VALENTINE)),
        ("-48h", Point::FromNow(-48 * 3_600_000)),
        ("-1h30m", Point::FromNow(-5_400_000)),
        ("+5s", Point::FromNow(5_000)),
        ("7d", Point::Length(7 * 86_400_000)),
        ("1m3ms", Point::Length(60_003)),
    ] {
        assert_eq!(point(text), Some(wanted), "{text}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "-",
        "12",
        "12345678901",
        "2022-02-30",
        "2022-13-01",
        "2022-02-14T24:00:00Z",
        "2022-02-14T1:00",
        "1hour",
        "h",
        "1.5h",
        "yesterday",
        "2022-02-14T00:00:00.Z",
        "2022-02-14T00:00:00+1",
        "99999999999999999999h",
        "é",
    ] {
        assert_eq!(point(text), None, "{text:?}");
    }
}

#[test]
fn a_printed_time_is_read_as_the_same_time() {
    for ms in [
        0,
        VALENTINE,
        -1,
        951_782_400_000,
        4_107_542_399_999,
        -62_135_596_800_000,
    ] {
        assert_eq!(point(&rfc3339(ms)), Some(Point::At(ms)), "{}", rfc3339(ms));
    }
}

#[test]
fn strftime_knows_the_letters_people_use() {
    assert_eq!(
        strftime(
            "%a %d %b %Y %T.%L %z, day %j, %I %p, %s %% %Q",
            VALENTINE + 49_530_007
        ),
        "Mon 14 Feb 2022 13:45:30.007 +0000, day 045, 01 PM, 1644846330 % %Q"
    );
}

#[test]
fn durations_of_kafkas_tools_are_read() {
    for (text, expected) in [
        ("PT90M", Some(5_400_000)),
        ("P1DT2H3M4.5S", Some(93_784_500)),
        ("P2D", Some(172_800_000)),
        ("P", None),
        ("PT", None),
        ("90M", None),
        ("PT1M1H", None),
        ("P1H", None),
        ("PTxM", None),
    ] {
        assert_eq!(iso_duration_ms(text), expected, "{text}");
    }
}
