//! Partial key grouping: two candidates per key, the one that got less (Storm's
//! `PartialKeyGrouping`, after "The Power of Both Choices", Nasir et al. 2015).

/// Counts what each target got.
pub(crate) struct PartialKey {
    /// Positions of the key's fields.
    pub(crate) fields: Vec<usize>,
    sent: Vec<u64>,
}

impl PartialKey {
    pub(crate) fn new(fields: Vec<usize>, tasks: usize) -> PartialKey {
        PartialKey { fields, sent: vec![0; tasks] }
    }

    pub(crate) fn target(&mut self, hash: u64) -> u32 {
        let n = self.sent.len() as u64;
        let first = ((u128::from(hash) * u128::from(n)) >> 64) as u64;
        // The low half is independent of the high bits that made the first choice. As in Storm the
        // second is moved on by one if it is the first.
        let mut second = ((hash & 0xffff_ffff) * n) >> 32;
        if second == first {
            second = (second + 1) % n;
        }
        let (a, b) = (first as usize, second as usize);
        let chosen = if self.sent[b] < self.sent[a] { b } else { a };
        self.sent[chosen] += 1;
        chosen as u32
    }
}
