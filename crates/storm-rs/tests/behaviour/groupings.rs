//! Which task gets which tuple.

use std::collections::{BTreeMap, BTreeSet};

use storm_rs::engine::Settings;
use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, CustomGrouping, GroupingEdge, Values};

use crate::kit::*;

/// Runs 1000 numbers through a grouping to 4 tasks, and returns what each task got.
fn run(settings: Settings, group: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>) -> BTreeMap<u32, Vec<i64>> {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1000), 1);
    let sink = t.set_bolt("sink", sink(&got), 2).num_tasks(4);
    group(sink);
    complete(t.build().unwrap(), settings, 7);
    let mut by_task: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for (task, n) in taken(&got) {
        by_task.entry(task.0).or_default().push(n);
    }
    by_task
}

fn counts(by_task: &BTreeMap<u32, Vec<i64>>) -> Vec<usize> {
    by_task.values().map(Vec::len).collect()
}

#[test]
fn shuffle_is_even() {
    for load_aware in [true, false] {
        let by_task = run(Settings { load_aware, ..settings() }, |b| b.shuffle_grouping("numbers"));
        assert_eq!(by_task.values().map(Vec::len).sum::<usize>(), 1000);
        for n in counts(&by_task) {
            // By load it goes to who has credit, and so few tuples are over before the windows have grown.
            let bounds = if load_aware { 10..=700 } else { 150..=350 };
            assert!(bounds.contains(&n), "{n} of 1000 among 4");
        }
    }
}

#[test]
fn fields_keeps_a_key_at_one_task() {
    let first = run(settings(), |b| b.fields_grouping("numbers", ["n"]));
    let second = run(settings(), |b| b.fields_grouping("numbers", ["n"]));
    assert_eq!(first.len(), 4);
    let as_sets = |runs: &BTreeMap<u32, Vec<i64>>| -> BTreeMap<u32, BTreeSet<i64>> {
        runs.iter().map(|(t, n)| (*t, n.iter().copied().collect())).collect()
    };
    assert_eq!(as_sets(&first), as_sets(&second), "the same in every run");
}

#[test]
fn global_is_the_lowest_task() {
    let by_task = run(settings(), |b| b.global_grouping("numbers"));
    // Tasks: numbers 1, sink 2 to 5.
    assert_eq!(by_task.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn all_is_every_task() {
    let by_task = run(settings(), |b| b.all_grouping("numbers"));
    assert_eq!(counts(&by_task), [1000; 4]);
}

#[test]
fn none_and_local_or_shuffle_reach_everybody() {
    assert_eq!(run(settings(), |b| b.none_grouping("numbers")).len(), 4);
    // All are local; where executors share threads, those of the spout's thread are nearer.
    let near = if threads().is_some() { 2 } else { 4 };
    assert_eq!(run(settings(), |b| b.local_or_shuffle_grouping("numbers")).len(), near);
}

#[test]
fn partial_key_uses_at_most_two_tasks_per_key() {
    let got = log();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1000), 1);
    let mod5 = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        out.emit((input.get::<i64>("n")? % 5,));
        Ok(())
    });
    t.set_bolt("mod", mod5, 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&got), 4).partial_key_grouping("mod", ["n"]);
    complete(t.build().unwrap(), settings(), 7);
    let mut tasks: BTreeMap<i64, BTreeSet<u32>> = BTreeMap::new();
    for (task, key) in taken(&got) {
        tasks.entry(key).or_default().insert(task.0);
    }
    assert!(tasks.values().all(|t| t.len() <= 2), "{tasks:?}");
    assert!(tasks.values().any(|t| t.len() == 2), "{tasks:?}");
}

/// Even numbers to the last target, odd ones to nobody, multiples of ten to all.
struct Odd(Vec<TaskId>);

impl CustomGrouping for Odd {
    fn prepare(&mut self, edge: &GroupingEdge<'_>) {
        self.0 = edge.target_tasks.to_vec();
    }

    fn choose(&mut self, _: TaskId, values: Values<'_>, chosen: &mut Vec<TaskId>) {
        match values.field(0).and_then(|f| f.to_value().as_int()) {
            Some(n) if n % 10 == 0 => chosen.extend(&self.0),
            Some(n) if n % 2 == 0 => chosen.extend(self.0.last()),
            _ => {}
        }
    }
}

trait AsInt {
    fn as_int(&self) -> Option<i64>;
}

impl AsInt for Value {
    fn as_int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }
}

#[test]
fn custom_is_what_the_code_says_and_trees_without_receiver_are_acked() {
    let by_task = run(settings(), |b| b.custom_grouping("numbers", || Odd(vec![])));
    assert_eq!(counts(&by_task), [100, 100, 100, 500]);
}

/// A serde type has no order of its bytes to rely on: it is no key, wherever in a key it is, and
/// also where one task gets all keys. What runs with one task runs with two.
#[test]
fn a_serde_type_inside_a_list_is_no_key_among_any_number_of_tasks() {
    for tasks in [2, 1] {
        let outcomes = log();
        let mut is_done = false;
        let once = source(
            |out| {
                out.fields(["key"]);
            },
            &outcomes,
            move |out| {
                if std::mem::replace(&mut is_done, true) {
                    return Ok(Next::Done);
                }
                out.emit_tracked(1, &[Value::List(vec![Value::Opaque(vec![1])])][..]);
                Ok(Next::Emitted)
            },
        );
        let mut t = TopologyBuilder::new();
        t.set_spout("once", once, 1);
        t.set_bolt("any", func(|_, _| Ok(())), tasks).fields_grouping("once", ["key"]);
        let (snapshot, errors) = complete_with_errors(t.build().unwrap(), settings());
        assert_eq!(errors.len(), 1, "among {tasks}: {errors:?}");
        assert_eq!(snapshot.sum("any", |t| t.executed()), 0, "among {tasks}");
    }
}
