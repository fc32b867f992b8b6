//! The average of the last values.

use std::collections::VecDeque;

/// The last values of a device, and their sum.
///
/// A running sum drifts by the rounding errors of all additions and subtractions so far, so that
/// the average would depend on values long gone. The error of each step is exact (Knuth's two-sum)
/// and kept: what is left is far below the last bit of the average.
#[derive(Debug, Default)]
pub(crate) struct Window {
    values: VecDeque<f64>,
    sum: f64,
    error: f64,
}

impl Window {
    /// Takes a value in, drops the one that is now too old, and returns the average.
    pub(crate) fn push(&mut self, value: f64, len_max: usize) -> f64 {
        if self.values.len() == len_max
            && let Some(old) = self.values.pop_front()
        {
            self.add(-old);
        }
        self.values.push_back(value);
        self.add(value);
        (self.sum + self.error) / self.values.len() as f64
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let added = sum - self.sum;
        self.error += (self.sum - (sum - added)) + (value - added);
        self.sum = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_that_of_the_last_values() {
        let mut window = Window::default();
        let averages: Vec<f64> = [3.0, 5.0, 10.0, 30.0, 2.0].map(|v| window.push(v, 3)).into();
        assert_eq!(averages, [3.0, 4.0, 6.0, 15.0, 14.0]);
    }

    #[test]
    fn values_long_gone_leave_no_trace() {
        let mut window = Window::default();
        for i in 0..100_000 {
            window.push(f64::from(i % 977) * 1e12 + 0.1, 10);
        }
        let averages: Vec<f64> = (0..20).map(|_| window.push(0.5, 10)).collect();
        assert_eq!(averages[10..], [0.5; 10]);
    }
}
