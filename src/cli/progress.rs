//! Progress of work that takes more than a second: a bar on stderr while somebody watches, then one line with the sums.
//!
//! What is always true: without a terminal on stderr nothing is drawn. This is the one place of the command line
//! that reads a clock, and it only measures.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Measures wall time of a command or of a part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[allow(
        clippy::disallowed_methods,
        reason = "measures what the user waits for; decides nothing"
    )]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch {
            started: Instant::now(),
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A bar that counts items up to a known total.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts a bar named `what` at `done` of `total` items.
    pub(crate) fn start(what: &'static str, done: u64, total: u64) -> Progress {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(
            "{msg:>12} {wide_bar} {human_pos}/{human_len} {per_sec:>14} {eta:>4}",
        )
        .expect("the template is a constant");
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_style(style)
            .with_message(what);
        bar.set_position(done);
        bar.reset_eta();
        Progress { bar }
    }

    /// Moves the bar to `done` items.
    pub(crate) fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// There is more to do, or less, than was said.
    pub(crate) fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Removes the bar; the caller reports the sums.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_by_three() {
        let texts: Vec<String> = [0, 999, 1_000, 27_004, 1_234_567]
            .into_iter()
            .map(grouped)
            .collect();
        assert_eq!(texts, ["0", "999", "1,000", "27,004", "1,234,567"]);
    }
}
