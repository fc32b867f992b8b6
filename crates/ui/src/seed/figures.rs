//! What such a topology would have counted and measured: rates go through the graph, windows are
//! rates times their length, and sums are sums.

use std::collections::BTreeMap;
use std::time::Duration;

use storm_figures::{
    ComponentFigures, Distribution, ExecutorFigures, Figures, Gauges, InputFigures, InputTotal, Latency,
    MetricValue, OutputTotal, StreamFigures, TaskFigures, TopologyFigures, Total as _, Trend, TrendPoint,
    UserMetric, Window, Windowed,
};
use storm_model::{
    ComponentId, ComponentKind, ComponentSpec, ExecutorId, GroupingSpec, StreamId, TaskId, TaskTable,
    TopologySpec, tasks,
};

use super::random::Random;

/// How a topology goes.
pub(super) struct Pace {
    /// Tuples that each spout emits a second.
    pub(super) rate: f64,
    /// How long the topology has been up.
    pub(super) uptime: Duration,
    /// How long ago its spouts stopped to emit; zero while they do.
    pub(super) stopped: Duration,
    /// Share of trees that fail.
    pub(super) failing: f64,
    /// Component that is busy all the time.
    pub(super) hot: Option<&'static str>,
    /// Executors that are placed nowhere have no figures.
    pub(super) unplaced: Vec<ExecutorId>,
}

impl Pace {
    /// How much of the window its spouts emitted in.
    fn active(&self, window: Window) -> f64 {
        let seen = window.span().map_or(self.uptime, |span| span.min(self.uptime));
        seen.saturating_sub(self.stopped).as_secs_f64()
    }
}

/// The rates of a component: a second, all tasks together.
#[derive(Clone, Debug, Default)]
struct Rates {
    outputs: Vec<(StreamId, f64, f64)>,
    inputs: Vec<(ComponentId, StreamId, f64)>,
}

/// Figures of all components.
pub(super) fn figures(spec: &TopologySpec, pace: &Pace, random: &mut Random) -> TopologyFigures {
    let rates = rates(spec, pace.rate, random);
    let table = TaskTable::new(spec);
    let executors = tasks::executors(spec, &table);
    let components = spec.components.iter().map(|(id, component)| {
        let mine = executors.iter().filter(|(of, executor)| of == id && !pace.unplaced.contains(executor));
        let mine: Vec<ExecutorId> = mine.map(|(_, executor)| *executor).collect();
        of_component(id, component, &rates[id], &mine, pace, random)
    });
    TopologyFigures { components: components.collect() }
}

/// Follows the tuples from the spouts on. A component whose sources are not known yet waits for the
/// next round; the graphs here have no cycles.
fn rates(spec: &TopologySpec, spout_rate: f64, random: &mut Random) -> BTreeMap<ComponentId, Rates> {
    let mut known: BTreeMap<ComponentId, Rates> = BTreeMap::new();
    while known.len() < spec.components.len() {
        for (id, component) in &spec.components {
            let ready = component.inputs.iter().all(|input| known.contains_key(&input.component));
            if known.contains_key(id) || !ready {
                continue;
            }
            let emitted = |component: &ComponentId, stream: &StreamId| {
                let outputs = &known[component].outputs;
                outputs.iter().find(|(output, ..)| output == stream).map_or(0.0, |(_, rate, _)| *rate)
            };
            let inputs = component.inputs.iter().map(|input| {
                let copies = copies(&input.grouping, component);
                let rate = emitted(&input.component, &input.stream) * copies;
                (input.component.clone(), input.stream.clone(), rate)
            });
            let inputs: Vec<_> = inputs.collect();
            let received: f64 = inputs.iter().map(|(.., rate)| rate).sum();
            let outputs = component.outputs.iter().map(|stream| {
                // What goes wrong or is rare has a stream of its own.
                let rare = ["alarms", "malformed", "updates"].contains(&stream.id.as_str());
                let rate = match component.kind {
                    ComponentKind::Spout => spout_rate * random.between(0.8, 1.2),
                    ComponentKind::Bolt if rare => received * 0.002,
                    ComponentKind::Bolt if *id == "split" => received * 7.4,
                    ComponentKind::Bolt => received * random.between(0.6, 1.0),
                };
                let subscribers =
                    spec.components.values().flat_map(|to| to.inputs.iter().map(move |i| (to, i)));
                let mine =
                    subscribers.filter(|(_, input)| input.component == *id && input.stream == stream.id);
                let sent = mine.map(|(to, input)| copies(&input.grouping, to)).sum::<f64>();
                (stream.id.clone(), rate, rate * sent)
            });
            let outputs = outputs.collect();
            known.insert(id.clone(), Rates { outputs, inputs });
        }
    }
    known
}

/// How many tasks get each tuple.
fn copies(grouping: &GroupingSpec, to: &ComponentSpec) -> f64 {
    if *grouping == GroupingSpec::All { to.tasks.into() } else { 1.0 }
}

fn of_component(
    id: &ComponentId,
    spec: &ComponentSpec,
    rates: &Rates,
    executors: &[ExecutorId],
    pace: &Pace,
    random: &mut Random,
) -> ComponentFigures {
    let tasks: u32 = executors.iter().map(|executor| executor.task_count()).sum();
    let received: f64 = rates.inputs.iter().map(|(.., rate)| rate).sum();
    let is_hot = pace.hot.is_some_and(|hot| *id == hot);
    let load = if is_hot { random.between(0.95, 1.08) } else { random.between(0.02, 0.6) };
    let global =
        spec.inputs.iter().all(|input| input.grouping == GroupingSpec::Global) && !spec.inputs.is_empty();
    // Time within `execute` that leads to the load.
    let busy_tasks = if global { 1.0 } else { f64::from(tasks.max(1)) };
    let threads = if global { 1.0 } else { executors.len().max(1) as f64 };
    let execute = if received > 0.0 { load * threads / received } else { 0.0 };
    let complete = random.between(0.004, 0.09) * if pace.hot.is_some() { 14.0 } else { 1.0 };
    let mut all = Vec::new();
    let mut of_executors = Vec::new();
    for (place, executor) in executors.iter().enumerate() {
        let mut gauges = Gauges::default();
        let queue = if is_hot { random.between(0.8, 1.0) } else { load * random.between(0.05, 0.4) };
        if spec.kind == ComponentKind::Bolt {
            gauges.window_rows = 4096;
            gauges.credit_out = (4096.0 * queue) as u64;
            gauges.queue_fill = gauges.credit_out as f64 / 4096.0;
        }
        let mut total = Windowed::<Figures>::default();
        for task in executor.tasks() {
            let share = match (global, task == executors[0].first) {
                (true, true) => 1.0,
                (true, false) => 0.0,
                _ => random.between(0.85, 1.15) / busy_tasks,
            };
            let cut = Cut { spec, rates, pace, share, execute, complete, load };
            let mut of_task = cut.task(task, random);
            if task == executor.first {
                of_task.gauges.queue_fill = 0.0;
                let wait = Duration::from_secs_f64(execute * queue * 400.0 + 1e-6);
                for window in Window::ALL {
                    let figures = &mut of_task.figures[window];
                    figures.queue_latency = latency(wait, figures.executed);
                }
            }
            for window in Window::ALL {
                include(&mut total[window], &of_task.figures[window]);
            }
            gauges.pending += of_task.gauges.pending;
            gauges.retained += of_task.gauges.retained;
            gauges.oldest_retained = gauges.oldest_retained.max(of_task.gauges.oldest_retained);
            all.push(of_task);
        }
        for window in Window::ALL {
            let figures = &mut total[window];
            let uptime = window.span().map_or(pace.uptime, |span| span.min(pace.uptime));
            let share = pace.active(window) / uptime.as_secs_f64().max(1.0);
            figures.uptime = uptime;
            figures.busy = uptime.mul_f64((load * share).min(0.995));
            figures.capacity = figures.execute_latency.sum().as_secs_f64() / uptime.as_secs_f64().max(1.0);
        }
        of_executors.push(ExecutorFigures {
            executor: *executor,
            uptime: pace.uptime.saturating_sub(Duration::from_secs(3 + place as u64)),
            silent: Duration::from_millis(random.below(1_000)),
            figures: total,
            gauges,
        });
    }
    join(id, spec, all, of_executors)
}

/// A component is its tasks and executors together.
fn join(
    id: &ComponentId,
    spec: &ComponentSpec,
    tasks: Vec<TaskFigures>,
    executors: Vec<ExecutorFigures>,
) -> ComponentFigures {
    let mut figures = Windowed::<Figures>::default();
    let mut gauges = Gauges::default();
    for executor in &executors {
        for window in Window::ALL {
            let (mine, its) = (&mut figures[window], &executor.figures[window]);
            include(mine, its);
            mine.busy += its.busy;
            mine.uptime = mine.uptime.max(its.uptime);
            mine.capacity = mine.capacity.max(its.capacity);
        }
        gauges.pending += executor.gauges.pending;
        gauges.retained += executor.gauges.retained;
        gauges.oldest_retained = gauges.oldest_retained.max(executor.gauges.oldest_retained);
        if executor.gauges.queue_fill >= gauges.queue_fill {
            let Gauges { window_rows, credit_out, queue_fill, .. } = executor.gauges;
            (gauges.window_rows, gauges.credit_out, gauges.queue_fill) =
                (window_rows, credit_out, queue_fill);
        }
    }
    let mut streams: BTreeMap<StreamId, Windowed<OutputTotal>> = BTreeMap::new();
    let mut inputs: BTreeMap<(ComponentId, StreamId), Windowed<InputTotal>> = BTreeMap::new();
    for task in &tasks {
        for stream in &task.streams {
            let total = streams.entry(stream.stream.clone()).or_default();
            Window::ALL.into_iter().for_each(|window| total[window].absorb(&stream.figures[window]));
        }
        for input in &task.inputs {
            let total = inputs.entry((input.component.clone(), input.stream.clone())).or_default();
            Window::ALL.into_iter().for_each(|window| total[window].absorb(&input.figures[window]));
        }
    }
    let input = |((component, stream), figures)| InputFigures { component, stream, figures };
    let mut metrics: BTreeMap<String, UserMetric> = BTreeMap::new();
    for metric in tasks.iter().flat_map(|task| &task.metrics) {
        let known = metrics.entry(metric.name.clone());
        match (&mut known.or_insert_with(|| metric.clone()).value, &metric.value) {
            (MetricValue::Counter(sum), MetricValue::Counter(more)) => *sum += more,
            (MetricValue::Histogram(sum), MetricValue::Histogram(more)) => sum.merge(more),
            _ => {}
        }
    }
    metrics.retain(|_, metric| !matches!(metric.value, MetricValue::Gauge(_)));
    ComponentFigures {
        component: id.clone(),
        kind: spec.kind,
        figures,
        streams: streams.into_iter().map(|(stream, figures)| StreamFigures { stream, figures }).collect(),
        inputs: inputs.into_iter().map(input).collect(),
        gauges,
        executors,
        tasks,
        metrics: metrics.into_values().collect(),
    }
}

/// A task's part of its component.
struct Cut<'a> {
    spec: &'a ComponentSpec,
    rates: &'a Rates,
    pace: &'a Pace,
    share: f64,
    execute: f64,
    complete: f64,
    load: f64,
}

impl Cut<'_> {
    fn task(&self, task: TaskId, random: &mut Random) -> TaskFigures {
        let is_spout = self.spec.kind == ComponentKind::Spout;
        let pending = if is_spout && self.pace.stopped.is_zero() { 1 + random.below(40) } else { 0 };
        let streams: Vec<StreamFigures> =
            self.rates.outputs.iter().map(|output| self.stream(output)).collect();
        let inputs: Vec<InputFigures> = self.rates.inputs.iter().map(|input| self.input(input)).collect();
        let figures = Windowed::new(|window| {
            let mut sum = Figures::default();
            for stream in &streams {
                let OutputTotal { emitted, transferred, acked, failed, complete_latency } =
                    &stream.figures[window];
                sum.emitted += emitted;
                sum.transferred += transferred;
                sum.acked += acked;
                sum.failed += failed;
                sum.complete_latency.merge(complete_latency);
            }
            for input in &inputs {
                let InputTotal { executed, acked, failed, execute_latency, process_latency } =
                    &input.figures[window];
                sum.executed += executed;
                sum.acked += acked;
                sum.failed += failed;
                sum.execute_latency.merge(execute_latency);
                sum.process_latency.merge(process_latency);
            }
            sum.tracked = if is_spout { sum.emitted } else { 0 };
            sum.replayed = if is_spout { sum.failed } else { 0 };
            sum
        });
        let handled = figures.all_time.executed + figures.all_time.emitted;
        let mut sizes = Distribution::default();
        for size in [80.0, 120.0, 200.0, 900.0] {
            sizes.record_n(size, handled / 4);
        }
        let metric = |name: &str, value| UserMetric { name: name.to_owned(), value };
        let metrics = vec![
            metric("cache-hits", MetricValue::Counter(handled / 3)),
            metric("cache-size", MetricValue::Gauge((self.load * 1_000.0).round())),
            metric("record-bytes", MetricValue::Histogram(sizes)),
        ];
        let metrics = if is_spout { Vec::new() } else { metrics };
        let gauges = Gauges { pending, ..Gauges::default() };
        TaskFigures { task, incarnation: 0, figures, streams, inputs, gauges, metrics }
    }

    fn stream(&self, (stream, emitted, transferred): &(StreamId, f64, f64)) -> StreamFigures {
        let is_spout = self.spec.kind == ComponentKind::Spout;
        let figures = Windowed::new(|window| {
            let secs = self.pace.active(window) * self.share;
            let emits = (emitted * secs) as u64;
            let failed = if is_spout { (emits as f64 * self.pace.failing) as u64 } else { 0 };
            let acked = if is_spout { emits - failed } else { 0 };
            OutputTotal {
                emitted: emits,
                transferred: (transferred * secs) as u64,
                acked,
                failed,
                complete_latency: latency(Duration::from_secs_f64(self.complete), acked),
            }
        });
        StreamFigures { stream: stream.clone(), figures }
    }

    fn input(&self, (component, stream, rate): &(ComponentId, StreamId, f64)) -> InputFigures {
        let figures = Windowed::new(|window| {
            let executed = (rate * self.pace.active(window) * self.share) as u64;
            let failed = (executed as f64 * self.pace.failing / 4.0) as u64;
            let acked = executed - failed;
            let execute = Duration::from_secs_f64(self.execute);
            InputTotal {
                executed,
                acked,
                failed,
                execute_latency: latency(execute, executed),
                process_latency: latency(execute.mul_f64(0.93), acked),
            }
        });
        InputFigures { component: component.clone(), stream: stream.clone(), figures }
    }
}

/// Durations around a mean, with a tail to the right.
fn latency(mean: Duration, count: u64) -> Latency {
    // How much of all, at which multiple of the mean; together 100 and the mean.
    const TAIL: [(u64, f64); 7] =
        [(10, 0.4), (25, 0.6), (30, 0.85), (20, 1.15), (10, 1.7), (4, 3.0), (1, 4.35)];
    let mut latency = Latency::default();
    let mut left = count;
    for (share, multiple) in TAIL {
        let part = (count * share / 100).min(left);
        left -= part;
        latency.record_n(mean.mul_f64(multiple), part);
    }
    latency.record_n(mean, left);
    latency.to_compact()
}

/// Adds what is counted; time and capacity are not.
fn include(sum: &mut Figures, more: &Figures) {
    sum.emitted += more.emitted;
    sum.transferred += more.transferred;
    sum.executed += more.executed;
    sum.acked += more.acked;
    sum.failed += more.failed;
    sum.tracked += more.tracked;
    sum.replayed += more.replayed;
    sum.execute_latency.merge(&more.execute_latency);
    sum.process_latency.merge(&more.process_latency);
    sum.complete_latency.merge(&more.complete_latency);
    sum.queue_latency.merge(&more.queue_latency);
}

/// The last 30 minutes: 180 points of ten seconds, which swing around the mean.
pub(super) fn trend(figures: &TopologyFigures, pace: &Pace, random: &mut Random) -> Trend {
    let span = Duration::from_secs(10);
    let stats = figures.stats(Window::ThreeHours);
    let active = pace.active(Window::ThreeHours).max(1.0);
    let emitted: u64 = figures.components.iter().map(|c| c.figures[Window::ThreeHours].tracked).sum();
    let pending: u64 = figures.components.iter().map(|c| c.gauges.pending).sum();
    let point = |place: u64| {
        let ago = span * (180 - place as u32);
        if ago > pace.uptime || ago <= pace.stopped {
            return TrendPoint::default();
        }
        let swing = 1.0 + 0.25 * (place as f64 / 14.0).sin() + random.between(-0.06, 0.06);
        let of = |count: u64| (count as f64 / active * span.as_secs_f64() * swing) as u64;
        let quantile =
            |q| (stats.acked > 0).then(|| stats.complete_latency.quantile(q).mul_f64(swing.sqrt()));
        TrendPoint {
            emitted: of(emitted),
            transferred: of(stats.transferred),
            acked: of(stats.acked),
            failed: of(stats.failed),
            pending: (pending as f64 * swing) as u64,
            p50: quantile(0.5),
            p99: quantile(0.99),
        }
    };
    Trend { span, points: (0..180).map(point).collect() }
}
