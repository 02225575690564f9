//! Where an application keeps its state: `{state_dir}/{application id}/{sub-topology}_{partition}`, as Kafka Streams names it.
//!
//! This file only names directories. Each task's store host creates and locks its own while open; nothing here, or anywhere in the runtime,
//! removes one.

use std::path::{Path, PathBuf};

/// The state directory of `application_id` below `state_dir`; tasks have theirs below it.
pub(crate) fn application_directory(state_dir: &Path, application_id: &str) -> PathBuf {
    state_dir.join(application_id)
}
