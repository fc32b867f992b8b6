//! Which rows are timed: one of each block of as many as fit into a step, drawn at random, which then
//! stands for all of the block. So a clock is read some ten thousand times a second at most, rows
//! of a slow bolt are all timed, and no regular pattern of the input is missed (Storm's sampler
//! works alike, with a fixed rate).

use std::time::Duration;

use storm_model::Time;
use storm_topology::Clock;

use crate::emit::InputCounts;
use crate::ids::EdgeIds;

/// The next row to be timed.
#[derive(Default)]
pub(super) struct Timed {
    /// Its number.
    next: u64,
    /// Number of the last row of its block.
    end: u64,
    /// Rows of its block.
    block: u64,
}

impl Timed {
    /// Whether this row is to be timed.
    #[inline(always)]
    pub(super) fn is_due(&self, row: u64) -> bool {
        row >= self.next
    }

    /// This row was timed: draws the next one. Returns how many rows this one stands for.
    pub(super) fn plan(&mut self, row: u64, rows_per_step: usize, random: &mut EdgeIds) -> u64 {
        let stands_for = self.block.max(1);
        self.block = rows_per_step as u64;
        // A row that panicked was not timed: its block ends here.
        let start = self.end.max(row);
        self.end = start + self.block;
        self.next = start + 1 + random.below(rows_per_step) as u64;
        stands_for
    }
}

/// Times one row.
pub(super) struct Stopwatch {
    started: Time,
    acked: u64,
}

impl Stopwatch {
    /// `acked`: how many rows of the input are acked before.
    #[cold]
    pub(super) fn start(clock: &dyn Clock, acked: u64) -> Stopwatch {
        Stopwatch { started: clock.now(), acked }
    }

    /// Notes the time for so many rows; as process latency, too, if the row was acked meanwhile.
    #[cold]
    pub(super) fn stop(self, clock: &dyn Clock, clock_cost: Duration, rows: u64, input: &mut InputCounts) {
        let took = clock.now().since(self.started).saturating_sub(clock_cost);
        input.execute.record_n(took, rows);
        if input.acked > self.acked {
            input.process.record_n(took, rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_for_its_block() {
        let (mut timed, mut random) = (Timed::default(), EdgeIds::seeded(3));
        let (mut stood_for, mut rows, mut timed_rows) = (0, 0, 0);
        for limit in [1, 1, 2, 4, 8, 16, 32, 64, 100, 100, 100, 7, 1, 1] {
            // Until the row of the last plan has come.
            loop {
                rows += 1;
                if timed.is_due(rows) {
                    stood_for += timed.plan(rows, limit, &mut random);
                    timed_rows += 1;
                    break;
                }
            }
        }
        assert_eq!(timed_rows, 14);
        assert!(rows <= timed.end && stood_for + timed.block == timed.end, "{stood_for} {}", timed.end);
    }

    #[test]
    fn with_one_row_per_step_each_is_timed() {
        let (mut timed, mut random) = (Timed::default(), EdgeIds::seeded(3));
        for row in 1..100 {
            assert!(timed.is_due(row));
            assert_eq!(timed.plan(row, 1, &mut random), 1);
        }
    }
}
