//! What can be kept in windows: totals that only grow, their differences and their sums.

use std::time::Duration;

/// A total that only grows while what it counts lives.
///
/// With `b` a later state of `a`, `a` that absorbs `b.since(a)` is `b`.
pub trait Total: Clone + Default + PartialEq {
    /// What was counted after `earlier`, a former state of the same total. `None` if any part of it
    /// was higher then: it has begun again.
    fn since(&self, earlier: &Self) -> Option<Self>;

    /// Adds what `other` counted.
    fn absorb(&mut self, other: &Self);

    /// A share of it, rounded down in each of its numbers.
    fn share(&self, share: Share) -> Self;
}

/// Which part of a bucket lies within a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    /// `part` of `whole`; all of it when `part` is not shorter.
    pub fn new(part: Duration, whole: Duration) -> Share {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let whole = nanos(whole).max(1);
        Share { part: if part.is_zero() { 0 } else { nanos(part).min(whole) }, whole }
    }

    /// This share of an amount, rounded down. It never falls when the amount grows.
    pub fn of(self, amount: u128) -> u128 {
        // In two parts, so that no product leaves its type.
        let (part, whole) = (u128::from(self.part), u128::from(self.whole));
        amount / whole * part + amount % whole * part / whole
    }

    /// This share of a count, rounded down.
    pub fn of_count(self, count: u64) -> u64 {
        // Not more than the count itself.
        self.of(count.into()) as u64
    }
}

impl Total for u64 {
    fn since(&self, earlier: &u64) -> Option<u64> {
        self.checked_sub(*earlier)
    }

    fn absorb(&mut self, other: &u64) {
        *self = self.saturating_add(*other);
    }

    fn share(&self, share: Share) -> u64 {
        share.of_count(*self)
    }
}

impl Total for Duration {
    fn since(&self, earlier: &Duration) -> Option<Duration> {
        self.checked_sub(*earlier)
    }

    fn absorb(&mut self, other: &Duration) {
        *self = self.saturating_add(*other);
    }

    fn share(&self, share: Share) -> Duration {
        nanos(share.of(self.as_nanos()))
    }
}

/// Makes a struct of totals a total that can be written down.
macro_rules! total {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::total::Total for $name {
            fn since(&self, earlier: &Self) -> Option<Self> {
                Some(Self { $($field: self.$field.since(&earlier.$field)?),+ })
            }

            fn absorb(&mut self, other: &Self) {
                $(self.$field.absorb(&other.$field);)+
            }

            fn share(&self, share: $crate::total::Share) -> Self {
                Self { $($field: self.$field.share(share)),+ }
            }
        }

        impl $crate::portable::Portable for $name {
            fn write(&self, to: &mut $crate::portable::Writer) {
                $($crate::portable::Portable::write(&self.$field, to);)+
            }

            fn read(
                from: &mut $crate::portable::Reader<'_>,
            ) -> Result<Self, $crate::portable::BadPortable> {
                Ok(Self { $($field: $crate::portable::Portable::read(from)?),+ })
            }
        }
    };
}
pub(crate) use total;

/// A duration of so many nanoseconds, or the longest there is.
pub(crate) fn nanos(nanos: u128) -> Duration {
    const PER_SEC: u128 = 1_000_000_000;
    match u64::try_from(nanos / PER_SEC) {
        Ok(secs) => Duration::new(secs, (nanos % PER_SEC) as u32),
        Err(_) => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn a_share_is_rounded_down() {
        let third = Share::new(SEC, 3 * SEC);
        assert_eq!(100.share(third), 33);
        assert_eq!((100 * SEC).share(third), Duration::new(33, 333_333_333));
        assert_eq!(u64::MAX.share(Share::new(3 * SEC, 3 * SEC)), u64::MAX);
        assert_eq!(7.share(Share::new(SEC, Duration::ZERO)), 7);
        assert_eq!(7.share(Share::new(Duration::ZERO, SEC)), 0);
    }

    #[test]
    fn any_amount_of_nanoseconds_is_a_duration() {
        assert_eq!(nanos(1_500_000_000), Duration::from_millis(1_500));
        assert_eq!(nanos(Duration::MAX.as_nanos()), Duration::MAX);
        assert_eq!(nanos(u128::MAX), Duration::MAX);
    }

    proptest! {
        #[test]
        fn shares_never_fall_and_never_exceed(a: u128, b: u128, part: u64, whole: u64) {
            let share = Share::new(Duration::from_nanos(part), Duration::from_nanos(whole));
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(share.of(low) <= share.of(high));
            prop_assert!(share.of(high) <= high);
        }
    }
}
