//! Collects a trend point by point, from what tasks gained.

use std::collections::VecDeque;
use std::time::Duration;

use storm_model::{ComponentKind, Time};

use super::{Recent, Trend, TrendPoint};
use crate::latency::Latency;
use crate::portable::{BadPortable, Portable, Reader, Writer};
use crate::total::{Share, Total};
use crate::totals::TaskTotal;

/// Closed points that have their latencies: with the open one they are ten minutes.
const WITH_LATENCY: usize = 59;
/// What was gained within so much time counts where it is heard of.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What a task gained, as far as it goes into a trend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gain {
    emitted: u64,
    transferred: u64,
    acked: u64,
    failed: u64,
    latency: Latency,
}

impl Gain {
    pub(crate) fn of(kind: ComponentKind, total: &TaskTotal) -> Gain {
        let mut gain = Gain::default();
        for output in total.outputs.values() {
            gain.transferred = gain.transferred.saturating_add(output.transferred);
            if kind == ComponentKind::Spout {
                gain.emitted = gain.emitted.saturating_add(output.emitted);
                gain.acked = gain.acked.saturating_add(output.acked);
                gain.failed = gain.failed.saturating_add(output.failed);
                gain.latency.absorb(&output.complete_latency);
            }
        }
        gain
    }

    fn is_nothing(&self) -> bool {
        let Gain { emitted, transferred, acked, failed, latency } = self;
        [emitted, transferred, acked, failed].iter().all(|count| **count == 0) && latency.is_empty()
    }
}

/// A trend that is being collected. Spans are numbered from the zero of the clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    /// Number of the span that is being filled; none until something was heard.
    open: Option<i64>,
    /// What was counted in it so far, with the quantiles left open.
    point: TrendPoint,
    latency: Latency,
    /// The spans before it, oldest first.
    points: VecDeque<TrendPoint>,
    /// Latencies of the last [`WITH_LATENCY`] of these, oldest first, and all of them together.
    latencies: VecDeque<Latency>,
    together: Latency,
}

/// Nanoseconds of a span; the numbers of spans fit into what is left.
const SPAN_NANOS: u64 = Trend::SPAN.as_nanos() as u64;

fn number_of(time: Time) -> i64 {
    (time.as_nanos() / SPAN_NANOS) as i64
}

impl Recorder {
    /// Whether nothing was ever heard.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none()
    }

    /// Closes the spans that are over; `pending` trees were pending all the time.
    pub(crate) fn advance(&mut self, now: Time, pending: u64) {
        let now = number_of(now);
        let open = *self.open.get_or_insert(now);
        let over = usize::try_from(now - open).unwrap_or(0);
        if over == 0 {
            return;
        }
        self.open = Some(now);
        // Beyond these nothing of before is left.
        for _ in 0..over.min(Trend::POINTS + 1) {
            self.point.pending = pending;
            self.close();
        }
    }

    /// Closes the spans that are over. How many trees were pending in them another one has heard, as far as it
    /// has.
    pub(crate) fn advance_as(&mut self, now: Time, heard: &Recorder) {
        let first = self.open;
        self.advance(now, 0);
        let (Some(first), Some(open), Some(newest)) = (first, self.open, heard.open) else { return };
        for (number, point) in (first..open).rev().zip(self.points.iter_mut().rev()) {
            let at =
                usize::try_from(newest - number).ok().and_then(|back| heard.points.len().checked_sub(back));
            if let Some(theirs) = at.and_then(|at| heard.points.get(at)) {
                point.pending = theirs.pending;
            }
        }
    }

    fn close(&mut self) {
        let latency = std::mem::take(&mut self.latency);
        let mut point = std::mem::take(&mut self.point);
        set_quantiles(&mut point, &latency);
        self.points.push_back(point);
        if self.points.len() > Trend::POINTS {
            self.points.pop_front();
        }
        self.together.absorb(&latency);
        self.latencies.push_back(latency);
        if self.latencies.len() > WITH_LATENCY
            && let Some(oldest) = self.latencies.pop_front()
        {
            self.together = without(&self.together, &oldest).unwrap_or_else(|| merged(&self.latencies));
        }
    }

    /// Takes note of what was gained in the time `over` up to `now`. What was gained in a longer time is
    /// spread evenly.
    pub(crate) fn add(&mut self, now: Time, over: Duration, gain: &Gain) {
        let Some(open) = self.open.filter(|_| !gain.is_nothing()) else { return };
        if over <= AT_ONCE {
            return self.add_to(number_of(now).min(open), gain);
        }
        let over_nanos = u64::try_from(over.as_nanos()).unwrap_or(u64::MAX);
        // On the line of time, which may begin before the clock does.
        let (end, over_nanos) = (i128::from(now.as_nanos()), i128::from(over_nanos));
        let begin = end - over_nanos;
        let oldest = open - Trend::POINTS as i64;
        let first = i64::try_from(begin.div_euclid(SPAN_NANOS.into())).unwrap_or(i64::MIN).max(oldest);
        // Counts of all points together are exact; a latency's share is the same for all whole spans.
        let share = |nanos: i128| {
            let duration = |n: i128| Duration::from_nanos(u64::try_from(n.max(0)).unwrap_or(u64::MAX));
            Share::new(duration(nanos.min(over_nanos)), duration(over_nanos))
        };
        let mut whole: Option<Latency> = None;
        let last = number_of(now).min(open);
        for number in first..=last {
            let from = (i128::from(number) * i128::from(SPAN_NANOS)).max(begin);
            let to = if number == last { end } else { i128::from(number + 1) * i128::from(SPAN_NANOS) };
            let (before, until) = (share(from - begin), share(to - begin));
            let count = |count: u64| until.of_count(count).saturating_sub(before.of_count(count));
            let latency = if to - from == i128::from(SPAN_NANOS) {
                whole.get_or_insert_with(|| gain.latency.share(share(to - from))).clone()
            } else {
                gain.latency.share(share(to - from))
            };
            let part = Gain {
                emitted: count(gain.emitted),
                transferred: count(gain.transferred),
                acked: count(gain.acked),
                failed: count(gain.failed),
                latency,
            };
            self.add_to(number, &part);
        }
    }

    fn add_to(&mut self, number: i64, gain: &Gain) {
        let Some(open) = self.open.filter(|_| !gain.is_nothing()) else { return };
        let Ok(back) = usize::try_from(open - number) else { return };
        if back == 0 {
            add_counts(&mut self.point, gain);
            self.latency.absorb(&gain.latency);
            return;
        }
        // Spans before the first that was heard of are there as soon as something is known of them.
        while self.points.len() < back && self.points.len() < Trend::POINTS {
            self.points.push_front(TrendPoint::default());
        }
        while self.latencies.len() < back && self.latencies.len() < WITH_LATENCY {
            self.latencies.push_front(Latency::default());
        }
        let Some(at) = self.points.len().checked_sub(back) else { return };
        let point = &mut self.points[at];
        let acked = point.acked;
        add_counts(point, gain);
        if let Some(at) = self.latencies.len().checked_sub(back) {
            self.latencies[at].absorb(&gain.latency);
            self.together.absorb(&gain.latency);
            set_quantiles(point, &self.latencies[at]);
        } else {
            let mut more = TrendPoint { acked: gain.acked, ..TrendPoint::default() };
            set_quantiles(&mut more, &gain.latency);
            mix_quantiles(point, acked, &more);
        }
    }

    /// The points up to `now`, with the latencies of the last of them. `pending` trees are pending.
    fn until(&self, now: Time, pending: u64) -> Recorder {
        let mut until = self.clone();
        until.advance(now, pending);
        until
    }

    pub(crate) fn write(&self, now: Time, to: &mut Writer) {
        self.open.map(|open| u64::try_from(number_of(now) - open).unwrap_or(0)).write(to);
        self.point.write(to);
        self.latency.write(to);
        to.number(self.points.len() as u64);
        self.points.iter().for_each(|point| point.write(to));
        to.number(self.latencies.len() as u64);
        self.latencies.iter().for_each(|latency| latency.write(to));
    }

    pub(crate) fn read(now: Time, from: &mut Reader<'_>) -> Result<Recorder, BadPortable> {
        let ago = Option::<u64>::read(from)?;
        let longest = Trend::POINTS as u64 + 1;
        let open = ago.and_then(|ago| Some(number_of(now) - i64::try_from(ago.min(longest)).ok()?));
        let (point, latency) = (TrendPoint::read(from)?, Latency::read(from)?);
        let points = read_some(from, Trend::POINTS)?;
        let latencies = read_some(from, WITH_LATENCY)?;
        let together = merged(&latencies);
        Ok(Recorder { open, point, latency, points, latencies, together })
    }
}

fn read_some<T: Portable>(from: &mut Reader<'_>, most: usize) -> Result<VecDeque<T>, BadPortable> {
    let count = from.number()?;
    if count > most as u64 {
        return Err(BadPortable::Wrong("more points than a trend has"));
    }
    (0..count).map(|_| T::read(from)).collect()
}

/// The trend of several sources of one topology, each with the trees that are pending there.
pub(crate) fn trend<'a>(sources: impl Iterator<Item = (&'a Recorder, u64)>, now: Time) -> Trend {
    let known = sources.filter(|(recorder, _)| !recorder.is_empty());
    let until: Vec<Recorder> = known.map(|(recorder, pending)| recorder.until(now, pending)).collect();
    let point = |back: usize| {
        let (mut all, mut latency) = (TrendPoint::default(), Latency::default());
        let (mut has_latencies, mut acked) = (false, 0);
        for recorder in &until {
            let Some(at) = recorder.points.len().checked_sub(back) else { continue };
            let point = &recorder.points[at];
            all.emitted = all.emitted.saturating_add(point.emitted);
            all.transferred = all.transferred.saturating_add(point.transferred);
            all.acked = all.acked.saturating_add(point.acked);
            all.failed = all.failed.saturating_add(point.failed);
            all.pending = all.pending.saturating_add(point.pending);
            if let Some(at) = recorder.latencies.len().checked_sub(back) {
                latency.absorb(&recorder.latencies[at]);
                has_latencies = true;
            } else {
                mix_quantiles(&mut all, acked, point);
            }
            acked = point.acked.saturating_add(acked);
        }
        if has_latencies {
            set_quantiles(&mut all, &latency);
        }
        all
    };
    Trend { span: Trend::SPAN, points: (1..=Trend::POINTS).rev().map(point).collect() }
}

/// The last ten minutes of several sources of one topology, each with the trees that are pending there.
pub(crate) fn recent<'a>(sources: impl Iterator<Item = (&'a Recorder, u64)>, now: Time) -> Recent {
    let per_rate = (Recent::RATE_SPAN.as_secs() / Trend::SPAN.as_secs()) as usize;
    let mut recent = Recent { rates: vec![0.0; Trend::POINTS / per_rate], ..Recent::default() };
    for (recorder, pending) in sources {
        recent.pending = recent.pending.saturating_add(pending);
        let Some(open) = recorder.open else { continue };
        let over = usize::try_from(number_of(now) - open).unwrap_or(0);
        // The open one is the last or, when nothing was heard for a while, one of those before.
        let newest_first = std::iter::once(&recorder.point).chain(recorder.points.iter().rev());
        for (back, point) in (over..).zip(newest_first) {
            if back <= WITH_LATENCY {
                recent.emitted = recent.emitted.saturating_add(point.emitted);
                recent.transferred = recent.transferred.saturating_add(point.transferred);
                recent.acked = recent.acked.saturating_add(point.acked);
                recent.failed = recent.failed.saturating_add(point.failed);
            }
            if let Some(at) = back.checked_sub(1)
                && let Some(rate) = recent.rates.iter_mut().rev().nth(at / per_rate)
            {
                *rate += point.emitted as f64 / Recent::RATE_SPAN.as_secs_f64();
            }
        }
        recent.complete_latency.absorb(&recorder.ten_minutes(over));
    }
    recent
}

impl Recorder {
    /// The complete latency of the last ten minutes, when so many spans have passed unheard.
    fn ten_minutes(&self, over: usize) -> Latency {
        let mut all = if over == 0 {
            self.together.clone()
        } else {
            let kept = WITH_LATENCY.saturating_sub(over);
            let left = self.latencies.len().saturating_sub(kept);
            let gone = self.latencies.iter().take(left);
            let mut rest = Some(self.together.clone());
            for latency in gone {
                rest = rest.and_then(|rest| without(&rest, latency));
            }
            rest.unwrap_or_else(|| merged(self.latencies.iter().skip(left)))
        };
        if over <= WITH_LATENCY {
            all.absorb(&self.latency);
        }
        all
    }
}

/// What is left of several latencies without one of them; none where so much was counted that sums are not
/// exact any more.
fn without(all: &Latency, one: &Latency) -> Option<Latency> {
    if one.is_empty() { Some(all.clone()) } else { all.since(one) }
}

fn merged<'a>(latencies: impl IntoIterator<Item = &'a Latency>) -> Latency {
    let mut all = Latency::default();
    latencies.into_iter().for_each(|latency| all.absorb(latency));
    all
}

fn add_counts(point: &mut TrendPoint, gain: &Gain) {
    point.emitted = point.emitted.saturating_add(gain.emitted);
    point.transferred = point.transferred.saturating_add(gain.transferred);
    point.acked = point.acked.saturating_add(gain.acked);
    point.failed = point.failed.saturating_add(gain.failed);
}

fn set_quantiles(point: &mut TrendPoint, latency: &Latency) {
    let quantile = |q| (!latency.is_empty()).then(|| latency.quantile(q));
    (point.p50, point.p99) = (quantile(0.5), quantile(0.99));
}

/// Quantiles of `acked` trees and of another's, whose latencies are gone: the median between both, by how many
/// each has; of the 99th percentiles the higher one.
fn mix_quantiles(point: &mut TrendPoint, acked: u64, other: &TrendPoint) {
    point.p50 = match (point.p50, other.p50) {
        (Some(mine), Some(its)) => {
            let share = other.acked as f64 / (acked.saturating_add(other.acked)).max(1) as f64;
            Some(mine.mul_f64(1.0 - share) + its.mul_f64(share))
        }
        (mine, its) => mine.or(its),
    };
    point.p99 = point.p99.max(other.p99);
}

impl Portable for TrendPoint {
    fn write(&self, to: &mut Writer) {
        let TrendPoint { emitted, transferred, acked, failed, pending, p50, p99 } = self;
        [emitted, transferred, acked, failed, pending].into_iter().for_each(|number| number.write(to));
        p50.write(to);
        p99.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<TrendPoint, BadPortable> {
        let short = |duration: &Duration| *duration <= Latency::LONGEST;
        let point = TrendPoint {
            emitted: Portable::read(from)?,
            transferred: Portable::read(from)?,
            acked: Portable::read(from)?,
            failed: Portable::read(from)?,
            pending: Portable::read(from)?,
            p50: Portable::read(from)?,
            p99: Portable::read(from)?,
        };
        let TrendPoint { p50, p99, .. } = &point;
        let is_short = p50.iter().chain(p99).all(short);
        if is_short { Ok(point) } else { Err(BadPortable::Wrong("an impossible latency")) }
    }
}

#[cfg(test)]
mod tests;
