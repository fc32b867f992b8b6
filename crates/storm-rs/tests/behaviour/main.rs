//! Behaviour of the engine as a user sees it: one file per subject. Most run on one thread and a
//! virtual clock (`Stepped`), so that a 30 s timeout takes no time and every run is repeatable.

mod kit;

mod groupings;
