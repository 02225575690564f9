//! A job of many stateful operators on RocksDB, in processes of its own, with everything going wrong that may: SIGKILL of the job and of the broker, at random moments and
//! at named points, commits whose answer is lost, a broker slower than anybody waits, a frozen instance that wakes up after another took over, a full disk. After each
//! its outputs and its state are what a batch computation makes of the input, its databases are those it was born with, and it replayed no more than its stores may lag.
//!
//! `cargo test -p millpond-streams --test crash`. `MILLPOND_CRASH_KILLS=200` kills more often, `MILLPOND_CRASH_SEED=n` replays what was drawn. `make soak` runs
//! half an hour of it under load (`soak/`).
//!
//! The program is its own child: with `--child` it is a broker, a job, or both, and ends when its stdin does (`child.rs`). Hence a `main` of its own, which takes filters as
//! every test program does. Begin with `embedded.rs` and `remote.rs`.

mod child;
#[path = "../it/remote/cut_proxy.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests; not all of it is used here"
)]
mod cut_proxy;
mod embedded;
mod full_disk;
#[path = "../it/hooked_log.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests; not all of it is used here"
)]
mod hooked_log;
#[path = "../job/mod.rs"]
mod job;
mod lost_commits;
mod process;
mod remote;
mod settings;
mod soak;
#[path = "../sim/unreliable.rs"]
mod unreliable;
mod verdict;
mod zombie;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// As in the `millpond` binary: the soak measures memory.
#[cfg(not(windows))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A test: its name and what it does.
type Case = (&'static str, fn());

const CASES: [Case; 10] = [
    (
        "embedded::sigkill_at_random_moments_and_named_points_changes_nothing",
        embedded::sigkill_changes_nothing,
    ),
    (
        "full_disk::a_full_state_disk_stops_the_job_by_name_and_more_room_lets_it_go_on",
        full_disk::a_full_state_disk,
    ),
    (
        "lost_commits::answers_to_commits_that_get_lost_change_nothing",
        lost_commits::lost_answers,
    ),
    (
        "remote::a_broker_killed_under_a_job_changes_nothing",
        remote::killed_brokers,
    ),
    (
        "remote::a_job_killed_beside_its_broker_changes_nothing",
        remote::killed_jobs,
    ),
    (
        "remote::a_broker_slower_than_requests_wait_changes_nothing",
        remote::slow_broker,
    ),
    (
        "remote::a_broker_that_stalls_for_longer_than_a_transaction_may_be_open_changes_nothing",
        remote::stalled_broker,
    ),
    (
        "verdict::the_checks_see_records_that_are_lost_doubled_or_changed",
        verdict::checks_see,
    ),
    (
        "zombie::an_instance_that_wakes_up_after_another_took_over_is_fenced_and_changes_nothing",
        zombie::woken_instance,
    ),
    (
        "zombie::an_instance_that_takes_its_id_back_is_caught",
        zombie::unfenced_instance,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("--child") => child::run(&args[1..]),
        Some("--soak") => soak::run(),
        _ => run_cases(&args),
    }
}

/// As the standard harness does: filters, `--exact` and `--list` are heeded; a panic fails a test and not the others.
fn run_cases(args: &[String]) -> ExitCode {
    let exact = args.iter().any(|arg| arg == "--exact");
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        let fits = |filter: &&&String| {
            if exact {
                name == filter.as_str()
            } else {
                name.contains(filter.as_str())
            }
        };
        filters.is_empty() || filters.iter().any(|filter| fits(&filter))
    };
    let chosen: Vec<&Case> = CASES.iter().filter(|(name, _)| wanted(name)).collect();
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = Vec::new();
    for (name, case) in &chosen {
        let outcome = catch_unwind(case);
        println!(
            "test {name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    println!(
        "\ntest result: {} passed; {} failed {failed:?}",
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
