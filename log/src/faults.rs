//! Kill points and planted bugs for the crash tests and the simulation.
