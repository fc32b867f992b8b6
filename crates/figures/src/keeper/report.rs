//! From what is kept by task to the figures of tasks, executors and components.

use std::collections::BTreeMap;

use storm_model::{ComponentId, ComponentKind, ExecutorId, TaskId, Time};

use super::{Keeper, KeptExecutor, KeptTask};
use crate::by_key::ByKey;
use crate::capacity::capacity;
use crate::figures::{
    ComponentFigures, ExecutorFigures, Figures, Gauges, InputFigures, StreamFigures, TaskFigures,
    TopologyFigures,
};
use crate::snapshot::{MetricValue, UserMetric};
use crate::total::Total;
use crate::totals::TaskTotal;
use crate::window::{Window, Windowed};

/// What a task counted in each window.
type Sums = BTreeMap<TaskId, Windowed<TaskTotal>>;

/// What keepers of different sources know together. Of each task one of them says what there is of it now.
struct View<'a> {
    tasks: BTreeMap<TaskId, &'a KeptTask>,
    executors: BTreeMap<ExecutorId, &'a KeptExecutor>,
}

pub(crate) fn report(keepers: &[&Keeper], now: Time) -> TopologyFigures {
    let mut view = View { tasks: BTreeMap::new(), executors: BTreeMap::new() };
    let mut sums: Sums = BTreeMap::new();
    for keeper in keepers {
        view.executors.extend(keeper.executors.iter().map(|(id, kept)| (*id, kept)));
        for (task, kept) in &keeper.tasks {
            let shown = view.tasks.entry(*task).or_insert(kept);
            if shown.told < kept.told {
                *shown = kept;
            }
            let own = Windowed::new(|window| kept.history.sum(window, now));
            match sums.get_mut(task) {
                Some(all) => Window::ALL.into_iter().for_each(|window| all[window].absorb(&own[window])),
                None => drop(sums.insert(*task, own)),
            }
        }
    }
    let mut kinds: BTreeMap<&ComponentId, ComponentKind> = BTreeMap::new();
    for kept in view.tasks.values() {
        kinds.insert(&kept.component, kept.kind);
    }
    let component = |(component, kind)| component_figures(&view, &sums, component, kind, now);
    TopologyFigures { components: kinds.into_iter().map(component).collect() }
}

fn component_figures(
    view: &View<'_>,
    sums: &Sums,
    component: &ComponentId,
    kind: ComponentKind,
    now: Time,
) -> ComponentFigures {
    let tasks: Vec<(TaskId, &KeptTask)> = view
        .tasks
        .iter()
        .filter(|(_, kept)| kept.component == *component)
        .map(|(id, kept)| (*id, *kept))
        .collect();
    let executors: Vec<ExecutorFigures> = view
        .executors
        .iter()
        .filter(|(_, kept)| kept.component == *component)
        .map(|(id, kept)| executor_figures(view, sums, *id, kept, now))
        .collect();
    let all = together(tasks.iter().map(|(id, _)| &sums[id]));
    let mut figures = Windowed::new(|window| figures(window, &all[window]));
    let mut gauges = Gauges::default();
    tasks.iter().for_each(|(_, kept)| gauges.include(&kept.gauges));
    for executor in &executors {
        let Gauges { window_rows, credit_out, queue_fill, .. } = executor.gauges;
        gauges.include(&Gauges { window_rows, credit_out, queue_fill, ..Gauges::default() });
    }
    for window in Window::ALL {
        let of_executors = executors.iter().map(|executor| &executor.figures[window]);
        figures[window].capacity = of_executors.map(|figures| figures.capacity).fold(0.0, f64::max);
    }
    let metrics = metrics_together(tasks.iter().flat_map(|(_, kept)| &kept.metrics));
    ComponentFigures {
        component: component.clone(),
        kind,
        streams: stream_figures(&all),
        inputs: input_figures(&all),
        figures,
        gauges,
        tasks: tasks.iter().map(|(id, kept)| task_figures(*id, kept, &sums[id])).collect(),
        executors,
        metrics,
    }
}

fn executor_figures(
    view: &View<'_>,
    sums: &Sums,
    executor: ExecutorId,
    kept: &KeptExecutor,
    now: Time,
) -> ExecutorFigures {
    // Not task by task: whoever reported it may have made up the last one.
    let range = executor.first..=executor.last;
    let all = together(sums.range(range.clone()).map(|(_, sums)| sums));
    let mut gauges = Gauges::default();
    view.tasks.range(range).for_each(|(_, task)| gauges.include(&task.gauges));
    gauges.window_rows = kept.window_rows;
    gauges.credit_out = kept.credit_out;
    gauges.queue_fill = kept.credit_out as f64 / kept.window_rows.max(1) as f64;
    ExecutorFigures {
        executor,
        uptime: kept.uptime,
        silent: now.since(kept.seen),
        figures: Windowed::new(|window| figures(window, &all[window])),
        gauges,
    }
}

fn task_figures(task: TaskId, kept: &KeptTask, sums: &Windowed<TaskTotal>) -> TaskFigures {
    TaskFigures {
        task,
        incarnation: kept.incarnation,
        figures: Windowed::new(|window| figures(window, &sums[window])),
        streams: stream_figures(sums),
        inputs: input_figures(sums),
        gauges: kept.gauges.clone(),
        metrics: kept.metrics.clone(),
    }
}

/// Several tasks as one: sums of everything, but the time that the longest of them was there.
fn together<'a>(tasks: impl Iterator<Item = &'a Windowed<TaskTotal>>) -> Windowed<TaskTotal> {
    let mut all = Windowed::<TaskTotal>::default();
    for task in tasks {
        for (window, total) in task.iter() {
            let uptime = all[window].uptime.max(total.uptime);
            all[window].absorb(total);
            all[window].uptime = uptime;
        }
    }
    all
}

fn figures(window: Window, total: &TaskTotal) -> Figures {
    let executor = &total.executor;
    let mut figures = Figures {
        tracked: total.tracked,
        lost: total.lost,
        replayed: total.replayed,
        late_acks: executor.late_acks,
        dropped: executor.dropped,
        queue_latency: executor.queue_latency.clone(),
        busy: executor.busy,
        uptime: total.uptime,
        ..Figures::default()
    };
    for output in total.outputs.values() {
        figures.emitted += output.emitted;
        figures.transferred += output.transferred;
        figures.acked += output.acked;
        figures.failed += output.failed;
        figures.complete_latency.merge(&output.complete_latency);
    }
    for input in total.inputs.values() {
        figures.executed += input.executed;
        figures.acked += input.acked;
        figures.failed += input.failed;
        figures.execute_latency.merge(&input.execute_latency);
        figures.process_latency.merge(&input.process_latency);
    }
    let inputs = total.inputs.values().map(|input| (input.executed, &input.execute_latency));
    figures.capacity = capacity(window, inputs, total.uptime);
    figures
}

fn stream_figures(total: &Windowed<TaskTotal>) -> Vec<StreamFigures> {
    // All time has every key, the shorter windows only those that something was counted for.
    let figures = |stream| Windowed::new(|window| of_key(&total[window].outputs, stream));
    let streams = total.all_time.outputs.keys();
    streams.map(|stream| StreamFigures { stream: stream.clone(), figures: figures(stream) }).collect()
}

fn input_figures(total: &Windowed<TaskTotal>) -> Vec<InputFigures> {
    let inputs = total.all_time.inputs.keys().map(|key| InputFigures {
        component: key.0.clone(),
        stream: key.1.clone(),
        figures: Windowed::new(|window| of_key(&total[window].inputs, key)),
    });
    inputs.collect()
}

fn of_key<K: Ord + Clone, T: Total>(totals: &ByKey<K, T>, key: &K) -> T {
    totals.get(key).cloned().unwrap_or_default()
}

/// Counters and histograms of several tasks by name. Where a name means different kinds in
/// different tasks, the first one's stays.
fn metrics_together<'a>(metrics: impl Iterator<Item = &'a UserMetric>) -> Vec<UserMetric> {
    let mut all: BTreeMap<&str, MetricValue> = BTreeMap::new();
    for UserMetric { name, value } in metrics {
        match (all.get_mut(name.as_str()), value) {
            (_, MetricValue::Gauge(_)) => {}
            (Some(MetricValue::Counter(mine)), MetricValue::Counter(n)) => *mine = mine.saturating_add(*n),
            (Some(MetricValue::Histogram(mine)), MetricValue::Histogram(other)) => mine.merge(other),
            (Some(_), _) => {}
            (None, value) => {
                all.insert(name, value.clone());
            }
        }
    }
    all.into_iter().map(|(name, value)| UserMetric { name: name.to_owned(), value }).collect()
}
