//! What commands that move records say on the way and at the end: count, bytes, rate, seconds. On stderr, and only while somebody watches.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::document::size;

/// Records and bytes that went through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Moved {
    /// Counts a record.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes as u64;
    }

    /// `3 records, 42 B in 0.1 s (30 records/s)`.
    fn line(self, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        let rate = self.records as f64 / seconds.max(0.001);
        let records = if self.records == 1 { "record" } else { "records" };
        format!(
            "{} {records}, {} in {seconds:.1} s ({rate:.0} records/s)",
            self.records,
            size(bytes)
        )
    }

    /// Says the line to a terminal.
    pub(crate) fn say(self, took: Duration) {
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            // Nobody is left to tell when the terminal is gone.
            let _unheard = writeln!(stderr, "\r\x1b[K{}", self.line(took));
        }
    }
}

/// The same line while it goes on, once a second.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    started: Duration,
    last: Duration,
}

impl Progress {
    /// Begins at `now`; draws only if `wanted` and stderr is a terminal.
    pub(crate) fn start(wanted: bool, now: Duration) -> Progress {
        Progress {
            shown: wanted && std::io::stderr().is_terminal(),
            started: now,
            last: now,
        }
    }

    /// Draws the line anew if it is time.
    pub(crate) fn tick(&mut self, moved: Moved, now: Duration) {
        if self.shown && now.saturating_sub(self.last) >= Duration::from_secs(1) {
            self.last = now;
            // Nobody is left to tell when the terminal is gone.
            let _unheard = write!(
                std::io::stderr(),
                "\r\x1b[K{}",
                moved.line(now.saturating_sub(self.started))
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_count_bytes_rate_and_seconds() {
        let mut moved = Moved::default();
        moved.add(1000);
        moved.add(1048);
        assert_eq!(
            moved.line(Duration::from_millis(500)),
            "2 records, 2.0 KiB in 0.5 s (4 records/s)"
        );
    }
}
