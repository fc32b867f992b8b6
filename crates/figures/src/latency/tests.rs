use proptest::prelude::*;

use super::*;

const MILLI: Duration = Duration::from_millis(1);

fn latency(durations: &[Duration]) -> Latency {
    let mut latency = Latency::default();
    durations.iter().for_each(|d| latency.record(*d));
    latency
}

fn durations() -> impl Strategy<Value = Vec<Duration>> {
    // Every magnitude from below the shortest to beyond the longest.
    let any = (0u32..44, any::<u64>()).prop_map(|(bits, n)| Duration::from_nanos(n & ((1 << bits) - 1)));
    prop::collection::vec(any, 0..60)
}

#[test]
fn the_mean_is_exact_and_nothing_has_none() {
    let nothing = Latency::default();
    assert_eq!((nothing.count(), nothing.mean(), nothing.max()), (0, Duration::ZERO, Duration::ZERO));
    assert_eq!(nothing.quantile(0.5), Duration::ZERO);
    let some = latency(&[MILLI, 2 * MILLI, 2 * MILLI + Duration::from_nanos(2)]);
    assert_eq!(some.mean(), Duration::from_nanos(1_666_667));
}

#[test]
fn beyond_an_hour_only_the_sum_is_exact() {
    let day = Duration::from_secs(86_400);
    let long = latency(&[day]);
    assert_eq!((long.mean(), long.max(), long.quantile(0.0)), (day, Latency::LONGEST, Latency::LONGEST));
    let zero = latency(&[Duration::ZERO]);
    assert_eq!((zero.mean(), zero.max()), (Duration::ZERO, Duration::from_nanos(1)));
}

#[test]
fn quantiles_count_from_below() {
    let mut ten = Latency::default();
    ten.record_n(MILLI, 9);
    ten.record_n(8 * MILLI, 1);
    let is_near = |shown: Duration, exact: Duration| shown >= exact && shown < exact * 17 / 16;
    assert!(is_near(ten.quantile(0.0), MILLI) && is_near(ten.quantile(0.9), MILLI));
    assert!(is_near(ten.quantile(0.91), 8 * MILLI) && is_near(ten.quantile(7.0), 8 * MILLI));
    assert!(is_near(ten.quantile(f64::NAN), MILLI));
}

#[test]
fn years_of_waiting_do_not_overflow() {
    let mut latency = Latency::default();
    latency.record_n(Latency::LONGEST, u64::MAX / 2);
    latency.record_n(Duration::MAX, u64::MAX);
    assert_eq!(latency.count(), u64::MAX);
    assert_eq!(latency.max(), Latency::LONGEST);
    assert_eq!(latency.share(Share::new(MILLI, 2 * MILLI)).count(), u64::MAX / 2);
}

#[test]
fn an_empty_one_is_small() {
    assert_eq!(serde_json::to_string(&Latency::default()).unwrap(), "[0,0,[]]");
    assert!(size_of::<Latency>() <= 64);
}

#[test]
fn json_shows_sum_and_buckets() {
    let json = serde_json::to_string(&latency(&[MILLI, MILLI, Duration::from_secs(1)])).unwrap();
    assert_eq!(json, "[1,2000000,[[1015807,2],[1006632959,1]]]");
}

#[test]
fn bad_input_is_an_error() {
    let bad = [
        "[0,0]",
        "[0,0,[[1,1]],0]",
        "[0,1000000000,[[1,1]]]",
        "[1,0,[]]",
        "[0,0,[[0,1]]]",
        "[0,0,[[5,1],[5,1]]]",
        "[0,0,[[6,1],[5,1]]]",
        "[0,0,[[5,0]]]",
        "[0,0,[[5,-1]]]",
        "[0,0,[[9000000000000,1]]]",
        "[0,0,[[18446744073709551615,1]]]",
        "[0,0,[[5,18446744073709551615],[6,1]]]",
        "{}",
        "null",
    ];
    for json in bad {
        assert!(serde_json::from_str::<Latency>(json).is_err(), "{json}");
    }
    let many: Vec<(u64, u64)> = (1..=10_000).map(|i| (i, 1)).collect();
    assert!(serde_json::from_str::<Latency>(&serde_json::to_string(&(0, 0, many)).unwrap()).is_err());
}

#[test]
fn buckets_of_another_precision_are_taken_over() {
    let fine: Latency = serde_json::from_str("[0,2000020,[[1000000,1],[1000020,1]]]").unwrap();
    assert_eq!(fine, latency(&[MILLI, MILLI + Duration::from_nanos(20)]));
}

proptest! {
    #[test]
    fn quantiles_are_right_within_a_sixteenth(mut durations in durations(), q in 0.0f64..=1.0) {
        let latency = latency(&durations);
        durations.sort();
        let rank = (q * durations.len() as f64).ceil() as usize;
        if let Some(exact) = durations.get(rank.max(1) - 1) {
            let exact = (*exact).clamp(Duration::from_nanos(1), Latency::LONGEST);
            let shown = latency.quantile(q);
            prop_assert!(shown >= exact && shown.as_nanos() * 16 < exact.as_nanos() * 17);
        }
        let sum: Duration = durations.iter().sum();
        prop_assert_eq!(latency.sum(), sum);
        prop_assert_eq!(latency.mean(), sum.checked_div(durations.len() as u32).unwrap_or_default());
    }

    #[test]
    fn merging_is_recording_both(a in durations(), b in durations()) {
        let both = latency(&[a.clone(), b.clone()].concat());
        let (a, b) = (latency(&a), latency(&b));
        for (mut a, b) in [(a.clone(), b.clone()), (a.to_compact(), b.to_compact()), (b, a)] {
            a.merge(&b);
            prop_assert_eq!(&a, &both);
        }
    }

    #[test]
    fn merging_what_came_since_leads_to_the_later_state(a in durations(), b in durations()) {
        let early = latency(&a);
        let mut late = early.to_compact();
        b.iter().for_each(|d| late.record(*d));
        let since = late.since(&early).unwrap();
        prop_assert_eq!(&since, &latency(&b));
        let mut again = early.clone();
        again.merge(&since);
        prop_assert_eq!(&again, &late);
        prop_assert_eq!(early.since(&late).is_none(), !b.is_empty());
    }

    #[test]
    fn reading_gives_what_was_written(durations in durations()) {
        let latency = latency(&durations);
        let json = serde_json::to_string(&latency).unwrap();
        prop_assert_eq!(serde_json::from_str::<Latency>(&json).unwrap(), latency);
    }

    #[test]
    fn a_share_keeps_mean_and_count(durations in durations(), part in 0u64..9) {
        let latency = latency(&durations);
        let share = latency.share(Share::new(MILLI * part as u32, 8 * MILLI));
        prop_assert_eq!(share.count(), latency.count() * part.min(8) / 8);
        prop_assert_eq!(share.buckets().map(|(_, count)| count).sum::<u64>(), share.count());
        if !share.is_empty() {
            prop_assert!(share.mean().abs_diff(latency.mean()) <= Duration::from_nanos(1));
        }
    }

    #[test]
    fn any_numbers_are_read_or_refused(secs: u64, sub: u32, pairs: Vec<(u64, u64)>) {
        let json = serde_json::to_string(&(secs, sub, pairs)).unwrap();
        if let Ok(latency) = serde_json::from_str::<Latency>(&json) {
            let again = serde_json::to_string(&latency).unwrap();
            prop_assert_eq!(serde_json::from_str::<Latency>(&again).unwrap(), latency);
        }
    }
}
