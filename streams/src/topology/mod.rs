//! Topologies: nodes, sub-topologies, internal topics, description.
