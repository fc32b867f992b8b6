use proptest::prelude::*;

use super::*;
use crate::figures::{ComponentFigures, Figures};
use crate::latency::Latency;
use crate::snapshot::MetricValue;
use crate::snapshot::tests::{bolt, spout};
use crate::window::Window;

const MILLI: Duration = Duration::from_millis(1);

fn at(secs: u64, mut executors: Vec<ExecutorSnapshot>) -> (Time, Snapshot) {
    executors.iter_mut().for_each(|e| e.uptime = Duration::from_secs(secs));
    (Time::from_secs(secs), Snapshot { executors })
}

fn kept(reports: &[(Time, Snapshot)]) -> Keeper {
    let mut keeper = Keeper::default();
    reports.iter().for_each(|(time, snapshot)| keeper.observe(*time, snapshot));
    keeper
}

fn of(keeper: &Keeper, secs: u64, component: &str) -> ComponentFigures {
    keeper.report(Time::from_secs(secs)).component(component).unwrap().clone()
}

#[test]
fn components_are_sums_of_tasks() {
    let keeper = kept(&[at(60, vec![bolt(1, &[100, 200]), bolt(3, &[50]), spout(4, 400, 350)])]);
    let bolt = of(&keeper, 60, "bolt");
    for window in Window::ALL {
        let figures = &bolt.figures[window];
        assert_eq!((figures.executed, figures.acked, figures.emitted), (350, 350, 0));
        assert_eq!(figures.execute_latency.count(), 350);
        let by_executor: Vec<u64> = bolt.executors.iter().map(|e| e.figures[window].executed).collect();
        let by_task: Vec<u64> = bolt.tasks.iter().map(|t| t.figures[window].executed).collect();
        assert_eq!((by_executor, by_task), (vec![300, 50], vec![100, 200, 50]));
        assert_eq!(bolt.inputs[0].figures[window].executed, 350);
    }
    let spout = of(&keeper, 60, "spout");
    assert_eq!(spout.gauges.pending, 50);
    let stream = &spout.streams[0].figures.all_time;
    assert_eq!((stream.emitted, stream.transferred, stream.acked), (400, 400, 350));
    assert_eq!(stream.complete_latency.mean(), 20 * MILLI);
}

#[test]
fn the_topology_counts_acks_of_spouts_alone() {
    let keeper = kept(&[at(60, vec![bolt(1, &[350]), spout(2, 400, 300)])]);
    let stats = keeper.report(Time::from_secs(60)).stats(Window::TenMinutes);
    assert_eq!((stats.emitted, stats.acked, stats.failed), (400, 300, 0));
    assert_eq!(stats.complete_latency.count(), 300);
}

#[test]
fn capacity_is_that_of_the_busiest_executor() {
    // 2 ms each: 12 s and 42 s of the minute.
    let keeper = kept(&[at(60, vec![bolt(1, &[3_000, 3_000]), bolt(3, &[21_000])])]);
    let bolt = of(&keeper, 60, "bolt");
    let by_executor: Vec<f64> = bolt.executors.iter().map(|e| e.figures.ten_minutes.capacity).collect();
    assert_eq!(by_executor, [0.2, 0.7]);
    assert_eq!(bolt.figures.ten_minutes.capacity, 0.7);
    assert_eq!(bolt.tasks[0].figures.ten_minutes.capacity, 0.1);
}

#[test]
fn capacity_of_an_old_executor_is_of_ten_minutes() {
    let reports: Vec<_> = (1..=100).map(|m| at(m * 60, vec![bolt(1, &[m * 15_000])])).collect();
    let capacity = of(&kept(&reports), 6_000, "bolt").figures.ten_minutes.capacity;
    assert!((capacity - 0.5).abs() < 1e-9, "{capacity}");
}

#[test]
fn the_fullest_queue_and_the_oldest_tuple_show() {
    let (time, mut snapshot) = at(60, vec![bolt(1, &[1, 1]), bolt(3, &[1])]);
    snapshot.executors[0].credit_out = 90;
    snapshot.executors[1].credit_out = -3;
    snapshot.executors[0].tasks[1].retained = 7;
    snapshot.executors[0].tasks[1].oldest_retained_ns = 5_000_000_000;
    snapshot.executors[1].tasks[0].retained = 2;
    let gauges = of(&kept(&[(time, snapshot)]), 60, "bolt").gauges;
    assert_eq!((gauges.credit_out, gauges.window_rows, gauges.queue_fill), (90, 100, 0.9));
    assert_eq!((gauges.retained, gauges.oldest_retained), (9, Duration::from_secs(5)));
}

#[test]
fn executors_report_by_themselves_and_may_fall_silent() {
    let mut keeper = kept(&[at(60, vec![bolt(1, &[10])])]);
    let (time, snapshot) = at(90, vec![spout(2, 5, 5)]);
    keeper.observe(time, &snapshot);
    let bolt = of(&keeper, 100, "bolt");
    assert_eq!(bolt.executors[0].silent, Duration::from_secs(40));
    assert_eq!(bolt.figures.all_time.executed, 10);
    assert_eq!(of(&keeper, 100, "spout").executors[0].silent, Duration::from_secs(10));
    // What is long ago is in no window but the last.
    let later = of(&keeper, 100_000, "bolt");
    assert_eq!((later.figures.one_day.executed, later.figures.all_time.executed), (0, 10));
}

#[test]
fn executors_that_move_keep_their_sums() {
    let mut keeper = kept(&[at(60, vec![bolt(1, &[100, 100])])]);
    // The same executor elsewhere, young and already further than it had been.
    let mut moved = bolt(1, &[150, 0]);
    moved.uptime = Duration::from_secs(20);
    keeper.observe(Time::from_secs(90), &Snapshot { executors: vec![moved] });
    let bolt = of(&keeper, 90, "bolt");
    assert_eq!(bolt.figures.all_time.executed, 350);
    assert_eq!(bolt.figures.ten_minutes.executed, 350);
    assert_eq!(bolt.figures.ten_minutes.uptime, Duration::from_secs(80));
    assert_eq!(bolt.executors[0].uptime, Duration::from_secs(20));
}

#[test]
fn a_rebalance_keeps_the_sums_of_tasks() {
    let with_dropped =
        |first, executed: &[u64], dropped| ExecutorSnapshot { dropped, ..bolt(first, executed) };
    let mut keeper = kept(&[at(60, vec![with_dropped(1, &[100, 200], 7)])]);
    let apart = [with_dropped(1, &[1], 1), with_dropped(2, &[2], 2)];
    keeper.observe(Time::from_secs(90), &Snapshot { executors: apart.to_vec() });
    keeper.observe(Time::from_secs(120), &Snapshot { executors: vec![with_dropped(1, &[0, 0], 0)] });
    let bolt = of(&keeper, 120, "bolt");
    assert_eq!((bolt.figures.all_time.executed, bolt.figures.all_time.dropped), (303, 10));
    assert_eq!(bolt.executors.len(), 1);
    assert_eq!(bolt.tasks.iter().map(|t| t.figures.all_time.executed).collect::<Vec<_>>(), [101, 202]);
}

#[test]
fn streams_and_inputs_show_before_anything_came() {
    let keeper = kept(&[at(60, vec![bolt(1, &[0]), spout(2, 0, 0)])]);
    assert_eq!(of(&keeper, 60, "bolt").inputs.len(), 1);
    assert_eq!(of(&keeper, 60, "spout").streams.len(), 1);
}

#[test]
fn an_executor_without_tasks_is_none() {
    let (time, mut snapshot) = at(60, vec![bolt(5, &[10]), bolt(7, &[20])]);
    snapshot.executors[0].executor.last = TaskId(0);
    snapshot.executors[1].executor.last = TaskId(u32::MAX);
    let bolt = of(&kept(&[(time, snapshot)]), 60, "bolt");
    assert_eq!(bolt.figures.all_time.executed, 20);
    assert_eq!(bolt.executors.iter().map(|e| e.figures.all_time.executed).collect::<Vec<_>>(), [20]);
}

#[test]
fn metrics_of_tasks_come_together_by_name() {
    let (time, mut snapshot) = at(60, vec![bolt(1, &[1, 1])]);
    for (task, (hits, open)) in snapshot.executors[0].tasks.iter_mut().zip([(3, 1.0), (4, 2.0)]) {
        let metric = |name: &str, value| UserMetric { name: name.to_owned(), value };
        task.metrics =
            vec![metric("hits", MetricValue::Counter(hits)), metric("open", MetricValue::Gauge(open))];
    }
    let bolt = of(&kept(&[(time, snapshot)]), 60, "bolt");
    assert_eq!(bolt.metrics, [UserMetric { name: "hits".into(), value: MetricValue::Counter(7) }]);
    assert_eq!(bolt.tasks[1].metrics.len(), 2);
}

#[test]
fn a_report_can_be_written_and_read() {
    let figures = kept(&[at(60, vec![bolt(1, &[100]), spout(2, 100, 50)])]).report(Time::from_secs(61));
    let json = serde_json::to_string(&figures).unwrap();
    assert_eq!(serde_json::from_str::<TopologyFigures>(&json).unwrap(), figures);
}

proptest! {
    /// Executors of one bolt with four tasks work, restart and are cut anew; each window holds what
    /// was reported, and nothing is counted twice.
    #[test]
    fn nothing_is_lost_or_counted_twice(steps in prop::collection::vec((0usize..4, 0u64..100, 0u8..8), 1..60)) {
        let cuts: [&[(u32, usize)]; 3] = [&[(1, 4)], &[(1, 2), (3, 2)], &[(1, 1), (2, 1), (3, 1), (4, 1)]];
        let mut keeper = Keeper::default();
        let (mut now, mut started, mut cut) = (0, 0, cuts[0]);
        let (mut counts, mut expected) = ([0u64; 4], 0);
        for (task, executed, event) in steps {
            now += 10;
            if event < 2 {
                // All executors are started again, perhaps cut otherwise, and report it at once.
                (counts, started, cut) = ([0; 4], now, cuts[executed as usize % 3]);
            } else {
                counts[task] += executed;
                expected += executed;
            }
            let executors = cut.iter().map(|(first, tasks)| {
                let from = *first as usize - 1;
                let uptime = Duration::from_secs(now - started);
                ExecutorSnapshot { uptime, ..bolt(*first, &counts[from..from + tasks]) }
            });
            keeper.observe(Time::from_secs(now), &Snapshot { executors: executors.collect() });
        }
        let bolt = of(&keeper, now, "bolt");
        prop_assert_eq!(bolt.executors.len(), cut.len());
        let is_all = |figures: &Figures, latency: &Latency| {
            figures.executed == expected && latency.count() == expected
        };
        for (window, figures) in bolt.figures.iter() {
            // The steps take ten minutes at most.
            prop_assert!(is_all(figures, &figures.execute_latency), "{:?}", window);
        }
    }
}
