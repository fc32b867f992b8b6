//! The cluster in, assignments out: who runs where, and why.
