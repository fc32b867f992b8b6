use proptest::prelude::*;
use serde_json::json;
use storm_model::{ExecutorId, Fields, GroupingSpec, InputSpec, StreamSpec, TaskId};

use super::*;
use crate::figures::{Gauges, TaskFigures};
use crate::latency::Latency;
use crate::window::Windowed;

fn secs(secs: f64) -> Duration {
    Duration::from_secs_f64(secs)
}

fn mean(duration: Duration) -> Latency {
    let mut latency = Latency::default();
    latency.record(duration);
    latency
}

fn component(inputs: &[&str]) -> ComponentSpec {
    let input = |from: &&str| InputSpec {
        component: (*from).into(),
        stream: "default".into(),
        grouping: GroupingSpec::Shuffle,
    };
    let kind = if inputs.is_empty() { ComponentKind::Spout } else { ComponentKind::Bolt };
    ComponentSpec {
        kind,
        executors: 1,
        tasks: 1,
        tasks_fixed: false,
        outputs: vec![StreamSpec { id: "default".into(), fields: Fields::new(["a"]), direct: false }],
        inputs: inputs.iter().map(input).collect(),
        config: BTreeMap::new(),
    }
}

fn spec(components: &[(&str, &[&str])]) -> TopologySpec {
    let components = components.iter().map(|(id, inputs)| ((*id).into(), component(inputs)));
    TopologySpec { components: components.collect(), config: BTreeMap::new() }
}

/// A component of one executor with one task, an hour old, where all is well.
fn well(id: &str, spec: &TopologySpec) -> ComponentFigures {
    let kind = spec.components[id].kind;
    let figures = Figures {
        emitted: 6_000,
        executed: if kind == ComponentKind::Bolt { 6_000 } else { 0 },
        acked: 6_000,
        execute_latency: mean(secs(0.001)),
        process_latency: mean(secs(0.001)),
        complete_latency: mean(secs(0.02)),
        queue_latency: mean(secs(0.001)),
        busy: secs(12.0),
        uptime: secs(600.0),
        capacity: 0.01,
        ..Figures::default()
    };
    let uptime = |window: Window| window.span().unwrap_or(secs(3_600.0)).min(secs(3_600.0));
    let figures = Windowed::new(|window| Figures { uptime: uptime(window), ..figures.clone() });
    let gauges = Gauges { window_rows: 100, ..Gauges::default() };
    let task = TaskFigures {
        task: TaskId(1),
        incarnation: 0,
        figures: figures.clone(),
        streams: vec![],
        inputs: vec![],
        gauges: gauges.clone(),
        metrics: vec![],
    };
    let executor = ExecutorFigures {
        executor: ExecutorId { first: TaskId(1), last: TaskId(1) },
        uptime: secs(3_600.0),
        silent: secs(0.5),
        figures: figures.clone(),
        gauges: gauges.clone(),
    };
    ComponentFigures {
        component: id.into(),
        kind,
        figures,
        streams: vec![],
        inputs: vec![],
        gauges,
        executors: vec![executor],
        tasks: vec![task],
        metrics: vec![],
    }
}

fn all_well(spec: &TopologySpec) -> TopologyFigures {
    TopologyFigures { components: spec.components.keys().map(|id| well(id.as_str(), spec)).collect() }
}

fn of<'a>(figures: &'a mut TopologyFigures, id: &str) -> &'a mut ComponentFigures {
    figures.components.iter_mut().find(|component| component.component == *id).unwrap()
}

/// Changes what is counted of a component and its only executor and task.
fn count(component: &mut ComponentFigures, change: impl Fn(&mut Figures)) {
    let ComponentFigures { figures, executors, tasks, .. } = component;
    let of_executors = executors.iter_mut().map(|executor| &mut executor.figures);
    let all = [figures].into_iter().chain(of_executors).chain(tasks.iter_mut().map(|task| &mut task.figures));
    for figures in all {
        change(&mut figures.ten_minutes);
        change(&mut figures.all_time);
    }
}

/// Its queue is full, and this is the share of its time that it is in execute.
fn full(component: &mut ComponentFigures, share: f64) {
    for executor in &mut component.executors {
        executor.gauges.queue_fill = 1.0;
    }
    count(component, |figures| {
        figures.capacity = share;
        figures.busy = figures.uptime.mul_f64(share.min(1.0));
        figures.queue_latency = mean(secs(0.5));
    });
}

const CHAIN: &[(&str, &[&str])] = &[("lines", &[]), ("split", &["lines"]), ("count", &["split"])];

fn chain() -> (TopologySpec, TopologyFigures) {
    let spec = spec(CHAIN);
    let figures = all_well(&spec);
    (spec, figures)
}

#[test]
fn where_all_is_well_nothing_is_said() {
    let (spec, figures) = chain();
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!((diagnosis.lines, diagnosis.bottleneck), (vec![], None));
    let waits: Vec<_> = diagnosis.waits.values().map(String::as_str).collect();
    assert_eq!(
        waits,
        [
            "waits for input: 2 % of its time at work, 1 % in execute",
            "waits for its source: 2 % of its time at work",
            "waits for input: 2 % of its time at work, 1 % in execute",
        ]
    );
}

#[test]
fn what_was_never_reported_has_nothing_said_of_it() {
    let (spec, _) = chain();
    assert_eq!(diagnose(&spec, &TopologyFigures::default()), Diagnosis::default());
}

#[test]
fn the_culprit_is_named_and_not_its_victim() {
    let (spec, mut figures) = chain();
    full(of(&mut figures, "split"), 0.08);
    full(of(&mut figures, "count"), 0.92);
    let diagnosis = diagnose(&spec, &figures);
    let line =
        "spout `lines` is held back by `count` (queue 100 %), which spends 92 % of its time in execute";
    assert_eq!(diagnosis.lines, [line]);
    assert_eq!(diagnosis.bottleneck, Some("count".into()));
    assert_eq!(diagnosis.waits["lines"], "waits for `split`, whose queue is full");
    assert_eq!(diagnosis.waits["split"], "waits for `count`, whose queue is full");
    assert_eq!(diagnosis.waits["count"], "works: 92 % of its time in execute");
}

#[test]
fn a_task_that_gets_more_than_its_share_is_told() {
    let (spec, mut figures) = chain();
    let culprit = of(&mut figures, "count");
    full(culprit, 0.92);
    let task = culprit.tasks[0].clone();
    let parts = [61, 13, 13, 13].map(|executed| {
        let mut task = task.clone();
        task.figures.ten_minutes.executed = executed * 10;
        task
    });
    culprit.tasks = parts.to_vec();
    let diagnosis = diagnose(&spec, &figures);
    let end = ", which spends 92 % of its time in execute, 1 of 4 tasks gets 61 % of its tuples";
    assert_eq!(diagnosis.lines, [format!("`split` is held back by `count` (queue 100 %){end}")]);
    // An even deal is not worth a word.
    for task in &mut of(&mut figures, "count").tasks {
        task.figures.ten_minutes.executed = 250;
    }
    assert!(!diagnose(&spec, &figures).lines[0].contains("tasks"));
}

#[test]
fn several_spouts_are_held_back_together() {
    let spec = spec(&[("a", &[]), ("b", &[]), ("sink", &["a", "b"])]);
    let mut figures = all_well(&spec);
    full(of(&mut figures, "sink"), 1.3);
    let line =
        "spouts `a` and `b` are held back by `sink` (queue 100 %), which spends 100 % of its time in execute";
    assert_eq!(diagnose(&spec, &figures).lines, [line]);
}

#[test]
fn a_full_queue_alone_accuses_nobody() {
    let (spec, mut figures) = chain();
    of(&mut figures, "count").executors[0].gauges.queue_fill = 1.0;
    assert_eq!(diagnose(&spec, &figures).lines, Vec::<String>::new());
}

#[test]
fn who_is_full_without_working_has_its_thread_taken() {
    let (spec, mut figures) = chain();
    full(of(&mut figures, "count"), 0.04);
    let diagnosis = diagnose(&spec, &figures);
    let end = "though that is at work only 4 % of its time";
    assert_eq!(diagnosis.lines, [format!("`split` is held back by `count` (queue 100 %), {end}")]);
    let own = "its queue is full, and only 4 % of its time is it at work";
    assert_eq!(diagnosis.waits["count"], own);
}

#[test]
fn work_outside_of_execute_is_told_as_such() {
    let (spec, mut figures) = chain();
    full(of(&mut figures, "count"), 0.9);
    count(of(&mut figures, "count"), |figures| figures.capacity = 0.1);
    let line = &diagnose(&spec, &figures).lines[0];
    assert!(line.ends_with("which spends 90 % of its time at work, 10 % in execute"), "{line}");
}

#[test]
fn a_cycle_has_a_culprit_too() {
    let spec = spec(&[("lines", &[]), ("walk", &["lines", "step"]), ("step", &["walk"])]);
    let mut figures = all_well(&spec);
    full(of(&mut figures, "walk"), 0.1);
    full(of(&mut figures, "step"), 0.95);
    assert_eq!(diagnose(&spec, &figures).bottleneck, Some("step".into()));
}

#[test]
fn a_young_topology_is_judged_by_its_whole_life() {
    let (spec, mut figures) = chain();
    let culprit = of(&mut figures, "count");
    full(culprit, 0.0);
    culprit.figures.all_time.uptime = secs(30.0);
    culprit.executors[0].figures.all_time.capacity = 0.8;
    let line = &diagnose(&spec, &figures).lines[0];
    assert!(line.ends_with("which spends 80 % of its time in execute"), "{line}");
}

#[test]
fn failing_trees_are_told_with_who_failed_them() {
    let (spec, mut figures) = chain();
    count(of(&mut figures, "lines"), |figures| (figures.acked, figures.failed) = (880, 120));
    let start = "spout `lines`: 12 % of its trees failed in the last 10 minutes (120 of 1000): ";
    let lines = diagnose(&spec, &figures).lines;
    assert_eq!(lines, [format!("{start}no bolt failed any, so they timed out or a worker ended")]);
    count(of(&mut figures, "split"), |figures| figures.failed = 118);
    assert_eq!(diagnose(&spec, &figures).lines, [format!("{start}`split` failed 118 tuples")]);
    // One in a thousand is what a restart leaves behind.
    count(of(&mut figures, "lines"), |figures| (figures.acked, figures.failed) = (999, 1));
    assert_eq!(diagnose(&spec, &figures).lines, Vec::<String>::new());
}

#[test]
fn a_spout_at_its_limit_waits_for_acks() {
    let (mut spec, mut figures) = chain();
    spec.config.insert(MAX_PENDING.to_owned(), json!(200));
    let spout = of(&mut figures, "lines");
    spout.gauges.pending = 200;
    spout.tasks[0].gauges.pending = 200;
    let diagnosis = diagnose(&spec, &figures);
    let pending = "200 trees pending, the limit is 200";
    let line = format!("spout `lines` waits for acks: {pending}; a tree takes 20 ms in the last 10 minutes");
    assert_eq!(diagnosis.lines, [line]);
    assert_eq!(diagnosis.waits["lines"], pending);
    // Its own limit counts, where it has one.
    let own = spec.components.get_mut("lines").unwrap();
    own.config.insert(MAX_PENDING.to_owned(), json!(1000));
    assert_eq!(diagnose(&spec, &figures).lines, Vec::<String>::new());
}

#[test]
fn pending_trees_of_several_tasks_are_told_together() {
    let (mut spec, mut figures) = chain();
    spec.config.insert(MAX_PENDING.to_owned(), json!(200));
    let spout = of(&mut figures, "lines");
    spout.gauges.pending = 390;
    spout.tasks[0].gauges.pending = 195;
    spout.tasks.push(spout.tasks[0].clone());
    let told = "390 trees pending, the limit is 400, 200 for each task";
    assert_eq!(diagnose(&spec, &figures).waits["lines"], told);
}

#[test]
fn late_acks_are_told_with_what_is_retained() {
    let (spec, mut figures) = chain();
    let bolt = of(&mut figures, "split");
    count(bolt, |figures| figures.process_latency = mean(secs(1.3)));
    bolt.gauges.retained = 200;
    bolt.gauges.oldest_retained = secs(35.0);
    let late =
        "acks 1.3 s after execute began, which takes 1.0 ms; it retains 200 tuples, the oldest for 35 s";
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!(diagnosis.lines, [format!("`split` {late}")]);
    assert!(diagnosis.waits["split"].ends_with(&format!("; {late}")));
}

#[test]
fn a_bolt_that_could_not_take_more_is_told_before_its_queue_is_full() {
    let (spec, mut figures) = chain();
    count(of(&mut figures, "count"), |figures| figures.capacity = 0.95);
    let line = "`count` is close to its limit: it spends 95 % of its time in execute";
    assert_eq!(diagnose(&spec, &figures).lines, [line]);
}

#[test]
fn an_idle_topology_is_no_fault_and_a_dry_spout_is() {
    let spec = spec(&[("a", &[]), ("b", &[]), ("sink", &["a", "b"])]);
    let mut figures = all_well(&spec);
    count(of(&mut figures, "a"), |figures| figures.emitted = 0);
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!(diagnosis.lines, ["spout `a` has given nothing in the last 10 minutes"]);
    assert_eq!(diagnosis.waits["a"], "gives nothing: no tuple in the last 10 minutes");
    count(of(&mut figures, "b"), |figures| figures.emitted = 0);
    count(of(&mut figures, "sink"), |figures| figures.executed = 0);
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!(diagnosis.lines, Vec::<String>::new());
    assert_eq!(diagnosis.waits["sink"], "waits for input: none came in the last 10 minutes");
}

#[test]
fn a_spout_that_sets_the_pace_is_told_in_its_place() {
    let (spec, mut figures) = chain();
    count(of(&mut figures, "lines"), |figures| figures.busy = figures.uptime.mul_f64(0.98));
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!(diagnosis.lines, Vec::<String>::new());
    let told = "sets the pace: 98 % of its time at work, and nothing is full below it";
    assert_eq!(diagnosis.waits["lines"], told);
}

#[test]
fn executors_that_fell_silent_come_first_and_their_gauges_do_not_count() {
    let (spec, mut figures) = chain();
    let bolt = of(&mut figures, "count");
    full(bolt, 0.9);
    bolt.executors[0].silent = secs(40.0);
    let diagnosis = diagnose(&spec, &figures);
    assert_eq!(diagnosis.lines, ["1 of 3 executors has not been heard of for 40 s: of `count`"]);
    assert_eq!(diagnosis.waits["count"], "nothing was heard of it for 40 s");
    // Where nobody is heard of, it need not run at all.
    figures.components.iter_mut().for_each(|component| component.executors[0].silent = secs(40.0));
    assert_eq!(diagnose(&spec, &figures).lines, Vec::<String>::new());
}

#[test]
fn shares_and_times_are_rounded_honestly() {
    let shares = [0.0, 0.004, 0.126, 0.996, 1.0, 7.0, f64::NAN].map(percent);
    assert_eq!(shares[..6], ["0 %", "less than 1 %", "13 %", "99 %", "100 %", "100 %"]);
    let times = [300e-6, 2e-3, 0.25, 1.25, 35.0, 600.0].map(|at| time(secs(at)));
    assert_eq!(times, ["300 µs", "2.0 ms", "250 ms", "1.2 s", "35 s", "10 min"]);
}

// === Whatever is reported ===

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn specs() -> impl Strategy<Value = TopologySpec> {
    let inputs = prop::collection::vec(0..NAMES.len(), 0..3);
    let one = (0..NAMES.len(), inputs, prop::option::of(0i64..5));
    prop::collection::vec(one, 0..6).prop_map(|components| {
        let of = |(id, inputs, limit): (usize, Vec<usize>, Option<i64>)| {
            let inputs: Vec<&str> = inputs.into_iter().map(|from| NAMES[from]).collect();
            let mut component = component(&inputs);
            component.config.extend(limit.map(|limit| (MAX_PENDING.to_owned(), json!(limit))));
            (NAMES[id].into(), component)
        };
        TopologySpec { components: components.into_iter().map(of).collect(), config: BTreeMap::new() }
    })
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![0.0f64..1.5, Just(f64::NAN), Just(f64::INFINITY), any::<f64>()]
}

prop_compose! {
    fn reported(id: &'static str)(
        is_spout: bool,
        (fill, capacity) in (numbers(), numbers()),
        counts in prop::array::uniform6(prop_oneof![Just(0), 0u64..2_000, any::<u64>()]),
        nanos in prop::array::uniform5(prop_oneof![Just(0), any::<u64>(), 0u64..4_000_000_000]),
        (executors, tasks) in (0usize..3, 0usize..4),
    ) -> ComponentFigures {
        let bare = spec(&[(id, if is_spout { &[] } else { &["a"] })]);
        let mut all = well(id, &bare);
        let [emitted, executed, acked, failed, pending, retained] = counts;
        let [busy, uptime, silent, process, queue] = nanos.map(Duration::from_nanos);
        count(&mut all, |figures| {
            let Figures { execute_latency, complete_latency, .. } = figures.clone();
            let (process_latency, queue_latency) = (mean(process), mean(queue));
            *figures = Figures { emitted, executed, acked, failed, busy, uptime, capacity, execute_latency,
                complete_latency, process_latency, queue_latency, ..Figures::default() };
        });
        all.gauges.pending = pending;
        all.gauges.retained = retained;
        all.tasks[0].gauges.pending = pending;
        all.executors[0].gauges.queue_fill = fill;
        all.executors[0].silent = silent;
        all.executors = vec![all.executors[0].clone(); executors];
        all.tasks = vec![all.tasks[0].clone(); tasks];
        all
    }
}

fn figures() -> impl Strategy<Value = TopologyFigures> {
    let all: Vec<_> = NAMES.into_iter().map(reported).collect();
    (all, 0..32u8).prop_map(|(all, taken)| {
        let taken = all.into_iter().enumerate().filter(|(at, _)| taken & (1 << at) != 0);
        TopologyFigures { components: taken.map(|(_, component)| component).collect() }
    })
}

proptest! {
    #[test]
    fn whatever_is_reported_only_known_components_are_named(spec in specs(), figures in figures()) {
        let diagnosis = diagnose(&spec, &figures);
        prop_assert!(diagnosis.lines.len() <= LINES);
        let is_known = |id: &str| spec.components.contains_key(id);
        prop_assert!(diagnosis.waits.keys().chain(&diagnosis.bottleneck).all(|id| is_known(id.as_str())));
        for text in diagnosis.lines.iter().chain(diagnosis.waits.values()) {
            for name in text.split('`').skip(1).step_by(2) {
                prop_assert!(is_known(name), "{}", text);
            }
            prop_assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("  "), "{}", text);
        }
        if let Some(bottleneck) = &diagnosis.bottleneck {
            let name = format!("`{bottleneck}`");
            prop_assert!(diagnosis.lines.iter().any(|line| line.contains(&name)));
        }
    }
}
