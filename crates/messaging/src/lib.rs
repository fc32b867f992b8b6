//! Frames over TCP between the workers of a topology.
