//! One life of a machine: a child process writes to the volume, the power is cut, the child is killed.
//!
//! Always: the child is dead when this returns, and every line it got out before the cut is in the ledger. What it says after the cut is not held
//! against it: an fsync under way when ext4 is shut down may answer that all is well (docs/power-loss.md), and on a machine without power nobody
//! would have heard it. So most children are killed first; some go on, on a dead disk.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use millpond_log::clock::Clock;
use millpond_log::rng::SeededRng;

use crate::ledger::Ledger;
use crate::plan::{Cut, Life, Machine};
use crate::volume::Volume;
use crate::writer::{CHILD_DIR, CHILD_LIFE, CHILD_SEED, CONTROL_LIFE};

/// A child that is not writing by then is stuck.
const START_MAX: Duration = Duration::from_secs(60);

/// What is planted in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// The flusher says durable without having synced.
    SkipFsync,
}

/// Kills and waits, whatever happens to the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Dead already is as good.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What the reader of the pipe brings home.
struct Heard {
    /// And whether it was heard after the cut.
    lines: Vec<(String, bool)>,
    /// Said before the power was cut, when there was no reason to stop.
    stopped_early: Vec<String>,
}

/// Lives one life on a mounted volume. Errs with what should not have been.
pub(crate) async fn live(
    volume: &Volume,
    machine: &Machine,
    life: &Life,
    planted: Planted,
    clock: &Arc<dyn Clock>,
    ledger: &mut Ledger,
) -> Result<(), String> {
    let number = match planted {
        Planted::Nothing => life.number.to_string(),
        Planted::SkipFsync => CONTROL_LIFE.to_owned(),
    };
    let sabotage = match planted {
        Planted::Nothing => "",
        Planted::SkipFsync => "skip-fsync",
    };
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([crate::TEST, "--exact", "--nocapture"])
        .env(CHILD_DIR, volume.dir())
        .env(CHILD_SEED, machine.seed.to_string())
        .env(CHILD_LIFE, number)
        .env("MILLPOND_SABOTAGE", sabotage)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("child started");
    let mut child = Running(child);
    let pipe = child.0.stdout.take().expect("its output is a pipe");
    let is_cut = Arc::new(AtomicBool::new(false));
    let (tell_ready, ready) = oneshot::channel();
    let reader = {
        let is_cut = is_cut.clone();
        std::thread::Builder::new()
            .name("acknowledgements".to_owned())
            .spawn(move || listen(pipe, &is_cut, tell_ready))
            .expect("thread started")
    };

    let wait = match life.cut {
        Cut::AfterStart(wait) => wait,
        Cut::AfterFirstWrites(wait) => {
            // An error means that the child ended first; its lines say why.
            if let Either::Right(_) = select(ready, clock.sleep(START_MAX)).await {
                return Err(format!("the child writes nothing for {START_MAX:?}"));
            }
            wait
        }
    };
    let until = clock.monotonic() + wait;
    let rng = SeededRng::new(machine.seed + u64::from(life.number));
    while life.write_back && clock.monotonic() < until {
        volume.write_back_some(&rng);
        clock.sleep(Duration::from_millis(5)).await;
    }
    clock.sleep(until.saturating_sub(clock.monotonic())).await;

    match life.kill_after {
        None => {
            // Once it is sent, no thread gets back out of the kernel to say anything.
            child.0.kill().expect("child is killed");
            is_cut.store(true, Ordering::SeqCst);
            volume.cut_power().expect("power is cut");
        }
        Some(later) => {
            is_cut.store(true, Ordering::SeqCst);
            volume.cut_power().expect("power is cut");
            clock.sleep(later).await;
        }
    }
    drop(child);

    let heard = reader.join().expect("reader of the pipe");
    for (line, after_cut) in &heard.lines {
        // Of a child that was killed before the cut, everything counts.
        if *after_cut && life.kill_after.is_some() {
            ledger.add_late(life.writer(), line);
        } else {
            ledger.add(life.writer(), line)?;
        }
    }
    match heard.stopped_early.first() {
        None => Ok(()),
        Some(line) => Err(format!("the child stopped before the cut: {line}")),
    }
}

fn listen(pipe: ChildStdout, is_cut: &AtomicBool, tell_ready: oneshot::Sender<()>) -> Heard {
    let mut heard = Heard {
        lines: Vec::new(),
        stopped_early: Vec::new(),
    };
    let mut tell_ready = Some(tell_ready);
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = String::new();
        let read = pipe.read_line(&mut line).expect("pipe is readable");
        // The end; a line without its own end was cut short by the kill.
        if read == 0 || line.pop() != Some('\n') {
            return heard;
        }
        if line == "@ready"
            && let Some(tell) = tell_ready.take()
        {
            // Nobody listens if the cut does not wait for it.
            tell.send(()).ok();
        }
        let after_cut = is_cut.load(Ordering::SeqCst);
        if line.starts_with("@stopped") && !after_cut {
            heard.stopped_early.push(line.clone());
        }
        heard.lines.push((line, after_cut));
    }
}
