//! `TopologyTestDriver`.
