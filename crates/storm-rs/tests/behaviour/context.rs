//! What a task knows of itself, its topology and its worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use storm_rs::engine::{Options, Run, RunError};
use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, ComponentError, Resources, Time, WorkerHook};

use crate::kit::*;

/// Calls a closure with each context.
struct Asking<F>(F);

impl<F> Bolt for Asking<F>
where
    F: Fn(&TaskContext) -> Result<(), BoltError> + Send + 'static,
{
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        (self.0)(ctx)
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        assert!(input.get::<i64>(0)? % 2 == 1, "an even number");
        Ok(())
    }
}

impl<F> Spout for Asking<F>
where
    F: Fn(&TaskContext) -> Result<(), SpoutError> + Send + 'static,
{
    type MessageId = i64;

    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["n"]);
    }

    fn open(&mut self, ctx: &TaskContext) -> Result<(), SpoutError> {
        (self.0)(ctx)
    }

    fn next_tuple(&mut self, _: &mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError> {
        Ok(Next::Done)
    }
}

/// What `ask` finds in the context of each task, in order of the tasks.
fn of_each<T: Send + 'static>(ask: fn(&TaskContext) -> T) -> Vec<T> {
    let answers: Log<(TaskId, T)> = log();
    let asking = || {
        let answers = answers.clone();
        move || {
            let answers = answers.clone();
            Asking(move |ctx: &TaskContext| {
                answers.lock().unwrap().push((ctx.task(), ask(ctx)));
                Ok(())
            })
        }
    };
    let mut t = TopologyBuilder::new();
    t.config("topology.message.timeout.secs", 7)
        .config("greeting", "hello")
        .config("limits", json!({"a": [1]}));
    t.set_spout("words", asking(), 2).config("topology.max.spout.pending", 9);
    t.set_bolt("count", asking(), 2)
        .num_tasks(3)
        .config("greeting", "hi")
        .config("own", 1.5)
        .shuffle_grouping("words");
    t.set_bolt("Zed", asking(), 1).shuffle_grouping("words");
    let mut topology = t.build().unwrap();
    let settings = configured(&mut topology, &["from.outside=true", "greeting=bye"]);
    let run = stepped(topology, settings, 1);
    run.stop();
    let mut answers = taken(&answers);
    answers.sort_by_key(|(task, _)| *task);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[test]
fn tasks_are_numbered_from_one_in_alphabetical_order_of_their_components() {
    let found = of_each(|ctx| {
        (ctx.component().as_str().to_owned(), ctx.task().0, ctx.task_index(), ctx.task_count())
    });
    // Bytewise, as in Storm: capitals first.
    let expected = [("Zed", 1, 0, 1), ("count", 2, 0, 3), ("count", 3, 1, 3), ("count", 4, 2, 3)];
    let expected = expected.into_iter().chain([("words", 5, 0, 2), ("words", 6, 1, 2)]);
    assert!(found.iter().map(|(c, a, b, n)| (&**c, *a, *b, *n)).eq(expected), "{found:?}");
}

#[test]
fn a_task_knows_the_tasks_of_other_components() {
    let found = of_each(|ctx| {
        ["Zed", "count", "words", "nobody"].map(|c| ctx.tasks_of(c).map(|t| t.0).collect::<Vec<_>>())
    });
    assert_eq!(found.len(), 6);
    for tasks in found {
        assert_eq!(tasks, [vec![1], vec![2, 3, 4], vec![5, 6], vec![]]);
    }
}

#[test]
fn a_task_knows_its_topology_and_its_streams() {
    let found = of_each(|ctx| {
        let kinds: Vec<_> = ctx.spec().components.keys().map(|c| c.as_str().to_owned()).collect();
        let streams: Vec<_> = ctx.outputs().iter().map(|s| format!("{}: {}", s.id, s.fields)).collect();
        (ctx.topology().to_owned(), kinds.join(" "), streams.join("; "))
    });
    for (i, (topology, components, streams)) in found.into_iter().enumerate() {
        assert_eq!((&*topology, &*components), ("stepped", "Zed count words"));
        assert_eq!(streams.starts_with("default: "), i >= 4, "only the spout emits: {streams}");
    }
}

#[test]
fn the_components_own_configuration_lies_over_the_topologys_and_users_keys_pass() {
    let keys = ["greeting", "limits", "own", "from.outside", "topology.message.timeout.secs", "nothing"];
    let found = of_each(move |ctx| {
        ["greeting", "limits", "own", "from.outside", "topology.message.timeout.secs", "nothing"]
            .map(|key| ctx.config(key).cloned())
    });
    let shared = [Some(json!("bye")), Some(json!({"a": [1]})), None, Some(json!(true)), Some(json!(7)), None];
    let of_count = {
        let mut of_count = shared.clone();
        (of_count[0], of_count[2]) = (Some(json!("hi")), Some(json!(1.5)));
        of_count
    };
    assert_eq!(
        found,
        [&shared, &of_count, &of_count, &of_count, &shared, &shared].map(Clone::clone),
        "{keys:?}"
    );
    let pending = of_each(|ctx| ctx.config("topology.max.spout.pending").cloned());
    assert_eq!(pending[5], Some(json!(9)));
    assert_ne!(pending[0], Some(json!(9)));
    let whole = of_each(|ctx| ctx.config_map().get("greeting").cloned());
    assert_eq!((&whole[0], &whole[1]), (&Some(json!("bye")), &Some(json!("hi"))));
}

#[test]
fn time_is_that_of_the_engines_clock() {
    let found = of_each(|ctx| (ctx.now(), ctx.clock().now(), ctx.wall_time()));
    for (now, clock, wall) in found {
        // The virtual clock begins at one second, and at the epoch.
        assert_eq!((now, clock), (Time::from_secs(1), Time::from_secs(1)));
        assert_eq!(wall, SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    }
}

#[test]
fn the_incarnation_begins_at_one_and_grows_with_each_panic() {
    let lives = log();
    let noted = lives.clone();
    let asking = move || {
        let noted = noted.clone();
        Asking(move |ctx: &TaskContext| {
            noted.lock().unwrap().push((ctx.task().0, ctx.incarnation()));
            Ok(())
        })
    };
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(8), 1);
    // Tasks: bolt 1 and 2, numbers 3. The even numbers panic, all at one task.
    let by_parity = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        out.emit((input.get::<i64>("n")?,));
        Ok(())
    });
    t.set_bolt("pass", by_parity, 1).shuffle_grouping("numbers");
    t.set_bolt("bolt", asking, 2).global_grouping("pass");
    let snapshot = complete(t.build().unwrap(), settings(), 1);
    let mut lives = taken(&lives);
    lives.sort_unstable();
    assert_eq!(lives, [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1)]);
    let incarnations: Vec<u64> = snapshot.tasks("bolt").map(|t| t.incarnation).collect();
    assert_eq!(incarnations, [5, 1]);
}

// === What the tasks of a worker share ===

fn with_bolt(
    t: &mut TopologyBuilder,
    ask: impl Fn(&TaskContext) -> Result<(), BoltError> + Clone + Send + Sync + 'static,
) -> BoltDeclarer<'_> {
    t.set_spout("numbers", || Numbers::new(0), 1);
    t.set_bolt("bolt", move || Asking(ask.clone()), 3).shuffle_grouping("numbers")
}

#[test]
fn a_worker_resource_is_made_once_and_shared_by_all_tasks() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = made.clone();
    let mut t = TopologyBuilder::new();
    t.worker_resource("calls", move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(Mutex::new(Vec::<u32>::new()))
    });
    let seen: Log<Arc<Mutex<Vec<u32>>>> = log();
    let noted = seen.clone();
    with_bolt(&mut t, move |ctx| {
        let calls = ctx.resource::<Mutex<Vec<u32>>>("calls").ok_or("no resource")?;
        calls.lock().unwrap().push(ctx.task().0);
        noted.lock().unwrap().push(calls);
        assert!(ctx.resource::<Mutex<Vec<u64>>>("calls").is_none(), "another type");
        assert!(ctx.resource::<Mutex<Vec<u32>>>("cals").is_none(), "another name");
        Ok(())
    })
    .num_tasks(6);
    complete(t.build().unwrap(), settings(), 1);
    assert_eq!(made.load(Ordering::SeqCst), 1);
    let seen = taken(&seen);
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|s| Arc::ptr_eq(s, &seen[0])));
    assert_eq!(*seen[0].lock().unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_worker_resource_outlives_a_panic() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = made.clone();
    let mut t = TopologyBuilder::new();
    t.worker_resource("lives", move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(AtomicU32::new(0))
    });
    t.set_spout("numbers", || Numbers::new(8), 1);
    let ask = |ctx: &TaskContext| {
        let lives = ctx.resource::<AtomicU32>("lives").ok_or("no resource")?;
        assert_eq!(u64::from(lives.fetch_add(1, Ordering::SeqCst)) + 1, ctx.incarnation());
        Ok(())
    };
    t.set_bolt("bolt", move || Asking(ask), 1).shuffle_grouping("numbers");
    let snapshot = complete(t.build().unwrap(), settings(), 1);
    assert_eq!(snapshot.tasks("bolt").next().unwrap().incarnation, 5);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

/// Notes start and shutdown; may fail to start.
struct Hook {
    name: &'static str,
    notes: Log<String>,
    fails: bool,
}

impl WorkerHook for Hook {
    fn start(
        &self,
        resources: &mut Resources,
        config: &BTreeMap<String, serde_json::Value>,
    ) -> Result<(), ComponentError> {
        if self.fails {
            return Err(format!("hook {}: no database", self.name).into());
        }
        let greeting = config.get("greeting").map(ToString::to_string).unwrap_or_default();
        self.notes.lock().unwrap().push(format!("start {} {greeting}", self.name));
        resources.put(self.name, self.name.len());
        Ok(())
    }

    fn shutdown(&self, resources: &Resources) {
        let mine = resources.get::<usize>(self.name).is_some();
        self.notes.lock().unwrap().push(format!("shutdown {} {mine}", self.name));
    }
}

/// Notes the beginning and the end of its life.
struct Living(Log<String>);

impl Bolt for Living {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        let found = ctx.resource::<usize>("one").is_some() && ctx.resource::<usize>("second").is_some();
        self.0.lock().unwrap().push(format!("prepare {found}"));
        Ok(())
    }

    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }

    fn cleanup(&mut self) {
        self.0.lock().unwrap().push("cleanup".to_owned());
    }
}

fn hooked(notes: &Log<String>, second_fails: bool) -> Topology {
    let mut t = TopologyBuilder::new();
    t.config("greeting", "hello");
    t.worker_hook(Hook { name: "one", notes: notes.clone(), fails: false });
    t.worker_hook(Hook { name: "second", notes: notes.clone(), fails: second_fails });
    t.set_spout("numbers", || Numbers::new(10), 1);
    let living = notes.clone();
    t.set_bolt("living", move || Living(living.clone()), 1).shuffle_grouping("numbers");
    t.build().unwrap()
}

fn options() -> Options {
    Options { name: "context".to_owned(), seed: 1, is_active: true }
}

#[test]
fn worker_hooks_start_in_order_before_all_tasks_and_shut_down_in_reverse_after_them() {
    let expected = [
        "start one \"hello\"",
        "start second \"hello\"",
        "prepare true",
        "cleanup",
        "shutdown second true",
        "shutdown one true",
    ];
    let notes = log();
    let mut topology = hooked(&notes, false);
    let settings = configured(&mut topology, &[]);
    complete(topology, settings, 1);
    assert_eq!(taken(&notes), expected);

    let mut topology = hooked(&notes, false);
    let settings = configured(&mut topology, &[]);
    complete_on_threads(topology, settings);
    assert_eq!(taken(&notes), expected);
}

#[test]
fn a_worker_hook_that_fails_keeps_the_topology_from_starting_with_its_error() {
    let notes = log();
    let Err(error) = Run::start(hooked(&notes, true), settings(), options()) else { panic!("it started") };
    assert!(matches!(error, RunError::Hook(_)));
    assert_eq!(error.to_string(), "a worker resource could not be made: hook second: no database");
    assert!(!taken(&notes).iter().any(|n| n.starts_with("prepare")), "no task was made");
}

#[test]
fn worker_hooks_that_had_started_are_shut_down_when_a_later_one_fails() {
    let notes = log();
    assert!(Run::start(hooked(&notes, true), settings(), options()).is_err());
    assert_eq!(taken(&notes), ["start one ", "shutdown one true"]);
}

#[test]
fn worker_hooks_are_shut_down_when_a_task_cannot_be_prepared() {
    for threads in [true, false] {
        let notes = log();
        let mut t = TopologyBuilder::new();
        t.worker_hook(Hook { name: "one", notes: notes.clone(), fails: false });
        with_bolt(&mut t, |ctx| if ctx.task_index() == 1 { Err("no such table".into()) } else { Ok(()) });
        let topology = t.build().unwrap();
        let error = if threads {
            Run::start(topology, settings(), options()).err().map(|e| e.to_string())
        } else {
            let clock = Arc::new(storm_rs::engine::VirtualClock::new());
            let started = storm_rs::engine::stepped::Stepped::start(topology, settings(), clock, 1);
            started.err().map(|e| e.to_string())
        };
        assert_eq!(error.as_deref(), Some("'bolt' (task 2) could not start: no such table"));
        assert_eq!(taken(&notes), ["start one ", "shutdown one true"], "on threads: {threads}");
    }
}

#[test]
fn a_worker_resource_that_cannot_be_made_keeps_the_topology_from_starting() {
    let mut t = TopologyBuilder::new();
    t.worker_resource("pool", || -> Result<u32, ComponentError> { Err("connection refused".into()) });
    with_bolt(&mut t, |_| Ok(()));
    let Err(error) = Run::start(t.build().unwrap(), settings(), options()) else { panic!("it started") };
    assert!(error.to_string().ends_with("connection refused"), "{error}");
    assert!(error.to_string().contains("pool"), "the resource is named: {error}");
}

#[test]
fn a_panic_in_prepare_is_an_error_of_the_start_with_its_place() {
    let mut t = TopologyBuilder::new();
    with_bolt(&mut t, |_| panic!("not configured"));
    let Err(error) = Run::start(t.build().unwrap(), settings(), options()) else { panic!("it started") };
    let text = error.to_string();
    assert!(text.starts_with("'bolt' (task ") && text.contains(") could not start: panicked at "), "{text}");
    assert!(text.contains("context.rs:") && text.ends_with("not configured"), "{text}");
}

struct BadGrouping;

impl storm_rs::CustomGrouping for BadGrouping {
    fn prepare(&mut self, _: &storm_rs::GroupingEdge<'_>) {
        panic!("no ring");
    }

    fn choose(&mut self, _: TaskId, _: storm_rs::Values<'_>, _: &mut Vec<TaskId>) {}
}

#[test]
fn a_panic_in_the_prepare_of_a_custom_grouping_is_an_error_of_the_start() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1), 1);
    t.set_bolt("sink", sink(&log()), 1).custom_grouping("numbers", || BadGrouping);
    let topology = t.build().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tell.send(Run::start(topology, settings(), options()).err().map(|e| e.to_string()))
    });
    let error = told.recv_timeout(Duration::from_secs(10)).expect("the start ends");
    assert!(error.as_ref().is_some_and(|e| e.contains("no ring")), "{error:?}");
}
