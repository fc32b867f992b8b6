//! Storm's rolling windows, over totals that are counted elsewhere.
//!
//! As Storm's `CountStat` and `LatencyStat`: what was counted since the last rotation is in the
//! current bucket, and each window has 20 buckets of its own. A rotation, which comes when the current
//! bucket spans as much as one of the shortest window, adds it to the newest bucket of each; a newest
//! bucket that is full moves the others on by one, and the oldest is forgotten. A window's sum is the
//! current bucket and then bucket after bucket, newest first, until the window is covered; of the last
//! one a share by time. Storm takes the last one as a whole for latencies; here counts and
//! latencies cover the same span.

use std::collections::VecDeque;
use std::time::Duration;

use storm_model::Time;

use crate::portable::{BadPortable, Portable, Reader, Writer};
use crate::total::{Share, Total};
use crate::window::{BUCKETS, Window};

/// Sums of a total over Storm's windows.
///
/// Give it the total's newest state at any time, at least about every 30 s: what came between two
/// states is spread evenly over the time between them. A total that falls has begun again, with a
/// new executor: what it says then is new, and nothing of before is lost.
///
/// Holds at most 3 × 20 differences and the newest state.
///
/// ```
/// use std::time::Duration;
/// use storm_figures::{History, Window};
/// use storm_model::Time;
///
/// let mut emitted = History::<u64>::new(Time::ZERO, Duration::ZERO);
/// for minute in 1..=60 {
///     emitted.observe(Time::from_secs(minute * 60), &(minute * 100));
/// }
/// let now = Time::from_secs(3_600);
/// assert_eq!(emitted.sum(Window::TenMinutes, now), 1_000);
/// assert_eq!(emitted.sum(Window::AllTime, now), 6_000);
/// ```
#[derive(Clone, Debug)]
pub struct History<T> {
    /// What totals that have begun again had reached.
    former: T,
    /// The newest state.
    newest: T,
    /// When that was.
    seen: Time,
    current: Bucket<T>,
    rings: [Ring<T>; 3],
}

/// The windows that have buckets.
const RINGS: [Window; 3] = [Window::TenMinutes, Window::ThreeHours, Window::OneDay];

/// What was counted in a span of time.
#[derive(Clone, Debug, Default)]
struct Bucket<T> {
    span: Duration,
    value: T,
}

/// The buckets of one window.
#[derive(Clone, Debug)]
struct Ring<T> {
    window: Window,
    /// The one that is being filled.
    newest: Bucket<T>,
    /// The full ones, newest first.
    full: VecDeque<Bucket<T>>,
}

impl<T: Total> History<T> {
    /// Begins at `now` with a total that has been counting for `age`: what its first state says was
    /// counted in that time.
    pub fn new(now: Time, age: Duration) -> History<T> {
        History {
            former: T::default(),
            newest: T::default(),
            seen: now,
            current: Bucket { span: age, value: T::default() },
            rings: RINGS.map(Ring::new),
        }
    }

    /// Takes note of the total's state at `now`. Returns what was gained since the last one.
    pub fn observe(&mut self, now: Time, total: &T) -> T {
        let gained = total.since(&self.newest).unwrap_or_else(|| {
            self.former.absorb(&self.newest);
            total.clone()
        });
        self.newest = total.clone();
        self.gain(now, gained)
    }

    /// Says that the next state is that of another one, which began at nothing.
    pub(crate) fn begin_again(&mut self) {
        let newest = std::mem::take(&mut self.newest);
        self.former.absorb(&newest);
    }

    /// Takes over what another history of the same total says beyond this one: `gained` up to the state that
    /// it saw last.
    pub(crate) fn go_on(&mut self, later: &History<T>, gained: T) -> T {
        let mut all = self.all_time();
        all.absorb(&gained);
        self.former = all.since(&later.newest).unwrap_or_else(|| self.all_time());
        self.newest = later.newest.clone();
        self.gain(later.seen, gained)
    }

    fn gain(&mut self, now: Time, gained: T) -> T {
        let gained = Bucket { span: now.since(self.seen), value: gained };
        self.current.absorb(&gained);
        self.seen = self.seen.max(now);
        if Window::TenMinutes.bucket().is_some_and(|full| self.current.span >= full) {
            let current = std::mem::take(&mut self.current);
            self.rings.iter_mut().for_each(|ring| ring.absorb(&current));
        }
        gained.value
    }

    /// Whether all of it has left every window but the last, and takes memory still.
    pub(crate) fn is_outdated(&self, now: Time) -> bool {
        let is_old = Window::OneDay.span().is_some_and(|day| now.since(self.seen) >= day);
        let is_empty = |ring: &Ring<T>| ring.newest.span.is_zero() && ring.full.is_empty();
        is_old && !(self.current.span.is_zero() && self.rings.iter().all(is_empty))
    }

    /// Forgets what windows hold.
    pub(crate) fn tidy(&mut self) {
        self.current = Bucket::default();
        self.rings = RINGS.map(Ring::new);
    }

    /// What was counted within `window` up to `now`; exact for all time, otherwise to within a share
    /// of the oldest bucket.
    pub fn sum(&self, window: Window, now: Time) -> T {
        let Some(span) = window.span() else { return self.all_time() };
        let ring = self.rings.iter().find(|ring| ring.window == window);
        let ring = ring.expect("each window with a span has a ring");
        let mut needed = span.saturating_sub(now.since(self.seen));
        let mut sum = T::default();
        for bucket in [&self.current, &ring.newest].into_iter().chain(&ring.full) {
            if needed < bucket.span {
                sum.absorb(&bucket.value.share(Share::new(needed, bucket.span)));
                break;
            }
            sum.absorb(&bucket.value);
            needed -= bucket.span;
        }
        sum
    }

    /// The total's newest state, as it was given.
    pub fn newest(&self) -> &T {
        &self.newest
    }

    /// When that was.
    pub(crate) fn seen(&self) -> Time {
        self.seen
    }

    /// What together was ever counted.
    pub(crate) fn parts(&self) -> [&T; 2] {
        [&self.former, &self.newest]
    }

    /// Everything that was ever counted.
    pub(crate) fn all_time(&self) -> T {
        let mut all = self.former.clone();
        all.absorb(&self.newest);
        all
    }
}

impl<T: Total> Bucket<T> {
    fn absorb(&mut self, later: &Bucket<T>) {
        self.span = self.span.saturating_add(later.span);
        self.value.absorb(&later.value);
    }
}

impl<T: Total> Ring<T> {
    fn new(window: Window) -> Ring<T> {
        Ring { window, newest: Bucket::default(), full: VecDeque::with_capacity(BUCKETS) }
    }

    fn absorb(&mut self, bucket: &Bucket<T>) {
        self.newest.absorb(bucket);
        if self.window.bucket().is_some_and(|full| self.newest.span >= full) {
            self.full.push_front(std::mem::take(&mut self.newest));
            self.full.truncate(BUCKETS - 1);
        }
    }
}

/// Times are ages: the clock of who reads it is another one.
impl<T: Total> History<T> {
    pub(crate) fn write(&self, now: Time, to: &mut Writer)
    where
        T: Portable,
    {
        self.former.write(to);
        self.newest.write(to);
        now.since(self.seen).write(to);
        self.current.write(to);
        for ring in &self.rings {
            ring.newest.write(to);
            to.number(ring.full.len() as u64);
            ring.full.iter().for_each(|bucket| bucket.write(to));
        }
    }

    pub(crate) fn read(now: Time, from: &mut Reader<'_>) -> Result<History<T>, BadPortable>
    where
        T: Portable,
    {
        let (former, newest) = (T::read(from)?, T::read(from)?);
        let seen = now - Duration::read(from)?;
        let current = Bucket::read(from)?;
        let mut rings = RINGS.map(Ring::new);
        for ring in &mut rings {
            ring.newest = Bucket::read(from)?;
            let full = from.number()?;
            if full >= BUCKETS as u64 {
                return Err(BadPortable::Wrong("more buckets than a window has"));
            }
            for _ in 0..full {
                ring.full.push_back(Bucket::read(from)?);
            }
        }
        Ok(History { former, newest, seen, current, rings })
    }
}

impl<T: Total + Portable> Portable for Bucket<T> {
    fn write(&self, to: &mut Writer) {
        self.span.write(to);
        self.value.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Bucket<T>, BadPortable> {
        Ok(Bucket { span: Portable::read(from)?, value: Portable::read(from)? })
    }
}

#[cfg(test)]
mod tests;
