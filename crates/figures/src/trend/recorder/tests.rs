use proptest::prelude::*;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

fn gain(emitted: u64, acked: u64, latency: Duration) -> Gain {
    let mut gain = Gain { emitted, transferred: emitted, acked, ..Gain::default() };
    gain.latency.record_n(latency, acked);
    gain
}

fn at(secs: u64) -> Time {
    Time::from_secs(100_000 + secs)
}

fn of(recorder: &Recorder, secs: u64) -> Trend {
    trend([(recorder, 7)].into_iter(), at(secs))
}

fn emitted(trend: &Trend) -> Vec<u64> {
    trend.points.iter().map(|point| point.emitted).collect()
}

#[test]
fn time_passes_also_where_nothing_is_heard() {
    let mut recorder = Recorder::default();
    for (secs, count, pending) in [(1, 10, 0), (9, 5, 1), (12, 7, 2), (45, 1, 3)] {
        recorder.advance(at(secs), pending);
        recorder.add(at(secs), Duration::from_secs(1), &gain(count, count, 10 * MILLI));
    }
    let trend = of(&recorder, 51);
    assert_eq!(trend.points.len(), Trend::POINTS);
    let last = &trend.points[Trend::POINTS - 5..];
    assert_eq!(emitted(&trend)[Trend::POINTS - 6..], [0, 15, 7, 0, 0, 1]);
    assert_eq!(last.iter().map(|point| point.pending).collect::<Vec<_>>(), [2, 3, 3, 3, 7]);
    assert!(last[0].p99.is_some_and(|p99| p99 >= 10 * MILLI) && last[2].p50.is_none());
    assert_eq!(emitted(&of(&recorder, 1_900)).iter().sum::<u64>(), 0);
}

#[test]
fn what_came_long_ago_is_spread_over_its_time() {
    let mut recorder = Recorder::default();
    recorder.advance(at(5), 0);
    // An hour with two a second, of which 29 minutes and 50 seconds are in closed points.
    recorder.add(at(5), Duration::from_secs(3_600), &gain(7_200, 7_200, MILLI));
    let trend = of(&recorder, 5);
    assert!(emitted(&trend).iter().all(|count| *count == 20), "{trend:?}");
    assert!(trend.points.iter().all(|point| point.p50.is_some()));
    assert_eq!(recorder.point.emitted, 10);
    let recent = recent([(&recorder, 3)].into_iter(), at(5));
    assert_eq!((recent.emitted, recent.acked, recent.pending), (59 * 20 + 10, 59 * 20 + 10, 3));
    assert_eq!(recent.complete_latency.count(), recent.acked);
    assert!(recent.rates.len() == 30 && recent.rates.iter().all(|rate| (rate - 2.0).abs() < 1e-9));
}

#[test]
fn sources_add_up() {
    let (mut one, mut two) = (Recorder::default(), Recorder::default());
    one.advance(at(1), 0);
    one.add(at(1), MILLI, &gain(10, 9, MILLI));
    two.advance(at(2), 0);
    two.add(at(2), MILLI, &gain(5, 90, 100 * MILLI));
    let both = trend([(&one, 1), (&two, 2), (&Recorder::default(), 4)].into_iter(), at(10));
    let last = &both.points[Trend::POINTS - 1];
    assert_eq!((last.emitted, last.acked, last.pending), (15, 99, 3));
    assert!(last.p50.is_some_and(|p50| p50 >= 100 * MILLI));
    // Once latencies are gone, quantiles are told by what is left of them.
    let later = trend([(&one, 1), (&two, 2)].into_iter(), at(1_000));
    let old = later.points.iter().find(|point| point.emitted > 0).unwrap();
    assert!(old.p50.is_some_and(|p50| p50 > 50 * MILLI) && old.p99.is_some_and(|p99| p99 >= 100 * MILLI));
}

proptest! {
    #[test]
    fn nothing_is_lost_within_half_an_hour_and_ten_minutes_agree(
        steps in prop::collection::vec((1u64..40, 0u64..100, 0u64..60), 1..40),
        waited in 0u64..30,
    ) {
        let mut recorder = Recorder::default();
        let (mut secs, mut all) = (0, Vec::new());
        for (pause, count, over) in steps {
            secs += pause;
            recorder.advance(at(secs), 0);
            recorder.add(at(secs), Duration::from_secs(over), &gain(count, count, count as u32 * MILLI));
            all.push((secs, count));
        }
        let now = secs + waited;
        let sum: u64 = all.iter().map(|(_, count)| count).sum();
        // The open point is in none of the closed ones.
        let trend = of(&recorder, now + 10);
        if now + 70 < 1_800 {
            prop_assert_eq!(emitted(&trend).iter().sum::<u64>(), sum);
        }
        let recent = recent([(&recorder, 0)].into_iter(), at(now));
        let points = &of(&recorder, now + 10).points;
        // The same span, now that the open point is closed.
        let shift = if at(now + 10).as_nanos() / SPAN_NANOS == at(now).as_nanos() / SPAN_NANOS + 1 { 60 } else { 61 };
        let ten: u64 = points[Trend::POINTS - shift..][..60].iter().map(|point| point.emitted).sum();
        prop_assert_eq!(recent.emitted, ten);
        prop_assert!(recent.complete_latency.count() <= recent.acked);
    }

    #[test]
    fn reading_gives_what_was_written(
        steps in prop::collection::vec((1u64..40, 0u64..100, 0u64..60), 0..90),
        later in 0u64..30,
    ) {
        let mut recorder = Recorder::default();
        let mut secs = 0;
        for (pause, count, over) in steps {
            secs += pause;
            recorder.advance(at(secs), 0);
            recorder.add(at(secs), Duration::from_secs(over), &gain(count, count, count as u32 * MILLI));
        }
        let mut writer = Writer::new();
        recorder.write(at(secs), &mut writer);
        let bytes = writer.finish();
        // Whole spans later on another clock.
        let mut reader = Reader::new(&bytes).unwrap();
        let read = Recorder::read(at(secs + later * 10), &mut reader).unwrap();
        reader.finish().unwrap();
        prop_assert_eq!(of(&read, secs + later * 10), of(&recorder, secs));
        let recents = [(&read, later * 10), (&recorder, 0)];
        let [read, written] = recents.map(|(r, after)| recent([(r, 0)].into_iter(), at(secs + after)));
        prop_assert_eq!(read, written);
    }
}
