//! What happened in a run of a topology, and what can be asserted about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use storm_engine::ledger::slot_of;
use storm_engine::stepped::{HeldTuple, Stepped};
use storm_engine::{ErrorReport, Snapshot};
use storm_model::{ComponentId, ComponentKind, ComponentSpec, TaskId, TaskTable, TopologySpec, Value};

use super::record::{Key, Record, compare_rows};
use super::records::{Records, listed};
use super::watched::{End, Journal, Tree};

/// What happened in a run of a topology.
///
/// Its assertions fail with a message that names the component, the task, the tuple, what was
/// expected, and the seed that shows it again.
pub struct History {
    spec: TopologySpec,
    tasks: TaskTable,
    journal: Arc<Journal>,
    seed: u64,
    snapshot: Snapshot,
    errors: Vec<ErrorReport>,
    took: Duration,
    /// Trees that are neither acked nor failed.
    waiting: Vec<Waiting>,
    /// Retained tuples that belong to none of these.
    loose: Vec<Holder>,
}

/// A tree that is neither acked nor failed.
struct Waiting {
    tree: Tree,
    holders: Vec<Holder>,
}

/// A bolt task that retains a tuple.
struct Holder {
    component: ComponentId,
    task: TaskId,
    since: Duration,
    is_tracked: bool,
    /// The tuple; not known of one that is not tracked.
    tuple: Option<Record>,
}

impl History {
    pub(super) fn new(spec: TopologySpec, journal: Arc<Journal>, seed: u64) -> History {
        History {
            tasks: TaskTable::new(&spec),
            spec,
            journal,
            seed,
            snapshot: Snapshot::default(),
            errors: Vec::new(),
            took: Duration::ZERO,
            waiting: Vec::new(),
            loose: Vec::new(),
        }
    }

    /// Looks at the run as it is now.
    pub(super) fn look(&mut self, run: &mut Stepped) {
        self.took = self.journal.now();
        self.snapshot = run.snapshot();
        self.errors = run.errors().to_vec();
        let (held, pending) = (run.held_tuples(), run.pending_trees());
        let notes = self.journal.notes();
        // An edge is one tuple's at one task alone.
        let arrivals: BTreeMap<u64, &Record> = match held.is_empty() {
            true => BTreeMap::new(),
            false => notes.arrivals.iter().filter_map(|r| Some((r.anchors.first()?.edge, r))).collect(),
        };
        let holder = |held: &HeldTuple| Holder {
            component: held.component.clone(),
            task: held.task,
            since: self.journal.since_start(held.since),
            is_tracked: !held.anchors.is_empty(),
            tuple: held.anchors.first().and_then(|a| Some((*arrivals.get(&a.edge)?).clone())),
        };
        let mut waiting = BTreeMap::new();
        for tree in &pending {
            if let Some(at) = notes.pending.get(&(tree.task, slot_of(tree.root))) {
                let tree_of = Waiting { tree: notes.trees[*at].clone(), holders: Vec::new() };
                waiting.insert((tree.task, tree.root), tree_of);
            }
        }
        self.loose.clear();
        for held in &held {
            let mut is_loose = true;
            for anchor in &held.anchors {
                if let Some(tree) = waiting.get_mut(&(anchor.task, anchor.root)) {
                    tree.holders.push(holder(held));
                    is_loose = false;
                }
            }
            if is_loose {
                self.loose.push(holder(held));
            }
        }
        self.waiting = waiting.into_values().collect();
        self.waiting.sort_by_key(|w| w.tree.root.at);
    }

    // === What happened ===

    /// Values that a component emitted to stream `default`, in order of the emits.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn emitted(&self, component: &str) -> Vec<Vec<Value>> {
        self.emitted_to(component, storm_model::DEFAULT_STREAM)
    }

    /// The same sorted: for assertions where the order depends on the seed.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn emitted_sorted(&self, component: &str) -> Vec<Vec<Value>> {
        let mut rows = self.emitted(component);
        rows.sort_by(|a, b| compare_rows(a, b));
        rows
    }

    /// Values that a component emitted to a stream, in order of the emits.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn emitted_to(&self, component: &str, stream: &str) -> Vec<Vec<Value>> {
        self.component(component);
        let notes = self.journal.notes();
        let emits = notes.emits.iter().filter(|r| r.emitter.0 == *component && r.stream == *stream);
        emits.map(|r| r.values.clone()).collect()
    }

    /// What a component emitted, to be asserted about.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn emits(&self, component: &str) -> Records {
        let streams = self.component(component).outputs.iter();
        let streams = streams.map(|s| (component.into(), s.clone())).collect();
        let is_emitter = |r: &&Record| r.emitter.0 == *component;
        let records = self.journal.notes().emits.iter().filter(is_emitter).cloned().collect();
        let tasks = self.tasks.tasks_of(component).collect();
        Records::new(format!("'{component}' emitted"), tasks, streams, records, self.note_on_tuples())
    }

    /// What a bolt got, in the order in which its tasks executed it, to be asserted about.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn arrivals(&self, component: &str) -> Records {
        let inputs = self.component(component).inputs.iter();
        let streams = inputs.filter_map(|i| {
            let (_, stream) = self.spec.components[&i.component].output(i.stream.as_str())?;
            Some((i.component.clone(), stream.clone()))
        });
        let is_receiver = |r: &&Record| r.receiver.as_ref().is_some_and(|(c, _)| *c == *component);
        let records = self.journal.notes().arrivals.iter().filter(is_receiver).cloned().collect();
        let tasks = self.tasks.tasks_of(component).collect();
        Records::new(format!("'{component}' got"), tasks, streams.collect(), records, self.note_on_tuples())
    }

    /// Tuples that a component acked: a spout's trees, a bolt's inputs.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn acked(&self, component: &str) -> u64 {
        self.component(component);
        self.snapshot.sum(component, |t| t.acked())
    }

    /// Tuples that a component failed: a spout's trees, a bolt's inputs.
    ///
    /// # Panics
    /// When there is no such component.
    #[track_caller]
    pub fn failed(&self, component: &str) -> u64 {
        self.component(component);
        self.snapshot.sum(component, |t| t.failed())
    }

    /// All figures.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Errors that components had, as far as they were reported: at most
    /// `topology.max.error.report.per.interval` per executor and interval.
    pub fn errors(&self) -> &[ErrorReport] {
        &self.errors
    }

    /// How long it took on the virtual clock, or has taken so far.
    pub fn took(&self) -> Duration {
        self.took
    }

    // === What should have happened ===

    /// Every tuple that a spout tracked was acked, and no bolt holds one. A tuple that failed is
    /// fine if the spout emitted an equal one later (same stream, same values) and that was acked:
    /// at least once.
    ///
    /// # Panics
    /// When that is not so: with each tuple that waits for its ack, which task of which bolt holds
    /// it and since when, and each that failed for good.
    #[track_caller]
    pub fn assert_all_acked(&self) {
        let mut problems = self.open();
        problems.extend(self.lost());
        self.report(
            "not everything is acked",
            problems,
            "every tracked tuple is acked, one that failed when it was emitted again",
        );
    }

    /// No tuple that a spout tracked failed, timed out or was lost.
    ///
    /// # Panics
    /// When one did: with each of them, the cause, and the errors that were reported.
    #[track_caller]
    pub fn assert_none_failed(&self) {
        let notes = self.journal.notes();
        let failed = notes.trees.iter().filter_map(|tree| Some(format!("{} {}", tree.told(), fate(tree)?)));
        let failed = failed.collect();
        drop(notes);
        self.report("tuples failed", failed, "no tracked tuple fails");
    }

    /// No component had an error.
    ///
    /// # Panics
    /// When one had: with all that were reported.
    #[track_caller]
    pub fn assert_no_errors(&self) {
        assert!(self.errors.is_empty(), "{}expected: no errors\n{}", self.error_list(), self.note());
    }

    #[track_caller]
    fn report(&self, what: &str, problems: Vec<String>, expected: &str) {
        if !problems.is_empty() {
            let (list, errors, note) = (listed(&problems), self.error_list(), self.note());
            panic!("{what}:\n{list}{errors}expected: {expected}\n{note}");
        }
    }

    /// What is neither acked nor failed: a line or more each.
    pub(super) fn open(&self) -> Vec<String> {
        let waiting = self.waiting.iter().map(|Waiting { tree, holders }| {
            let age = self.took.saturating_sub(tree.root.at);
            let mut text = format!("{} is neither acked nor failed after {age:?}:", tree.told());
            for holder in holders {
                write!(text, "\n    {}", holder.told()).expect("a string takes everything");
            }
            if holders.is_empty() {
                text += "\n    no bolt holds it: a part of it is on its way, or waits in a queue";
            }
            text
        });
        let loose = self.loose.iter().map(|holder| {
            let why = if holder.is_tracked { "its tree has ended" } else { "it is not tracked" };
            format!("{}; {why}", holder.told())
        });
        waiting.chain(loose).collect()
    }

    /// Trees that failed, without another one of the same values that was acked or is pending.
    fn lost(&self) -> Vec<String> {
        let notes = self.journal.notes();
        let same = |tree: &Tree| {
            (tree.root.emitter.0.clone(), tree.root.stream.clone(), Key(tree.root.values.clone()))
        };
        // The last tree of each row decides.
        let last: BTreeMap<_, &Tree> = notes.trees.iter().map(|tree| (same(tree), tree)).collect();
        let mut lost: Vec<_> = last.into_values().filter_map(|tree| Some((tree, fate(tree)?))).collect();
        lost.sort_by_key(|(tree, _)| tree.root.at);
        lost.iter().map(|(tree, fate)| format!("{} {fate} and was not emitted again", tree.told())).collect()
    }

    /// The errors of components for the end of a message; nothing when there are none.
    pub(super) fn error_list(&self) -> String {
        if self.errors.is_empty() {
            return String::new();
        }
        // Alike ones once.
        let mut counted: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for (i, ErrorReport { component, task, message, .. }) in self.errors.iter().enumerate() {
            let text = format!("'{component}' (task {task}): {message}");
            counted.entry(text).or_insert((i, 0)).1 += 1;
        }
        let mut errors: Vec<_> = counted.into_iter().collect();
        errors.sort_by_key(|(_, (first, _))| *first);
        let told = |(text, (_, n)): &(String, (usize, u64))| match n {
            1 => text.clone(),
            n => format!("{text} ({n} times)"),
        };
        format!("errors:\n{}", listed(&errors.iter().map(told).collect::<Vec<_>>()))
    }

    /// What each component has done, a line each.
    pub(super) fn figures(&self) -> String {
        let mut text = String::from("figures:\n");
        for (id, spec) in &self.spec.components {
            let sum = |figure: fn(&storm_engine::TaskSnapshot) -> u64| self.snapshot.sum(id.as_str(), figure);
            let (emitted, acked, failed) = (sum(|t| t.emitted()), sum(|t| t.acked()), sum(|t| t.failed()));
            let rest = match spec.kind {
                ComponentKind::Spout => format!("pending {}, lost {}", sum(|t| t.pending), sum(|t| t.lost)),
                ComponentKind::Bolt => {
                    format!("executed {}, retained {}", sum(|t| t.executed()), sum(|t| t.retained))
                }
            };
            writeln!(text, "  '{id}': emitted {emitted}, acked {acked}, failed {failed}, {rest}")
                .expect("a string takes everything");
        }
        text
    }

    /// How to see the run again.
    pub(super) fn note(&self) -> String {
        format!("seed {seed}: `.seed({seed})` runs it again", seed = self.seed)
    }

    /// The same, after what explains tuples that came twice or late.
    fn note_on_tuples(&self) -> String {
        let failed = self.journal.notes().trees.iter().filter(|tree| fate(tree).is_some()).count();
        match failed {
            0 => self.note(),
            n => format!("tracked tuples that failed: {n}, see `assert_none_failed`\n{}", self.note()),
        }
    }

    #[track_caller]
    fn component(&self, id: &str) -> &ComponentSpec {
        let known = || self.spec.components.keys().map(|c| c.as_str()).collect::<Vec<_>>().join(", ");
        let spec = self.spec.components.get(id);
        spec.unwrap_or_else(|| panic!("the topology has no component '{id}'; there are: {}", known()))
    }
}

impl Holder {
    fn told(&self) -> String {
        let Holder { component, task, since, tuple, .. } = self;
        let tuple = match tuple {
            None => "a tuple".to_owned(),
            Some(tuple) => format!("{tuple} from '{}' (task {})", tuple.emitter.0, tuple.emitter.1),
        };
        format!("'{component}' (task {task}) retained {tuple} {since:?} after the start and holds it")
    }
}

/// What became of a tree that was not acked and is not pending.
fn fate(tree: &Tree) -> Option<String> {
    let (end, at) = tree.end.as_ref()?;
    let age = at.saturating_sub(tree.root.at);
    match end {
        End::Acked => None,
        End::Failed(cause) => Some(format!("failed after {age:?} ({cause})")),
        End::Lost => Some(format!("was lost after {age:?} (its spout panicked)")),
    }
}
