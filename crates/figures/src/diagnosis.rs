//! What holds a topology up, in plain words.
//!
//! A full inbox alone accuses the wrong one: with back-pressure everything above a slow component is
//! full, too. So the edges are walked down to the last full one, and what it does is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storm_model::cycles::closing_edges;
use storm_model::{ComponentId, ComponentKind, ComponentSpec, TopologySpec};

use crate::figures::{ComponentFigures, ExecutorFigures, Figures, TopologyFigures};
use crate::window::Window;

/// As many lines as people read.
const LINES: usize = 3;
/// Senders that wait for credit are rung once half of a window is free: the inbox of an executor that
/// cannot keep up swings between half full and full.
const BACKED_UP: f64 = 0.5;
/// A backed-up inbox says nothing by itself, for small windows are used up by a few rows. It counts if
/// rows also wait in it for so long; a batch waits for a millisecond or so anyway, until its flush.
const WAITS_IN_QUEUE: Duration = Duration::from_millis(10);
/// Or if its executor has this little time to spare: the mean of ten minutes hides the peaks.
const WORKS: f64 = 0.7;
/// From here on a little more input is too much, though nothing waits yet.
const NEAR_LIMIT: f64 = 0.9;
/// A task with so many times its fair share holds its component to two thirds of what it could do.
const SKEW: f64 = 1.5;
/// Of fewer tuples an uneven deal is chance.
const SKEW_TUPLES: u64 = 100;
/// Fewer failures are what a restart or a single bad tuple leaves behind.
const FAILING: f64 = 0.01;
/// A spout at its limit emits as soon as an ack comes, and so hovers just below it.
const AT_LIMIT: f64 = 0.9;
/// Acks are late when they come so much after `execute` began, and so many times later than it ended:
/// then something other than `execute` is waited for.
const LATE_ACK: Duration = Duration::from_millis(100);
/// See [`LATE_ACK`].
const LATE_ACK_TIMES: u32 = 10;
/// Workers report once a second, and are replaced after some five seconds of silence.
const SILENT: Duration = Duration::from_secs(10);
/// Whoever has just started has not had the time to give something.
const SETTLED: Duration = Duration::from_secs(60);
/// Where the number of pending trees per task is limited.
const MAX_PENDING: &str = "topology.max.spout.pending";

/// What holds a topology up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnosis {
    /// For the topology as a whole, the most important first; empty where all is well.
    pub lines: Vec<String>,
    /// The component that holds the others up.
    pub bottleneck: Option<ComponentId>,
    /// What a component waits for, in words.
    pub waits: BTreeMap<ComponentId, String>,
}

/// Looks for what holds a topology up.
///
/// Components that were never reported have nothing said of them, and neither does a topology whose
/// executors are all silent: whether it should run is not to be seen here. The limit of pending trees is read
/// from the configuration of `spec`: one that was given at submission counts if it was put there.
pub fn diagnose(spec: &TopologySpec, figures: &TopologyFigures) -> Diagnosis {
    let view = View::new(spec, figures);
    let waits = view.parts.iter().map(|(id, part)| ((*id).clone(), view.wait(part))).collect();
    if view.parts.values().all(|part| part.live == 0) {
        return Diagnosis { waits, ..Diagnosis::default() };
    }
    let culprits = view.culprits();
    let mut lines: Vec<String> = view.silence().into_iter().collect();
    lines.extend(culprits.iter().map(|part| view.accusation(part)));
    lines.extend(view.spouts().filter_map(|spout| view.failures(spout)));
    if culprits.is_empty() {
        // Otherwise they are what follows from it.
        lines.extend(view.spouts().filter_map(|spout| view.pending_line(spout)));
    }
    let bolts = || view.parts.values().filter(|part| part.spec.kind == ComponentKind::Bolt);
    lines.extend(bolts().filter_map(late_acks));
    lines.extend(bolts().filter(|part| !part.is_full).filter_map(near_limit));
    lines.extend(view.dry_spouts());
    lines.truncate(LINES);
    Diagnosis { lines, bottleneck: culprits.first().map(|part| part.id.clone()), waits }
}

/// A component that was reported, with what matters here.
struct Part<'a> {
    id: &'a ComponentId,
    spec: &'a ComponentSpec,
    all: &'a ComponentFigures,
    /// The last ten minutes, or its whole life where that is shorter.
    window: Window,
    /// Executors that report.
    live: usize,
    /// The fullest inbox, from 0 to 1.
    fill: f64,
    /// Its inbox holds up who sends to it.
    is_full: bool,
    /// The share of its time that its busiest executor is in `execute`.
    in_execute: f64,
    /// The share of its time that its busiest executor is not waiting.
    busy: f64,
}

impl<'a> Part<'a> {
    fn new(id: &'a ComponentId, spec: &'a ComponentSpec, all: &'a ComponentFigures) -> Part<'a> {
        let span = Window::TenMinutes.span().unwrap_or_default();
        let is_young = all.figures[Window::AllTime].uptime < span;
        let window = if is_young { Window::AllTime } else { Window::TenMinutes };
        let highest = |of: &dyn Fn(&ExecutorFigures) -> f64| live(all).map(of).fold(0.0, f64::max).min(1.0);
        let fill = highest(&|executor| executor.gauges.queue_fill);
        let in_execute = highest(&|executor| executor.figures[window].capacity);
        let busy = highest(&|executor| busy_share(&executor.figures[window]));
        let waits = live(all).any(|executor| {
            executor.gauges.queue_fill >= BACKED_UP
                && executor.figures[window].queue_latency.mean() >= WAITS_IN_QUEUE
        });
        let has_no_time = in_execute.max(busy) >= WORKS;
        let is_full = spec.kind == ComponentKind::Bolt && fill >= BACKED_UP && (waits || has_no_time);
        Part { id, spec, all, window, live: live(all).count(), fill, is_full, in_execute, busy }
    }

    fn figures(&self) -> &Figures {
        &self.all.figures[self.window]
    }

    fn load(&self) -> f64 {
        self.in_execute.max(self.busy)
    }

    fn when(&self) -> &'static str {
        if self.window == Window::AllTime { "since it started" } else { "in the last 10 minutes" }
    }

    /// What it does with its time.
    fn work(&self) -> String {
        let (in_execute, busy) = (percent(self.in_execute), percent(self.busy));
        if self.in_execute >= BACKED_UP {
            return format!("{in_execute} of its time in execute");
        }
        format!("{busy} of its time at work, {in_execute} in execute")
    }
}

/// Executors that report. The gauges of the others are what was once.
fn live(component: &ComponentFigures) -> impl Iterator<Item = &ExecutorFigures> {
    component.executors.iter().filter(|executor| executor.silent < SILENT)
}

fn busy_share(figures: &Figures) -> f64 {
    let uptime = figures.uptime.as_secs_f64();
    if uptime == 0.0 { 0.0 } else { figures.busy.as_secs_f64() / uptime }
}

struct View<'a> {
    spec: &'a TopologySpec,
    parts: BTreeMap<&'a ComponentId, Part<'a>>,
    /// Who sends to whom on credit: edges that close a cycle need none.
    edges: BTreeSet<(&'a ComponentId, &'a ComponentId)>,
}

impl<'a> View<'a> {
    fn new(spec: &'a TopologySpec, figures: &'a TopologyFigures) -> View<'a> {
        let part = |(id, component): (&'a ComponentId, &'a ComponentSpec)| {
            Some((id, Part::new(id, component, figures.component(id.as_str())?)))
        };
        let closing = closing_edges(spec);
        let inputs = spec
            .components
            .iter()
            .flat_map(|(to, component)| component.inputs.iter().map(move |input| (&input.component, to)));
        let needs_credit =
            |(from, to): &(&ComponentId, &ComponentId)| !closing.contains(&((*from).clone(), (*to).clone()));
        let edges = inputs.filter(needs_credit).collect();
        View { spec, parts: spec.components.iter().filter_map(part).collect(), edges }
    }

    fn spouts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.parts.values().filter(|part| part.spec.kind == ComponentKind::Spout)
    }

    /// Executors that are not heard of while others are: most often those of one worker.
    fn silence(&self) -> Option<String> {
        let longest = self.parts.values().filter_map(|part| quietest(part.all)).max()?;
        let all: usize = self.parts.values().map(|part| part.all.executors.len()).sum();
        let gone = all - self.parts.values().map(|part| part.live).sum::<usize>();
        let whose =
            names(self.parts.values().filter(|part| quietest(part.all).is_some()).map(|part| part.id));
        let have = if gone == 1 { "has" } else { "have" };
        Some(format!("{gone} of {all} executors {have} not been heard of for {}: of {whose}", time(longest)))
    }

    /// Those below it that hold it up.
    fn full_consumers(&self, id: &ComponentId) -> impl Iterator<Item = &Part<'a>> {
        let consumers = self.edges.iter().filter(move |(from, _)| *from == id);
        consumers.filter_map(|(_, to)| self.parts.get(to)).filter(|part| part.is_full)
    }

    /// The last full ones on the way down, the busiest first: who is full with nothing full below it has
    /// only itself to blame.
    fn culprits(&self) -> Vec<&Part<'a>> {
        let is_culprit = |part: &&Part<'a>| {
            let has_senders = self.senders(part.id).next().is_some();
            part.is_full && has_senders && self.full_consumers(part.id).next().is_none()
        };
        let mut culprits: Vec<_> = self.parts.values().filter(is_culprit).collect();
        culprits.sort_by(|a, b| b.load().total_cmp(&a.load()));
        culprits
    }

    /// Who waits because of it: the spouts that are reached by full inboxes alone, or else who sends to it.
    fn held_back(&self, culprit: &Part<'a>) -> Vec<&'a ComponentId> {
        let mut found: BTreeSet<&ComponentId> = BTreeSet::new();
        let mut open: Vec<&ComponentId> = self.senders(culprit.id).collect();
        while let Some(id) = open.pop() {
            if found.insert(id) && self.parts.get(id).is_some_and(|part| part.is_full) {
                open.extend(self.senders(id));
            }
        }
        let is_spout = |id: &&ComponentId| self.spec.components[*id].kind == ComponentKind::Spout;
        let spouts: Vec<_> = found.iter().copied().filter(is_spout).collect();
        if spouts.is_empty() { self.senders(culprit.id).collect() } else { spouts }
    }

    fn senders(&self, id: &'a ComponentId) -> impl Iterator<Item = &'a ComponentId> {
        let edges = self.edges.iter().filter(move |(_, to)| *to == id);
        edges.map(|(from, _)| *from).filter(|from| self.spec.components.contains_key(*from))
    }

    fn accusation(&self, culprit: &Part<'a>) -> String {
        let held = self.held_back(culprit);
        let are_spouts = held.iter().all(|id| self.spec.components[*id].kind == ComponentKind::Spout);
        let (noun, verb) = match (are_spouts, held.len()) {
            (true, 1) => ("spout ", "is"),
            (true, _) => ("spouts ", "are"),
            (false, 1) => ("", "is"),
            (false, _) => ("", "are"),
        };
        let mut line = format!(
            "{noun}{} {verb} held back by `{}` (queue {}), ",
            names(held.into_iter()),
            culprit.id,
            percent(culprit.fill)
        );
        if culprit.load() >= WORKS {
            line = line + "which spends " + &culprit.work();
        } else {
            // It waits for something that is not seen here: its thread, or the end of a pause after panics.
            line = line + "though that is at work only " + &percent(culprit.busy) + " of its time";
        }
        if let Some(skew) = skew(culprit) {
            line = line + ", " + &skew;
        }
        line
    }

    fn failures(&self, spout: &Part<'a>) -> Option<String> {
        let figures = spout.figures();
        let ended = figures.failed.saturating_add(figures.acked);
        let share = figures.failed as f64 / ended.max(1) as f64;
        if figures.failed == 0 || share < FAILING {
            return None;
        }
        let bolts = self.parts.values().filter(|part| part.spec.kind == ComponentKind::Bolt);
        let worst = bolts.filter(|part| part.figures().failed > 0).max_by_key(|part| part.figures().failed);
        let why = match worst {
            Some(bolt) => format!("`{}` failed {} tuples", bolt.id, bolt.figures().failed),
            None => "no bolt failed any, so they timed out or a worker ended".to_owned(),
        };
        let (id, when, failed) = (spout.id, spout.when(), figures.failed);
        let share = percent(share);
        Some(format!("spout `{id}`: {share} of its trees failed {when} ({failed} of {ended}): {why}"))
    }

    /// The limit of pending trees for each of a spout's tasks, where one is set.
    fn limit(&self, spout: &Part<'_>) -> Option<u64> {
        let of = |config: &storm_model::ConfigMap| config.get(MAX_PENDING)?.as_u64();
        of(&spout.spec.config).or_else(|| of(&self.spec.config)).filter(|limit| *limit > 0)
    }

    /// What a spout has pending, if that is all it may have.
    fn pending(&self, spout: &Part<'_>) -> Option<String> {
        let limit = self.limit(spout)?;
        let reached = |pending: u64| pending as f64 >= AT_LIMIT * limit as f64;
        if spout.all.tasks.is_empty() || !spout.all.tasks.iter().all(|task| reached(task.gauges.pending)) {
            return None;
        }
        let (pending, tasks) = (spout.all.gauges.pending, spout.all.tasks.len() as u64);
        let all = limit.saturating_mul(tasks);
        let each = if tasks > 1 { format!(", {limit} for each task") } else { String::new() };
        Some(format!("{pending} trees pending, the limit is {all}{each}"))
    }

    fn pending_line(&self, spout: &Part<'_>) -> Option<String> {
        let pending = self.pending(spout)?;
        let latency = &spout.figures().complete_latency;
        let takes = match latency.is_empty() {
            true => "none was acked".to_owned(),
            false => format!("a tree takes {}", time(latency.mean())),
        };
        Some(format!("spout `{}` waits for acks: {pending}; {takes} {}", spout.id, spout.when()))
    }

    /// Spouts that give nothing while others do. If none does, the topology is idle, and that is no fault.
    fn dry_spouts(&self) -> Vec<String> {
        if self.spouts().all(|spout| spout.figures().emitted == 0) {
            return Vec::new();
        }
        let dry =
            self.spouts().filter(|spout| is_dry(spout) && self.full_consumers(spout.id).next().is_none());
        dry.map(|spout| format!("spout `{}` has given nothing {}", spout.id, spout.when())).collect()
    }

    /// What a component waits for.
    fn wait(&self, part: &Part<'_>) -> String {
        if part.live == 0 {
            return match quietest(part.all) {
                Some(silent) => format!("nothing was heard of it for {}", time(silent)),
                None => "nothing was heard of it yet".to_owned(),
            };
        }
        let is_spout = part.spec.kind == ComponentKind::Spout;
        let full: Vec<_> = self.full_consumers(part.id).map(|part| part.id).collect();
        if !full.is_empty() && (is_spout || part.load() < WORKS) {
            let whose = if full.len() == 1 { "whose queue is full" } else { "whose queues are full" };
            return format!("waits for {}, {whose}", names(full.into_iter()));
        }
        if is_spout { self.spout_wait(part) } else { bolt_wait(part) }
    }

    fn spout_wait(&self, spout: &Part<'_>) -> String {
        if let Some(pending) = self.pending(spout) {
            return pending;
        }
        if is_dry(spout) {
            return format!("gives nothing: no tuple {}", spout.when());
        }
        let busy = percent(spout.busy);
        // A spout that blocks in its own code until there is something looks the same.
        if spout.busy >= NEAR_LIMIT {
            return format!("sets the pace: {busy} of its time at work, and nothing is full below it");
        }
        format!("waits for its source: {busy} of its time at work")
    }
}

fn bolt_wait(bolt: &Part<'_>) -> String {
    let mut text = if bolt.load() >= WORKS {
        format!("works: {}", bolt.work())
    } else if bolt.is_full {
        format!("its queue is full, and only {} of its time is it at work", percent(bolt.busy))
    } else if bolt.figures().executed == 0 {
        format!("waits for input: none came {}", bolt.when())
    } else {
        format!("waits for input: {}", bolt.work())
    };
    if let Some(late) = lateness(bolt) {
        text = text + "; " + &late;
    }
    text
}

/// For how long the executor that is silent for longest has been.
fn quietest(component: &ComponentFigures) -> Option<Duration> {
    let silent = component.executors.iter().map(|executor| executor.silent);
    silent.filter(|silent| *silent >= SILENT).max()
}

/// The task that gets more than its share.
fn skew(part: &Part<'_>) -> Option<String> {
    let executed = |figures: &Figures| figures.executed;
    let tasks: Vec<u64> = part.all.tasks.iter().map(|task| executed(&task.figures[part.window])).collect();
    let all = tasks.iter().fold(0u64, |all, executed| all.saturating_add(*executed));
    let most = tasks.iter().copied().max()?;
    let share = most as f64 / all.max(1) as f64;
    let is_skewed = tasks.len() > 1 && all >= SKEW_TUPLES && share * tasks.len() as f64 >= SKEW;
    is_skewed.then(|| format!("1 of {} tasks gets {} of its tuples", tasks.len(), percent(share)))
}

/// How late a bolt acks, if that is late.
fn lateness(bolt: &Part<'_>) -> Option<String> {
    let figures = bolt.figures();
    let (process, execute) = (figures.process_latency.mean(), figures.execute_latency.mean());
    if process < LATE_ACK || process < execute.saturating_mul(LATE_ACK_TIMES) {
        return None;
    }
    let mut text = format!("acks {} after execute began, which takes {}", time(process), time(execute));
    let gauges = &bolt.all.gauges;
    if gauges.retained > 0 {
        let (retained, oldest) = (gauges.retained, time(gauges.oldest_retained));
        text = text + &format!("; it retains {retained} tuples, the oldest for {oldest}");
    }
    Some(text)
}

fn late_acks(bolt: &Part<'_>) -> Option<String> {
    Some(format!("`{}` {}", bolt.id, lateness(bolt)?))
}

fn near_limit(bolt: &Part<'_>) -> Option<String> {
    let is_near = bolt.load() >= NEAR_LIMIT;
    is_near.then(|| format!("`{}` is close to its limit: it spends {}", bolt.id, bolt.work()))
}

/// Whether a spout has had the time to give something and did not.
fn is_dry(spout: &Part<'_>) -> bool {
    let figures = spout.figures();
    figures.emitted == 0 && figures.uptime >= SETTLED && spout.all.gauges.pending == 0
}

/// "`a`, `b` and `c`".
fn names<'a>(ids: impl Iterator<Item = &'a ComponentId>) -> String {
    let names: Vec<String> = ids.map(|id| format!("`{id}`")).collect();
    match &*names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Rounded as people round, but never to nothing or all where it is not.
fn percent(share: f64) -> String {
    let percent = share.clamp(0.0, 1.0) * 100.0;
    match percent {
        _ if percent > 0.0 && percent < 1.0 => "less than 1 %".to_owned(),
        _ if percent > 99.0 && percent < 100.0 => "99 %".to_owned(),
        _ => format!("{percent:.0} %"),
    }
}

fn time(duration: Duration) -> String {
    let secs = duration.as_secs_f64();
    match secs {
        _ if secs >= 120.0 => format!("{:.0} min", secs / 60.0),
        _ if secs >= 10.0 => format!("{secs:.0} s"),
        _ if secs >= 1.0 => format!("{secs:.1} s"),
        _ if secs >= 0.01 => format!("{:.0} ms", secs * 1e3),
        _ if secs >= 0.001 => format!("{:.1} ms", secs * 1e3),
        _ => format!("{:.0} µs", secs * 1e6),
    }
}

#[cfg(test)]
mod tests;
