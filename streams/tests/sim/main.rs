//! Log, coordinators and one streams application on a simulated disk and clock: crashes at random moments and at kill points, lost and late
//! answers, restarts. In the end every output must equal f(input), state its changelog, every derived file its log, and nothing acknowledged
//! may be missing.
//!
//! A failing seed is printed; `MILLPOND_SIM_SEED=17 cargo test -p millpond-streams --test sim` replays it, `MILLPOND_SIM_SEEDS=500` runs more.
//! Begin with `world.rs` (lives and crashes), then `oracle.rs` (what is checked). Planted bugs prove that the checks see something: `planted.rs`.

mod feeder;
#[path = "../it/hooked_log.rs"]
mod hooked_log;
#[path = "../job/mod.rs"]
#[allow(dead_code, reason = "shared with the crash tests; not all of it is used here")]
mod job;
mod operators;
mod oracle;
mod planted;
mod seeds;
mod stalls;
#[path = "../it/support.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests; not all of it is used here"
)]
mod support;
mod unreliable;
mod world;
