//! The processor API and the operators.
