//! Writes down what clients ask and are told, in the order in which it happened here.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use millpond_checker::{Checker, Event, Function, Kind, Report};
use tokio::sync::watch;

/// One history, filled by many threads.
#[derive(Debug)]
pub(crate) struct Recorder {
    began: Instant,
    events: Mutex<Vec<Event>>,
    acknowledged: watch::Sender<u64>,
}

impl Recorder {
    #[allow(clippy::disallowed_methods, reason = "stamps a history; decides nothing")]
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            events: Mutex::new(Vec::new()),
            acknowledged: watch::Sender::new(0),
        }
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().expect("no recorder panicked")
    }

    /// Writes `fill`ed lines; the stamp is taken under the lock, so that lines stand in the order of their stamps.
    pub(crate) fn record(&self, process: u32, kind: Kind, f: Function, fill: impl FnOnce(&mut Event)) {
        let mut event = Event::new(process, 0, kind, f);
        fill(&mut event);
        if kind == Kind::Ok {
            let count = event.sends.len() as u64;
            self.acknowledged
                .send_modify(|acknowledged| *acknowledged += count);
        }
        let mut events = self.events();
        event.time = u64::try_from(self.began.elapsed().as_micros()).expect("a test ends before the sun");
        events.push(event);
    }

    /// Writes the answer of an operation that `work` carries out, and that cannot fail as a whole.
    pub(crate) fn record_with(&self, process: u32, f: Function, work: impl FnOnce(&mut Event)) {
        let mut done = Event::new(process, 0, Kind::Ok, f);
        work(&mut done);
        self.record(process, Kind::Ok, f, |event| *event = done);
    }

    /// Resolves when so many values have been acknowledged.
    pub(crate) async fn acknowledged(&self, count: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        acknowledged
            .wait_for(|now| *now >= count)
            .await
            .expect("the sender is our own");
    }

    /// The verdict; if it is a bad one, the history is left in `folder`.
    pub(crate) fn judge(&self, folder: &Path) -> Report {
        let events = self.events();
        let mut checker = Checker::new();
        for event in events.iter() {
            checker.event(event);
        }
        let report = checker.finish();
        if !report.is_clean() {
            let lines: Vec<String> = events
                .iter()
                .map(|event| serde_json::to_string(event).expect("plain data"))
                .collect();
            std::fs::write(folder.join("history.jsonl"), lines.join("\n")).expect("scratch is writable");
        }
        report
    }
}
