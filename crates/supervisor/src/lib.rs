//! The slots of one machine: starts workers, watches them, starts them again.
