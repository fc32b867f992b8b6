use super::*;

const STREAM: &str = "default";

/// A spout with one task, that emitted `tracked` tuples to "bolt" and has `acked` of them back.
pub(crate) fn spout(task: u32, tracked: u64, acked: u64) -> ExecutorSnapshot {
    let mut stream = StreamCount::new(STREAM.into());
    stream.emitted = tracked;
    stream.acked = acked;
    stream.complete_latency.record_n(Duration::from_millis(20), acked);
    stream.edges = vec![EdgeCount { component: "bolt".into(), transferred: tracked }];
    let mut task = empty_task(task);
    task.streams = vec![stream];
    task.tracked = tracked;
    task.pending = tracked - acked;
    executor("spout", ComponentKind::Spout, vec![task])
}

/// A bolt with tasks from `first`, each of which executed and acked so many tuples of "spout" in
/// 2 ms each.
pub(crate) fn bolt(first: u32, executed: &[u64]) -> ExecutorSnapshot {
    let task = |(number, n): (u32, &u64)| {
        let mut latency = Latency::default();
        latency.record_n(Duration::from_millis(2), *n);
        let input = InputCount {
            component: "spout".into(),
            stream: STREAM.into(),
            executed: *n,
            acked: *n,
            failed: 0,
            execute_latency: latency.clone(),
            process_latency: latency,
        };
        TaskSnapshot { inputs: vec![input], ..empty_task(number) }
    };
    executor("bolt", ComponentKind::Bolt, (first..).zip(executed).map(task).collect())
}

pub(crate) fn empty_task(task: u32) -> TaskSnapshot {
    TaskSnapshot { incarnation: 1, ..TaskSnapshot::new(TaskId(task)) }
}

fn executor(component: &str, kind: ComponentKind, tasks: Vec<TaskSnapshot>) -> ExecutorSnapshot {
    let (first, last) = (tasks[0].task, tasks[tasks.len() - 1].task);
    ExecutorSnapshot {
        tasks,
        window_rows: 100,
        credit_out: 25,
        ..ExecutorSnapshot::new(component.into(), kind, ExecutorId { first, last })
    }
}

#[test]
fn sums_go_over_components_and_kinds() {
    let snapshot = Snapshot { executors: vec![bolt(1, &[3, 4]), bolt(3, &[5]), spout(4, 20, 12)] };
    assert_eq!(snapshot.sum("bolt", TaskSnapshot::executed), 12);
    assert_eq!(snapshot.bolts(TaskSnapshot::acked), 12);
    assert_eq!(snapshot.spouts(TaskSnapshot::transferred), 20);
    assert_eq!(snapshot.spouts(|task| task.pending), 8);
    assert_eq!(snapshot.tasks("bolt").map(|task| task.task.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(snapshot.complete_latency().count(), 12);
}

#[test]
fn what_a_topology_does_not_have_is_left_out() {
    use storm_model::ComponentSpec;
    let component = |kind, tasks| ComponentSpec {
        kind,
        executors: 1,
        tasks,
        tasks_fixed: true,
        outputs: vec![],
        inputs: vec![],
        config: Default::default(),
    };
    let mut spec = TopologySpec::default();
    spec.components.insert("bolt".into(), component(ComponentKind::Bolt, 3));
    spec.components.insert("spout".into(), component(ComponentKind::Spout, 1));
    let honest = Snapshot { executors: vec![bolt(1, &[3, 4]), bolt(3, &[5]), spout(4, 20, 12)] };
    let mut kept = honest.clone();
    assert!(!kept.keep_known(&spec));
    assert_eq!(kept, honest);
    let of = |first, last, e: ExecutorSnapshot| ExecutorSnapshot {
        executor: ExecutorId { first: TaskId(first), last: TaskId(last) },
        ..e
    };
    let invented = [
        of(5, 0, bolt(1, &[1])),
        of(0, 2, bolt(1, &[1])),
        of(3, u32::MAX, bolt(3, &[1])),
        bolt(4, &[1]),
        spout(5, 1, 1),
        ExecutorSnapshot { component: "nobody".into(), ..bolt(1, &[1]) },
        ExecutorSnapshot { kind: ComponentKind::Spout, ..bolt(1, &[1]) },
    ];
    for executor in invented {
        let mut kept = honest.clone();
        kept.executors.push(executor);
        assert!(kept.keep_known(&spec));
        assert_eq!(kept, honest);
    }
    kept.executors[2].tasks.push(empty_task(3));
    assert!(kept.keep_known(&spec), "a task of another executor");
    assert_eq!(kept, honest);
}

#[test]
fn sound_books_are_not_complained_of() {
    let snapshot = Snapshot { executors: vec![bolt(1, &[12]), spout(2, 12, 12)] };
    assert_eq!(snapshot.audit(true), [""; 0]);
}

#[test]
fn what_does_not_add_up_is_named() {
    let mut snapshot = Snapshot { executors: vec![bolt(1, &[11]), spout(2, 12, 10)] };
    snapshot.executors[0].tasks[0].retained = 1;
    snapshot.executors[1].tasks[0].pending = 1;
    expect_test::expect![[r#"
        [
            "bolt 1: executed 11 is not acked 11 + failed 0 + retained 1",
            "spout 2: tracked 12 is not acked 10 + failed 0 + pending 1 + lost 0",
            "spout -default-> bolt: transferred 12, executed 11",
        ]
    "#]]
    .assert_debug_eq(&snapshot.audit(true));
    assert_eq!(snapshot.audit(false).len(), 2);
}

#[test]
fn reading_gives_what_was_written() {
    let mut snapshot = Snapshot { executors: vec![bolt(1, &[11]), spout(2, 12, 10)] };
    let mut sizes = Distribution::default();
    sizes.record(7.0);
    let metric = |name: &str, value| UserMetric { name: name.to_owned(), value };
    snapshot.executors[0].tasks[0].metrics = vec![
        metric("hits", MetricValue::Counter(3)),
        metric("open", MetricValue::Gauge(1.5)),
        metric("sizes", MetricValue::Histogram(sizes)),
    ];
    let json = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
}
