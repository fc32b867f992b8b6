//! Edge ids: random, non-zero, cheap.

/// A stream of edge ids (splitmix64, a non-linear generator: ids of a linear one can cancel out
/// under XOR). Seeded per executor start.
#[derive(Clone, Debug)]
pub struct EdgeIds(u64);

impl EdgeIds {
    /// The stream of this seed.
    pub fn seeded(seed: u64) -> EdgeIds {
        EdgeIds(seed)
    }

    /// The next id; never zero.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        loop {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            if z != 0 {
                return z;
            }
        }
    }

    /// A number below `n`, evenly enough.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}
