//! What every store host must do; run against each of them.
