//! Answers to queries: bounded scans of topics and of committed state under whole DataFusion plans, and streams of changes.
//!
//! Always true: a query sees committed data only, as of its start; nothing here writes. `topic_rows.rs` scans topics,
//! `view_rows.rs` committed groups,
//! `when_running.rs` makes both wait for the view's job, `no_rows.rs` answers for a failed one, `change_stream.rs` follows a topic, `window_exec.rs` runs TUMBLE and HOP in bounded queries.

mod change_stream;
mod no_rows;
mod topic_reader;
mod topic_rows;
mod view_rows;
mod when_running;
mod window_exec;

pub use change_stream::ChangeStream;
pub use no_rows::NoRows;
pub(crate) use topic_reader::{TopicReader, committed_ranges};
pub use topic_rows::TopicRows;
pub use view_rows::ViewRows;
pub use when_running::WhenRunning;
pub use window_exec::WindowExecPlanner;
