//! How fast an executor takes its input: what its inbox may hold, and how often it looks at the
//! clock. Pure.

use std::time::Duration;

/// Time that a step should take: long enough for a clock reading not to matter, short enough for
/// acks and control not to wait.
const STEP: Duration = Duration::from_micros(100);
/// Most rows per step: a bolt that turns slow notices after so many.
const MAX_ROWS_PER_STEP: usize = 128;
/// Busy time over which the rate is averaged.
const HORIZON: Duration = Duration::from_millis(500);
/// Busy time over which a sudden slowness shows.
const SHORT_HORIZON: Duration = Duration::from_millis(50);
/// Rows before the window opens at all: what holds up an executor shows within the first few.
const PROBATION: usize = 8;
/// Never a larger window: bytes bound it from there on.
const MAX_WINDOW: i64 = 1 << 20;

/// Measures the rate of one executor.
///
/// Busy time is all time in which there was input, also the time spent waiting for credit
/// downstream: an executor held up by the next one is as slow as that.
#[derive(Debug)]
pub struct Pace {
    /// What may wait in the inbox, in time: min(1 s, T/30), so that waiting in a queue never times
    /// a tuple out.
    span: Duration,
    long: Average,
    short: Average,
    rows_per_step: usize,
    window: i64,
    /// Rows taken since the window grew last.
    since_growth: usize,
}

#[derive(Debug, Default)]
struct Average {
    rows: f64,
    secs: f64,
}

impl Average {
    fn add(&mut self, rows: usize, busy: Duration, horizon: Duration) {
        self.rows += rows as f64;
        self.secs += busy.as_secs_f64();
        while self.secs > horizon.as_secs_f64() {
            // Forget by halves; the ratio stays.
            self.rows /= 2.0;
            self.secs /= 2.0;
        }
    }

    fn rows_in(&self, span: Duration) -> f64 {
        if self.secs > 0.0 { self.rows / self.secs * span.as_secs_f64() } else { 0.0 }
    }
}

impl Pace {
    /// For a topology with this message timeout.
    pub fn new(message_timeout: Duration) -> Pace {
        Pace {
            span: (message_timeout / 30).min(Duration::from_secs(1)),
            long: Average::default(),
            short: Average::default(),
            rows_per_step: 1,
            window: 1,
            since_growth: 0,
        }
    }

    /// Notes that the executor took `rows` rows during `busy`.
    pub fn observe(&mut self, rows: usize, busy: Duration) {
        if rows == 0 && busy.is_zero() {
            return;
        }
        self.long.add(rows, busy, HORIZON);
        self.short.add(rows, busy, SHORT_HORIZON);
        if rows > 0 {
            let per_row = busy.as_secs_f64() / rows as f64;
            let wanted = if per_row > 0.0 { (STEP.as_secs_f64() / per_row) as usize } else { usize::MAX };
            self.rows_per_step = wanted.clamp(1, (self.rows_per_step * 2).min(MAX_ROWS_PER_STEP));
        }
        self.since_growth += rows;
        let affordable = self.long.rows_in(self.span).min(self.short.rows_in(self.span)) as i64;
        if affordable < self.window {
            self.window = affordable.max(1);
            self.since_growth = 0;
        } else if affordable > self.window && self.since_growth >= PROBATION.max(self.window as usize) {
            // It doubles at most, each time it was used up: the first rows of a bolt that is held
            // up later are fast.
            self.window = affordable.min(self.window * 2).min(MAX_WINDOW);
            self.since_growth = 0;
        }
    }

    /// Notes that rows waited while the executor could not take any.
    pub fn wait(&mut self, waited: Duration) {
        self.long.add(0, waited, HORIZON);
        self.short.add(0, waited, SHORT_HORIZON);
    }

    /// Rows to take before the clock is read again.
    pub fn rows_per_step(&self) -> usize {
        self.rows_per_step
    }

    /// Rows that the inbox may hold.
    pub fn window(&self) -> i64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(30);

    #[test]
    fn a_slow_bolt_gets_what_it_can_do_in_a_second() {
        let mut pace = Pace::new(T);
        for _ in 0..300 {
            pace.observe(1, Duration::from_millis(10));
        }
        assert!((90..=101).contains(&pace.window()), "{}", pace.window());
        assert_eq!(pace.rows_per_step(), 1);
    }

    #[test]
    fn a_bolt_slower_than_the_span_gets_one_row() {
        let mut pace = Pace::new(Duration::from_secs(3));
        for _ in 0..30 {
            pace.observe(1, Duration::from_millis(500));
        }
        assert_eq!(pace.window(), 1);
    }

    #[test]
    fn a_fast_bolt_reads_the_clock_seldom() {
        let mut pace = Pace::new(T);
        for _ in 0..3000 {
            let rows = pace.rows_per_step();
            pace.observe(rows, Duration::from_nanos(50 * rows as u64));
        }
        assert!(pace.rows_per_step() >= 100);
        assert!(pace.window() >= 100_000);
    }

    #[test]
    fn neighbours_on_the_thread_make_the_window_smaller_and_leave_the_step() {
        let (mut alone, mut shared) = (Pace::new(T), Pace::new(T));
        for _ in 0..3000 {
            alone.observe(1, Duration::from_millis(1));
            shared.observe(1, Duration::from_millis(1));
            shared.wait(Duration::from_millis(9));
        }
        assert!((900..=1010).contains(&alone.window()), "{}", alone.window());
        assert!((90..=101).contains(&shared.window()), "{}", shared.window());
        assert_eq!(alone.rows_per_step(), shared.rows_per_step());
    }

    #[test]
    fn sudden_slowness_shows_within_some_rows() {
        let mut pace = Pace::new(T);
        for _ in 0..2000 {
            pace.observe(1000, Duration::from_micros(1000));
        }
        for _ in 0..20 {
            pace.observe(1, Duration::from_millis(100));
        }
        assert!(pace.window() <= 20, "{}", pace.window());
    }

    #[test]
    fn the_first_fast_rows_open_the_window_slowly() {
        let mut pace = Pace::new(T);
        for _ in 0..7 {
            pace.observe(1, Duration::from_nanos(100));
            assert_eq!(pace.window(), 1);
        }
        pace.observe(1, Duration::from_nanos(100));
        assert_eq!(pace.window(), 2);
    }
}
