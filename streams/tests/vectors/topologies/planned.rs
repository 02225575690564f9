//! Topologies that stand in their recordings as plans: written by hand after Kafka Streams' own tests, and drawn.

use crate::checks::{Build, Cached, Replayed, try_replay};
use crate::recording::names;

fn of_folder(prefix: &str) -> Vec<Replayed> {
    let planned = |name: String| Replayed {
        name,
        build: Build::Planned,
        cached: Cached::Settled,
    };
    let mut of_folder = names();
    of_folder.retain(|name| name.starts_with(prefix));
    of_folder.into_iter().map(planned).collect()
}

pub(super) fn all() -> Vec<Replayed> {
    let mut all = of_folder("written/");
    all.extend(of_folder("drawn/"));
    all
}

fn replay_all(prefix: &str) {
    let differences: Vec<String> = of_folder(prefix)
        .iter()
        .filter_map(|replayed| try_replay(replayed).err())
        .collect();
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn written_cases_end_as_in_kafka_streams() {
    replay_all("written/");
}

#[test]
fn drawn_topologies_do_what_they_do_in_kafka_streams() {
    replay_all("drawn/");
}
