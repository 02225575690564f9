//! The broker as its clients see it: the binary is started, driven through librdkafka, and killed.
//!
//! Always true: nothing here waits for time to pass; a step is taken when something has been seen (an acknowledgement, an end of a partition),
//! and a bound on empty polls turns a hang into a failure.

mod broker;
mod crash;
mod recorder;
