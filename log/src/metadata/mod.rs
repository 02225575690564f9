//! Cluster metadata: a state machine applied from its own log.
