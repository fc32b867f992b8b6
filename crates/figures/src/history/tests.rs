use proptest::prelude::*;

use super::*;
use crate::latency::Latency;

const MINUTE: u64 = 60;

/// Keeps every event with its time.
#[derive(Default)]
struct Model {
    events: Vec<(Time, u64)>,
}

impl Model {
    /// What was counted after `from` and up to `to`.
    fn between(&self, from: Time, to: Time) -> u64 {
        self.events.iter().filter(|(time, _)| from < *time && *time <= to).map(|(_, n)| n).sum()
    }
}

/// How long the buckets of a window get if states come every `gap`.
fn bucket_max(window: Window, gap: Duration) -> Duration {
    window.bucket().unwrap() + Window::TenMinutes.bucket().unwrap() + gap
}

#[test]
fn sums_are_exact_at_the_borders_of_buckets() {
    // A state every minute makes the buckets 1, 10 and 76 minutes long.
    let (mut history, mut model) = (History::<u64>::new(Time::ZERO, Duration::ZERO), Model::default());
    let mut total = 0;
    for minute in 1..=4_000 {
        let now = Time::from_secs(minute * MINUTE);
        // Unevenly, so that spreading would show.
        let gain = minute * minute % 1_013;
        model.events.push((now - Duration::from_secs(1), gain));
        total += gain;
        history.observe(now, &total);
        for (window, border) in [(Window::TenMinutes, 1), (Window::ThreeHours, 10), (Window::OneDay, 76)] {
            let from = now - window.span().unwrap();
            if from > Time::ZERO && (from.as_nanos() / 1_000_000_000 / MINUTE).is_multiple_of(border) {
                assert_eq!(history.sum(window, now), model.between(from, now), "{window:?} {minute}");
            }
        }
        assert_eq!(history.sum(Window::AllTime, now), total);
    }
}

#[test]
fn before_a_window_is_over_it_has_everything() {
    let mut history = History::<u64>::new(Time::from_secs(1_000), Duration::ZERO);
    for secs in (1_000..1_600).step_by(7) {
        history.observe(Time::from_secs(secs), &(secs - 1_000));
        for window in Window::ALL {
            assert_eq!(history.sum(window, Time::from_secs(secs)), secs - 1_000);
        }
    }
}

#[test]
fn the_oldest_bucket_counts_by_its_share() {
    let mut history = History::<u64>::new(Time::ZERO, Duration::ZERO);
    history.observe(Time::from_secs(60), &600);
    history.observe(Time::from_secs(120), &1_000);
    // The last ten minutes begin with the last 20 s of the first minute.
    assert_eq!(history.sum(Window::TenMinutes, Time::from_secs(640)), 200 + 400);
    assert_eq!(history.sum(Window::TenMinutes, Time::from_secs(720)), 0);
    assert_eq!(history.sum(Window::ThreeHours, Time::from_secs(720)), 1_000);
    assert_eq!(history.sum(Window::AllTime, Time::MAX), 1_000);
}

#[test]
fn a_total_that_fell_has_begun_again() {
    let mut history = History::<u64>::new(Time::ZERO, Duration::ZERO);
    for (secs, total) in [(60, 500), (120, 700), (180, 40), (240, 90)] {
        history.observe(Time::from_secs(secs), &total);
    }
    let now = Time::from_secs(240);
    assert_eq!(history.sum(Window::AllTime, now), 790);
    assert_eq!(history.sum(Window::TenMinutes, now), 790);
    assert_eq!(history.newest(), &90);
    assert_eq!(history.sum(Window::TenMinutes, Time::from_secs(720)), 90);
}

#[test]
fn an_old_total_seen_first_is_spread_over_its_age() {
    // 5 h old, 36,000 counted: two every second.
    let mut history = History::<u64>::new(Time::from_secs(3), Duration::from_secs(18_000));
    history.observe(Time::from_secs(3), &36_000);
    let now = Time::from_secs(3);
    assert_eq!(history.sum(Window::TenMinutes, now), 1_200);
    assert_eq!(history.sum(Window::ThreeHours, now), 21_600);
    assert_eq!(history.sum(Window::OneDay, now), 36_000);
}

#[test]
fn a_clock_that_stands_still_or_falls_back_loses_nothing() {
    let mut history = History::<u64>::new(Time::from_secs(100), Duration::ZERO);
    for (secs, total) in [(200, 10), (200, 20), (150, 30)] {
        history.observe(Time::from_secs(secs), &total);
    }
    for window in Window::ALL {
        assert_eq!(history.sum(window, Time::from_secs(150)), 30);
    }
}

#[test]
fn memory_is_bounded() {
    let mut history = History::<u64>::new(Time::ZERO, Duration::ZERO);
    for secs in (0..400_000).step_by(10) {
        history.observe(Time::from_secs(secs), &secs);
    }
    assert!(history.rings.iter().all(|ring| ring.full.len() == BUCKETS - 1));
}

#[test]
fn latencies_are_kept_like_counts() {
    let mut history = History::<Latency>::new(Time::ZERO, Duration::ZERO);
    let mut latency = Latency::default();
    for minute in 1..=100u64 {
        latency.record_n(Duration::from_millis(minute), 10);
        history.observe(Time::from_secs(minute * MINUTE), &latency);
    }
    let last = history.sum(Window::TenMinutes, Time::from_secs(100 * MINUTE));
    assert_eq!((last.count(), last.mean()), (100, Duration::from_micros(95_500)));
    assert_eq!(history.sum(Window::AllTime, Time::MAX), latency);
}

proptest! {
    #[test]
    fn sums_agree_with_a_model_up_to_a_bucket(
        steps in prop::collection::vec((1u64..45, 0u64..1_000), 1..900),
        waited in 0u64..1_000,
    ) {
        let (mut history, mut model) = (History::<u64>::new(Time::ZERO, Duration::ZERO), Model::default());
        let (mut now, mut total) = (Time::ZERO, 0);
        for (secs, gain) in steps {
            // The event comes at some moment between two states.
            model.events.push((now + Duration::from_millis(secs * 500), gain));
            now = now + Duration::from_secs(secs);
            total += gain;
            history.observe(now, &total);
        }
        let now = now + Duration::from_secs(waited);
        for window in [Window::TenMinutes, Window::ThreeHours, Window::OneDay] {
            let (span, off) = (window.span().unwrap(), bucket_max(window, Duration::from_secs(45)));
            let least = model.between(now - span.saturating_sub(off), now);
            // Events at the very beginning are after no time at all.
            let most = model.between(now - (span + off), now);
            let sum = history.sum(window, now);
            prop_assert!(least <= sum && sum <= most, "{:?}: {} <= {} <= {}", window, least, sum, most);
        }
        prop_assert_eq!(history.sum(Window::AllTime, now), total);
    }

    #[test]
    fn restarts_lose_nothing_that_was_seen(
        lives in prop::collection::vec(prop::collection::vec(1u64..50, 1..20), 1..10),
    ) {
        let mut history = History::<u64>::new(Time::ZERO, Duration::ZERO);
        let (mut now, mut all) = (Time::ZERO, 0);
        for life in lives {
            // Each begins with a state of nothing, which is how its start is known.
            let mut total = 0;
            history.observe(now, &total);
            for gain in life {
                now = now + Duration::from_secs(20);
                total += gain;
                all += gain;
                history.observe(now, &total);
            }
        }
        prop_assert_eq!(history.sum(Window::AllTime, now), all);
        prop_assert_eq!(history.sum(Window::OneDay, now), all);
    }
}
