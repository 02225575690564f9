//! The crate from outside: statements on an embedded broker, compared with plain batch queries.

mod dead_letters;
mod dependants;
mod errors;
mod failed_jobs;
mod functions;
mod gated_hosts;
mod nexmark;
mod no_groups;
mod node;
mod plans;
mod random;
mod relations;
mod script;
mod views_over_views;
mod waiting;
mod windows;
