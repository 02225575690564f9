//! When stream time goes on without input: an opt-in of the sources ([`Consumed::idle_advance`](crate::dsl::Consumed::idle_advance)).
//!
//! Pure: the wall clock and what is known of the input come in. Always true: time goes on at the pace of the wall clock from where the last record left it, and only
//! while every input was read to its end; the smallest step is the timeout.

use std::time::Duration;

use millpond_log::types::Timestamp;

use crate::processor::NO_TIME;

/// The idle watch of one task.
#[derive(Debug)]
pub(crate) struct IdleWatch {
    timeout_ms: i64,
    /// Wall clock and stream time when the task was seen to be idle; `None` while it is not.
    since: Option<(Timestamp, Timestamp)>,
    due: Timestamp,
}

impl IdleWatch {
    /// A timeout below 1 ms counts as 1 ms.
    pub(crate) fn new(timeout: Duration) -> Self {
        IdleWatch {
            timeout_ms: i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1),
            since: None,
            due: Timestamp::MIN,
        }
    }

    /// The task worked, or its transaction was lost.
    pub(crate) fn worked(&mut self) {
        self.since = None;
    }

    /// Looks at the task. `heard_ms`: wall-clock time of the last answer of the log that had nothing for any input; `None` when some input is not known to be at
    /// its end. Returns the stream time to go on to; [`NO_TIME`] when there never was a record, so that only idleness itself can be told.
    pub(crate) fn look(
        &mut self,
        now_ms: Timestamp,
        heard_ms: Option<Timestamp>,
        stream_time: Timestamp,
    ) -> Option<Timestamp> {
        heard_ms?;
        let Some((wall_ms, time)) = self.since else {
            self.since = Some((now_ms, stream_time));
            self.due = now_ms.saturating_add(self.timeout_ms);
            return None;
        };
        // A log that does not answer may hold records nobody knows of.
        let is_fresh = heard_ms.is_some_and(|heard| heard.saturating_add(self.timeout_ms) >= now_ms);
        if now_ms < self.due || !is_fresh {
            return None;
        }
        self.due = now_ms.saturating_add(self.timeout_ms);
        if stream_time == NO_TIME {
            return Some(NO_TIME);
        }
        let advanced = time.saturating_add(now_ms - wall_ms);
        (advanced > stream_time).then_some(advanced)
    }

    /// When to look again, in ms of wall-clock time; `None` when not even the beginning of idleness was seen.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.since.map(|_| self.due)
    }
}

#[cfg(test)]
mod idle_test {
    use super::*;

    #[test]
    fn time_goes_on_at_the_pace_of_the_wall_clock_once_the_timeout_is_over() {
        let mut watch = IdleWatch::new(Duration::from_millis(100));
        assert_eq!(watch.look(1_000, Some(1_000), 50), None);
        assert_eq!(watch.look(1_099, Some(1_099), 50), None);
        assert_eq!(watch.look(1_100, Some(1_100), 50), Some(150));
        assert_eq!(watch.due(), Some(1_200));
        assert_eq!(watch.look(1_150, Some(1_150), 150), None);
        assert_eq!(watch.look(1_230, Some(1_200), 150), Some(280));
    }

    #[test]
    fn input_begins_the_timeout_anew_and_a_silent_log_is_not_an_idle_one() {
        let mut watch = IdleWatch::new(Duration::from_millis(100));
        assert_eq!(watch.look(0, Some(0), 50), None);
        watch.worked();
        assert_eq!(watch.due(), None);
        assert_eq!(watch.look(100, Some(100), 60), None);
        assert_eq!(watch.look(200, None, 60), None, "an input is not at its end");
        assert_eq!(watch.look(300, Some(300), 60), Some(260));
        assert_eq!(
            watch.look(450, Some(300), 260),
            None,
            "nothing was heard for too long"
        );
        assert_eq!(watch.look(460, Some(455), 260), Some(420));
    }

    #[test]
    fn without_a_record_there_is_no_time_to_go_on_from() {
        let mut watch = IdleWatch::new(Duration::from_millis(10));
        let found = [0, 9, 10].map(|now| watch.look(now, Some(now), NO_TIME));
        assert_eq!(found, [None, None, Some(NO_TIME)]);
    }
}
