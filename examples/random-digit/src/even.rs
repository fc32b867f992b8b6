//! Lets even digits pass.

use storm_rs::prelude::*;

/// Emits its input if it is even.
pub(crate) struct Even;

impl Bolt for Even {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["digit"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        if input.get::<u8>("digit")?.is_multiple_of(2) {
            out.emit(input);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn even_digits_pass_and_odd_ones_are_acked_all_the_same() {
        let mut even = BoltTest::new(Even).input("spout", ["digit"]);
        for digit in 0..5 {
            even.execute((digit,)).assert_acked();
        }
        even.emits().assert_each_once(["digit"], [(0,), (2,), (4,)]);
    }
}
