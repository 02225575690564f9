//! The topologies of the catalogue in our DSL, one file a theme as in the recorder; a test each, named as its recording.

#![allow(
    clippy::ptr_arg,
    reason = "joiners are given references to what tables and streams hold"
)]

use std::collections::BTreeSet;

use crate::checks::Replayed;
use crate::recording::names;

mod aggregates;
mod cogrouped;
mod foreign_key_joins;
mod operator_times;
mod planned;
mod processors;
mod session_windowed;
mod sliding_windowed;
mod stateless;
mod stream_global_joins;
mod stream_joins;
mod stream_table_joins;
mod suppressed_tables;
mod table_aggregates;
mod table_joins;
mod tables;
mod time_windowed;
mod values;
mod versioned_tables;
mod with_headers;

/// Tests that replay recordings, and the list of them: `name: topology, Cached::…;` replays `recorded/name.jsonl` (with `-` for `_`).
macro_rules! replays {
    ($($name:ident: $build:expr, $cached:expr;)*) => {
        pub(super) fn all() -> Vec<crate::checks::Replayed> {
            vec![$(crate::checks::Replayed { name: stringify!($name).replace('_', "-"), build: crate::checks::Build::Here($build), cached: $cached }),*]
        }

        $(
            #[test]
            fn $name() {
                let name = stringify!($name).replace('_', "-");
                crate::checks::replay(&crate::checks::Replayed { name, build: crate::checks::Build::Here($build), cached: $cached });
            }
        )*
    };
}
use replays;

/// All of them, in the order of files.
pub(crate) fn all() -> Vec<Replayed> {
    [
        aggregates::all(),
        cogrouped::all(),
        foreign_key_joins::all(),
        operator_times::all(),
        planned::all(),
        processors::all(),
        session_windowed::all(),
        sliding_windowed::all(),
        stateless::all(),
        stream_global_joins::all(),
        stream_joins::all(),
        stream_table_joins::all(),
        suppressed_tables::all(),
        table_aggregates::all(),
        table_joins::all(),
        tables::all(),
        time_windowed::all(),
        versioned_tables::all(),
        with_headers::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_recording_is_replayed() {
    let replayed: BTreeSet<String> = all().into_iter().map(|replayed| replayed.name).collect();
    assert_eq!(replayed, names());
}
