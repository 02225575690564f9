//! Power loss for real: a broker process on an ext4 file system of its own, whose power is cut while it writes.
//!
//! A child process (this program again) writes to a loop-mounted file system and prints what was acknowledged; at a random moment
//! `FS_IOC_SHUTDOWN` drops everything that is not on the medium, the journal of ext4 included; after mounting again the broker must have every
//! acknowledged record. Cuts follow each other on one file system, some of them during the start after the cut before. Needs root, loop devices and
//! `mkfs.ext4`; elsewhere it says so in one line and passes. `MILLPOND_POWER_CUTS=n` makes more cuts, `MILLPOND_POWER_SEED=n` replays.
//! docs/power-loss.md has the method, what it cannot see, and figures.
//!
//! Next: `plan.rs` (what is drawn from the seed), `life.rs` (one cut), `writer.rs` (the child), `look.rs` (what must hold afterwards).

mod ledger;
mod life;
mod look;
mod plan;
mod shutdown;
mod volume;
mod writer;

use std::io::Write;

use millpond_log::clock::SystemClock;
use millpond_log::rng::SystemRng;

use ledger::Ledger;
use life::{Planted, live};
use look::{Findings, look};
use plan::{CACHE, LIVES, Life, Machine};
use volume::Volume;

/// The test that the child process runs, too.
const TEST: &str = "acknowledged_records_survive_power_cuts";

#[test]
fn acknowledged_records_survive_power_cuts() {
    if writer::ran_as_child() {
        return;
    }
    let cuts = number_from("MILLPOND_POWER_CUTS").unwrap_or(10);
    let first_seed = seed();
    tell(&format!("power: MILLPOND_POWER_SEED={first_seed}, {cuts} cuts"));
    let mut total = Total::default();
    for machine in 0.. {
        let left = cuts - total.cuts;
        if left == 0 {
            break;
        }
        let machine = Machine::of(first_seed + machine);
        let lives = left.min(u64::from(LIVES)) as u32;
        match survive(&machine, lives, &mut total) {
            Ok(()) => {}
            Err(Trouble::Unavailable(what)) => {
                return tell(&format!("power: skipped, this machine cannot cut power: {what}"));
            }
            Err(Trouble::Wrong(wrong)) => panic!(
                "{machine:?}, after {} cuts:\n{}\nreplay: MILLPOND_POWER_SEED={} cargo test -p millpond-log --test power {TEST}",
                total.cuts,
                wrong.join("\n"),
                machine.seed
            ),
        }
    }
    assert_eq!(total.cuts, cuts);
    assert!(
        total.acknowledged > 0,
        "nothing was acknowledged: nothing was tested"
    );
    tell(&format!("power: {total}"));
}

/// The planted bug must show, or the test above proves nothing.
#[test]
fn a_broker_that_skips_fsync_loses_acknowledged_records() {
    const CUTS: u32 = 5;
    if !cfg!(debug_assertions) {
        return tell("power: control skipped, bugs cannot be planted in a release build");
    }
    let machine = Machine::of(seed());
    for number in 0..CUTS {
        let (ledger, found) = match lose(&machine, number) {
            Ok(done) => done,
            Err(what) => {
                return tell(&format!(
                    "power: control skipped, this machine cannot cut power: {what}"
                ));
            }
        };
        if found.lost > 0 {
            let acknowledged = ledger.count(|topic| topic != CACHE) + ledger.count_transactional();
            return tell(&format!(
                "power: control: without fsync, cut {} lost {} of {acknowledged} acknowledged records",
                number + 1,
                found.lost
            ));
        }
    }
    panic!("{CUTS} cuts lost nothing of a broker that never syncs: the harness does not see power loss");
}

/// Why a machine's lives ended.
enum Trouble {
    Unavailable(String),
    Wrong(Vec<String>),
}

/// Some cuts on one file system, and a look after most of them. Each step has a runtime of its own: when it is gone, so is every file its broker
/// had open.
fn survive(machine: &Machine, lives: u32, total: &mut Total) -> Result<(), Trouble> {
    let clock = SystemClock::shared();
    let mut volume = run(Volume::new(&*clock)).map_err(Trouble::Unavailable)?;
    let mut ledger = Ledger::default();
    for number in 0..lives {
        let mut life = Life::of(machine, number);
        life.look |= number + 1 == lives;
        let lived = run(live(
            &volume,
            machine,
            &life,
            Planted::Nothing,
            &clock,
            &mut ledger,
        ));
        total.cuts += 1;
        lived.map_err(|wrong| Trouble::Wrong(vec![format!("{life:?}"), wrong]))?;
        run(volume.restart(&*clock));
        if !life.look {
            continue;
        }
        let found = run(look(&volume.dir(), machine, &life, &mut ledger));
        total.add(&found);
        if !found.wrong.is_empty() {
            let summary = format!(
                "{life:?}: {} acknowledged records lost, {} transactions torn",
                found.lost, found.torn
            );
            return Err(Trouble::Wrong([vec![summary], found.wrong].concat()));
        }
    }
    total.count(&ledger);
    Ok(())
}

/// One cut of a broker that does not sync. Errs if power cannot be cut here.
fn lose(machine: &Machine, number: u32) -> Result<(Ledger, Findings), String> {
    let clock = SystemClock::shared();
    let mut volume = run(Volume::new(&*clock))?;
    let (life, mut ledger) = (Life::of_control(number), Ledger::default());
    run(live(
        &volume,
        machine,
        &life,
        Planted::SkipFsync,
        &clock,
        &mut ledger,
    ))
    .expect("writes until the cut");
    run(volume.restart(&*clock));
    let acknowledged = ledger.clone();
    let found = run(look(&volume.dir(), machine, &life, &mut ledger));
    Ok((acknowledged, found))
}

/// What is told at the end.
#[derive(Default)]
struct Total {
    cuts: u64,
    looks: u64,
    acknowledged: u64,
    lost: u64,
    transactions: u64,
    torn: u64,
    late: u64,
    cache_acknowledged: u64,
    cache_lost: u64,
    replays: u64,
}

impl Total {
    fn add(&mut self, found: &Findings) {
        self.looks += 1;
        self.lost += found.lost;
        self.torn += found.torn;
        self.cache_lost += found.cache_lost;
        self.replays += u64::from(found.replayed);
    }

    fn count(&mut self, ledger: &Ledger) {
        self.acknowledged += ledger.count(|topic| topic != CACHE) + ledger.count_transactional();
        self.late += ledger.late_records;
        self.cache_lost += ledger.cache_overwritten;
        self.transactions += ledger.transactions.len() as u64;
        self.cache_acknowledged += ledger.count(|topic| topic == CACHE);
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} cuts: {} records acknowledged in fsync topics, {} lost ({} more after the cut, not judged); {} transactions answered, {} torn; page-cache topic: {} \
             acknowledged, {} of them lost, as it may; {} looks, {} of them with a journal to replay",
            self.cuts,
            self.acknowledged,
            self.lost,
            self.late,
            self.transactions,
            self.torn,
            self.cache_acknowledged + self.cache_lost,
            self.cache_lost,
            self.looks,
            self.replays
        )
    }
}

fn run<T>(step: impl Future<Output = T>) -> T {
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    built.expect("runtime").block_on(step)
}

fn number_from(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} is not a number")),
    )
}

fn seed() -> u64 {
    number_from("MILLPOND_POWER_SEED").unwrap_or_else(|| SystemRng::shared().below(1 << 32))
}

/// Straight to stderr: the test harness would swallow it.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is writable");
}
