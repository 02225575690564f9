//! Tests of which windows hold a time.

use super::*;

fn spec(slide_micros: i64, size_micros: i64, kind: WindowKind) -> WindowSpec {
    WindowSpec {
        size_micros,
        slide_micros,
        kind,
    }
}

/// Every window that could hold the time, tried one by one.
fn by_trial(spec: WindowSpec, time: i64) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for start in time - 2 * spec.size_micros..=time {
        let lengths = match spec.kind {
            WindowKind::Sliding if start.rem_euclid(spec.slide_micros) == 0 => vec![spec.size_micros],
            WindowKind::Growing if start.rem_euclid(spec.size_micros) == 0 => (1..=spec.size_micros
                / spec.slide_micros)
                .map(|n| n * spec.slide_micros)
                .collect(),
            _ => Vec::new(),
        };
        found.extend(lengths.into_iter().map(|length| (start, start + length)));
    }
    found.retain(|(start, end)| (*start..*end).contains(&time));
    found.sort_unstable();
    found
}

#[test]
fn a_time_is_in_the_windows_that_begin_at_or_before_it_and_end_after_it() {
    let specs = [
        spec(10, 10, WindowKind::Sliding),
        spec(3, 10, WindowKind::Sliding),
        spec(5, 10, WindowKind::Sliding),
        spec(5, 20, WindowKind::Growing),
        spec(10, 10, WindowKind::Growing),
        spec(1, 4, WindowKind::Growing),
    ];
    for spec in specs {
        for time in -45..45 {
            let mut windows: Vec<_> = spec.windows_of(time).collect();
            windows.sort_unstable();
            assert_eq!(windows, by_trial(spec, time), "{spec} at {time}");
            assert!(windows.len() as i64 <= spec.windows_per_row());
        }
    }
}
