//! What must hold whatever bytes a stranger sends, one property a file, and inputs to try it on.
//!
//! A property takes any bytes, panics if the promise is broken, and says whether the bytes were taken for sound. `fuzz_targets/` of the crate above
//! hands them to libFuzzer; `main.rs` runs them on a stable compiler with seeds and mutations drawn from a number. Always true: a property knows no
//! clock and no chance, so an input that fails fails again.
//! Where to look next: `TARGETS`, then the file of a target.

mod batch;
mod frame;
mod memory;
pub mod mutate;
mod pick;
mod requests;
mod table;
mod unpack;

use fastrand::Rng;
use millpond_log::protocol::api::SERVED;

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: the directory of its seeds and its file under `fuzz_targets/`.
    pub name: &'static str,
    /// Panics if the bytes break a promise; true if they were taken for sound.
    pub property: fn(&[u8]) -> bool,
    /// Makes up an input that is sound, or nearly.
    pub sample: fn(&mut Rng) -> Vec<u8>,
}

/// Every target.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "frame",
        property: frame::property,
        sample: frame::sample,
    },
    Target {
        name: "requests",
        property: requests::property,
        sample: requests::sample,
    },
    Target {
        name: "memory",
        property: memory::property,
        sample: memory::sample,
    },
    Target {
        name: "batch",
        property: batch::property,
        sample: batch::sample,
    },
    Target {
        name: "unpack",
        property: unpack::property,
        sample: unpack::sample,
    },
];

/// Runs one target by name, as the files under `fuzz_targets/` do.
///
/// # Panics
/// If the bytes break a promise, or there is no such target.
pub fn run(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|known| known.name == target);
    let found = found.unwrap_or_else(|| panic!("no fuzz target {target:?}"));
    (found.property)(input);
}

/// Seeds to begin with, by name: every API at its lowest and highest version for the targets that read requests, samples for the others.
pub fn first_seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let mut rng = Rng::with_seed(7);
    if target.name != "requests" {
        return (0..12)
            .map(|number| (format!("sample-{number:02}"), (target.sample)(&mut rng)))
            .collect();
    }
    let mut seeds = Vec::new();
    for api in SERVED {
        let mut versions = vec![api.min, api.max];
        versions.dedup();
        for version in versions {
            let name = format!("{:?}-{version}", api.key);
            seeds.push((name, pick::of_api(api.key, version, &mut rng)));
        }
    }
    seeds
}

/// Most bytes that were held at once while `work` ran, on this thread.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let mut done = None;
    let measured = allocation_counter::measure(|| done = Some(work()));
    let Some(done) = done else {
        unreachable!("measured work runs to its end")
    };
    (done, measured.bytes_max as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shapes_say_is_decoded_at_every_version() {
        let mut rng = Rng::with_seed(3);
        for api in SERVED {
            for version in api.min..=api.max {
                for _ in 0..10 {
                    let request = pick::of_api(api.key, version, &mut rng);
                    assert!(
                        requests::property(&request),
                        "{:?} {version}: {request:02x?}",
                        api.key
                    );
                }
            }
        }
    }

    #[test]
    fn samples_of_every_target_hold() {
        let mut rng = Rng::with_seed(4);
        for target in &TARGETS {
            let sound = (0..50)
                .filter(|_| (target.property)(&(target.sample)(&mut rng)))
                .count();
            assert!(sound >= 20, "{}: {sound} of 50 samples are sound", target.name);
        }
    }

    #[test]
    #[should_panic(expected = "are promised")]
    fn a_decoder_that_takes_too_much_is_caught() {
        // Unseen, an optimised build would do without the memory.
        let greedy = || std::hint::black_box(vec![0u8; 100_000]).len() > 1;
        memory::within(10, greedy, "a greedy decoder");
    }
}
