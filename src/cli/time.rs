//! Points in time and durations as people write them on a command line, and times as text again.
//!
//! Pure: "now" is handed in. All times are milliseconds since 1970 in UTC; the calendar is the proleptic Gregorian one.
//! Where to look next: `offsets.rs`, which is where times are typed, and `template.rs`, where they are printed.

use std::fmt::Write;

/// A point in time as typed, before "now" is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Milliseconds since 1970.
    At(i64),
    /// Milliseconds from now; negative is the past.
    FromNow(i64),
    /// A length without a sign: from the start of a range, if there is one.
    Length(i64),
}

/// Reads 13 digits (ms), 9 or 10 digits (s), a date, RFC 3339, or a duration (`-1h30m`, `15s`).
pub(crate) fn point(text: &str) -> Option<Point> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.len() {
            13 => text.parse().ok().map(Point::At),
            9 | 10 => text.parse::<i64>().ok().map(|seconds| Point::At(seconds * 1000)),
            _ => None,
        };
    }
    if let Some(past) = text.strip_prefix('-') {
        return duration_ms(past).map(|ms| Point::FromNow(-ms));
    }
    if let Some(future) = text.strip_prefix('+') {
        return duration_ms(future).map(Point::FromNow);
    }
    rfc3339_ms(text)
        .map(Point::At)
        .or_else(|| duration_ms(text).map(Point::Length))
}

/// Reads `250ms`, `10s`, `5m`, `1h30m`, `7d`, `2w`.
pub(crate) fn duration_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    (!text.is_empty()).then_some(total)
}

/// Reads a duration as ISO 8601 has it, and Kafka's tools: `P1DT2H3M4.5S`, `PT90M`.
pub(crate) fn iso_duration_ms(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['P', 'p'])?;
    let (days, clock) = text.split_once(['T', 't']).unwrap_or((text, ""));
    let mut total: i64 = 0;
    for (part, units) in [(days, &[('D', 86_400_000.0)][..]), (clock, &CLOCK_UNITS[..])] {
        let mut rest = part;
        let mut units = units.iter();
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
            let number: f64 = rest[..digits].parse().ok()?;
            let unit = rest[digits..].chars().next()?.to_ascii_uppercase();
            // Units come in their order, each once.
            let (_, ms) = units.find(|(name, _)| *name == unit)?;
            total = total.checked_add((number * ms).round() as i64)?;
            rest = &rest[digits + 1..];
        }
    }
    (!days.is_empty() || !clock.is_empty()).then_some(total)
}

const CLOCK_UNITS: [(char, f64); 3] = [('H', 3_600_000.0), ('M', 60_000.0), ('S', 1_000.0)];

/// Reads `2022-02-14`, `2022-02-14T10:00:00Z`, with fractions of a second and with an offset (`+01:00`). No zone is UTC.
fn rfc3339_ms(text: &str) -> Option<i64> {
    let year: i64 = digits(text, 0, 4)?;
    let month: i64 = digits(text, 5, 2).filter(|month| (1..=12).contains(month))?;
    let day: i64 = digits(text, 8, 2).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * 86_400_000;
    let Some(rest) = text.get(10..).filter(|rest| !rest.is_empty()) else {
        return Some(midnight);
    };
    if !rest.starts_with(['T', 't', ' ']) || rest.as_bytes().get(3) != Some(&b':') {
        return None;
    }
    let hour = digits(rest, 1, 2).filter(|hour| *hour < 24)?;
    let minute = digits(rest, 4, 2).filter(|minute| *minute < 60)?;
    let mut at = 6;
    let mut second = 0;
    let mut fraction_ms = 0;
    if rest.as_bytes().get(6) == Some(&b':') {
        second = digits(rest, 7, 2).filter(|second| *second < 60)?;
        at = 9;
        if let Some(fraction) = rest.get(9..).and_then(|rest| rest.strip_prefix('.')) {
            let length = fraction.len() - fraction.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let padded = format!(
                "{:0<3}",
                fraction.get(..length).filter(|digits| !digits.is_empty())?
            );
            fraction_ms = padded.get(..3)?.parse().ok()?;
            at += 1 + length;
        }
    }
    let zone = rest.get(at..)?;
    let zone_minutes = match zone.as_bytes() {
        [] | [b'Z'] | [b'z'] => 0,
        [sign @ (b'+' | b'-'), ..] if zone.len() == 6 && zone.as_bytes()[3] == b':' => {
            let minutes = digits(zone, 1, 2)? * 60 + digits(zone, 4, 2)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(midnight + ((hour * 60 + minute - zone_minutes) * 60 + second) * 1000 + fraction_ms)
}

fn digits(text: &str, at: usize, count: usize) -> Option<i64> {
    let digits = text.get(at..at + count)?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// `1644796800000` as `2022-02-14T00:00:00.000Z`.
pub(crate) fn rfc3339(ms: i64) -> String {
    strftime("%Y-%m-%dT%H:%M:%S.%LZ", ms)
}

/// Formats a time by the usual letters of strftime, in UTC; a letter it does not know stays as it is.
pub(crate) fn strftime(pattern: &str, ms: i64) -> String {
    let days = ms.div_euclid(86_400_000);
    let of_day = ms.rem_euclid(86_400_000);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second, milli) = (
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000,
    );
    let weekday = (days + 4).rem_euclid(7) as usize;
    let year_day = days - days_from_civil(year, 1, 1) + 1;
    let mut out = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let written = match letters.next() {
            Some('Y') => write!(out, "{year:04}"),
            Some('y') => write!(out, "{:02}", year.rem_euclid(100)),
            Some('m') => write!(out, "{month:02}"),
            Some('d') => write!(out, "{day:02}"),
            Some('e') => write!(out, "{day:2}"),
            Some('H') => write!(out, "{hour:02}"),
            Some('I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            Some('M') => write!(out, "{minute:02}"),
            Some('S') => write!(out, "{second:02}"),
            Some('L') => write!(out, "{milli:03}"),
            Some('f') => write!(out, "{milli:03}000"),
            Some('F') => write!(out, "{year:04}-{month:02}-{day:02}"),
            Some('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Some('R') => write!(out, "{hour:02}:{minute:02}"),
            Some('j') => write!(out, "{year_day:03}"),
            Some('s') => write!(out, "{}", ms.div_euclid(1000)),
            Some('z') => write!(out, "+0000"),
            Some('Z') => write!(out, "UTC"),
            Some('a') => write!(out, "{}", &WEEKDAYS[weekday][..3]),
            Some('A') => write!(out, "{}", WEEKDAYS[weekday]),
            Some('b') => write!(out, "{}", &MONTHS[month as usize - 1][..3]),
            Some('B') => write!(out, "{}", MONTHS[month as usize - 1]),
            Some('n') => writeln!(out),
            Some('t') => write!(out, "\t"),
            Some('%') => write!(out, "%"),
            Some(other) => write!(out, "%{other}"),
            None => write!(out, "%"),
        };
        written.expect("a string takes every write");
    }
    out
}

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01; years begin in March here, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
#[path = "time_test.rs"]
mod time_test;
