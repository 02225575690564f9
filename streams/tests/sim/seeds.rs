//! The seeds: no violation in any of them, and the same seed twice gives the same bytes.

use super::world::{Job, simulate};

/// The seeds to run: one, or a number of them, from the environment.
fn seeds(unless_told: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    match (number("MILLPOND_SIM_SEED"), number("MILLPOND_SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(unless_told),
    }
}

#[test]
fn outputs_equal_the_function_of_the_input_whatever_crashes() {
    run(Job::Counts, 200, "outputs_equal");
}

#[test]
fn many_operators_equal_a_batch_computation_whatever_crashes() {
    run(Job::Operators, 12, "many_operators");
}

fn run(job: Job, unless_told: u64, test: &str) {
    let (mut restored, mut recoveries, mut written, mut lives) = (0, 0, 0, 0);
    for seed in seeds(unless_told) {
        match simulate(job, seed, None) {
            Ok(report) => {
                println!("seed {seed}: {report:?}");
                restored += report.restored_records;
                recoveries += report.recoveries;
                written += report.written;
                lives += report.deaths.len() + 1;
            }
            Err(violation) => panic!(
                "seed {seed}: {violation}\nreplay: MILLPOND_SIM_SEED={seed} cargo test -p millpond-streams --test sim {test} -- --nocapture"
            ),
        }
    }
    println!(
        "{lives} lives, {written} records, {recoveries} unknown commits resolved, {restored} changelog records replayed"
    );
    assert!(written > 0 && lives > 1, "nothing was simulated");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for (job, seed) in [1, 2, 3, 5, 8]
        .map(|seed| (Job::Counts, seed))
        .into_iter()
        .chain([(Job::Operators, 1)])
    {
        let once = simulate(job, seed, None).expect("no violation");
        let twice = simulate(job, seed, None).expect("no violation");
        assert_eq!(once, twice, "{job:?}, seed {seed}");
    }
}
