//! Mistakes in a topology: found by `build`, each in a sentence that names component and field.

use storm_rs::prelude::*;
use storm_rs::{BoltDeclarer, GroupingSpec};

use crate::kit::*;

struct Ignore;

impl Bolt for Ignore {
    fn execute(&mut self, _: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        Ok(())
    }
}

/// A spout with two streams of different fields.
fn lines() -> Source<fn(&mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError>> {
    let declare = |out: &mut OutputDeclarer| {
        out.fields(["line"]).stream("errors", ["text", "code"]).direct_stream("answers", ["text"]);
    };
    source(declare, &log(), (|_| Ok(Next::Done)) as fn(&mut SpoutOutput<'_, i64>) -> Result<Next, SpoutError>)(
    )
}

/// What `build` says of a topology of `lines` and one bolt.
fn mistakes(group: impl Fn(BoltDeclarer<'_>) -> BoltDeclarer<'_>) -> String {
    built(|t| drop(group(t.set_bolt("bolt", || Ignore, 1))))
}

fn built(more: impl Fn(&mut TopologyBuilder)) -> String {
    let mut t = TopologyBuilder::new();
    t.set_spout("lines", lines, 1);
    more(&mut t);
    match t.build() {
        Ok(_) => "no mistake".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_right_topology_has_no_mistake() {
    assert_eq!(mistakes(|b| b.fields_grouping(("lines", "errors"), ["code"])), "no mistake");
}

#[test]
fn an_unknown_component_is_named_with_those_that_there_are() {
    assert_eq!(
        mistakes(|b| b.shuffle_grouping("liens")),
        "component 'bolt' subscribes to unknown component 'liens'; there are: bolt, lines"
    );
}

#[test]
fn an_unknown_stream_is_named_with_those_that_there_are() {
    assert_eq!(
        mistakes(|b| b.shuffle_grouping(("lines", "error"))),
        "component 'bolt' subscribes to unknown stream 'error' of 'lines'; it declares: default, errors, answers"
    );
}

#[test]
fn a_field_is_looked_for_in_exactly_the_stream_that_is_subscribed_to() {
    assert_eq!(
        mistakes(|b| b.fields_grouping("lines", ["code"])),
        "component 'bolt' groups on unknown field 'code' of stream 'default' of 'lines'; its fields: [line]"
    );
    assert_eq!(
        mistakes(|b| b.partial_key_grouping(("lines", "errors"), ["code", "line"])),
        "component 'bolt' groups on unknown field 'line' of stream 'errors' of 'lines'; its fields: [text, code]"
    );
    assert_eq!(
        mistakes(|b| b.fields_grouping("lines", [""; 0])),
        "component 'bolt' groups stream 'default' of 'lines' on no field: name one, or use global_grouping"
    );
}

#[test]
fn direct_streams_and_groupings_belong_together() {
    assert_eq!(
        mistakes(|b| b.shuffle_grouping(("lines", "answers"))),
        "component 'bolt' subscribes to direct stream 'answers' of 'lines' with shuffle grouping: direct streams need direct_grouping, others refuse it"
    );
    assert_eq!(
        mistakes(|b| b.grouping("lines", GroupingSpec::Direct)),
        "component 'bolt' subscribes to stream 'default' of 'lines' with direct grouping: direct streams need direct_grouping, others refuse it"
    );
}

#[test]
fn a_second_subscription_to_a_stream_is_a_mistake() {
    assert_eq!(
        mistakes(|b| b.shuffle_grouping("lines").all_grouping("lines")),
        "component 'bolt' subscribes twice to stream 'default' of 'lines': choose one grouping"
    );
}

#[test]
fn an_id_is_used_once_among_spouts_and_bolts() {
    let twice = "component 'lines' is defined twice: ids are unique among spouts and bolts";
    assert_eq!(
        built(|t| {
            t.set_spout("lines", lines, 1);
        }),
        twice
    );
    let as_bolt = built(|t| drop(t.set_bolt("lines", || Ignore, 1).shuffle_grouping("other")));
    assert_eq!(as_bolt.lines().next(), Some(twice), "{as_bolt}");
    let bolts = built(|t| {
        t.set_bolt("count", || Ignore, 1).shuffle_grouping("lines");
        t.set_bolt("count", || Ignore, 1).shuffle_grouping("lines");
    });
    assert_eq!(bolts, "component 'count' is defined twice: ids are unique among spouts and bolts");
}

#[test]
fn names_that_begin_with_two_underscores_are_the_systems() {
    assert_eq!(
        built(|t| drop(t.set_bolt("__acker", || Ignore, 1).shuffle_grouping("lines"))),
        "component '__acker': ids that start with '__' belong to the system; choose another"
    );
    let stream = built(|t| {
        let own = bolted(
            |out| {
                out.stream("__tick", ["n"]);
            },
            |_, _| Ok(()),
        );
        t.set_bolt("own", own, 1).shuffle_grouping("lines");
    });
    assert_eq!(stream, "component 'own': stream '__tick': names that start with '__' belong to the system");
    assert_eq!(
        built(|t| drop(t.set_bolt("", || Ignore, 1).shuffle_grouping("lines"))),
        "a component has an empty id: give it a name"
    );
}

#[test]
fn streams_and_fields_have_names_of_their_own() {
    let twice = built(|t| {
        let own = bolted(
            |out| {
                out.fields(["a", "b", "a"]).stream("default", ["n"]);
            },
            |_, _| Ok(()),
        );
        t.set_bolt("own", own, 1).shuffle_grouping("lines");
    });
    let mut lines: Vec<&str> = twice.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "component 'own' declares stream 'default' twice",
            "component 'own': stream 'default' has two fields called 'a'",
        ]
    );
}

#[test]
fn each_component_has_executors_and_tasks_for_them() {
    assert_eq!(
        built(|t| drop(t.set_bolt("count", || Ignore, 0).shuffle_grouping("lines"))),
        "component 'count': parallelism is 0; it needs at least 1 executor"
    );
    assert_eq!(
        built(|t| drop(t.set_bolt("count", || Ignore, 1).num_tasks(0).shuffle_grouping("lines"))),
        "component 'count': num_tasks is 0; it needs at least 1 task"
    );
    assert_eq!(
        built(|t| drop(t.set_bolt("count", || Ignore, 3).num_tasks(2).shuffle_grouping("lines"))),
        "component 'count': 3 executors but only 2 tasks: an executor runs at least one task; raise num_tasks or lower the parallelism"
    );
}

#[test]
fn a_bolt_needs_an_input_and_a_topology_a_spout() {
    assert_eq!(mistakes(|b| b), "bolt 'bolt' has no input: give it a grouping, for example shuffle_grouping");
    let error = TopologyBuilder::new().build().unwrap_err().to_string();
    assert!(error.starts_with("the topology has no spout"), "{error}");
}

#[test]
fn a_spout_with_inputs_is_a_mistake() {
    let mut topology = two().build().unwrap();
    let input = topology.spec.components["count"].inputs[0].clone();
    topology.spec.components.get_mut("lines").unwrap().inputs.push(input);
    assert_eq!(
        topology.check().unwrap_err().to_string(),
        "spout 'lines' has inputs: only bolts subscribe to streams"
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let all = built(|t| {
        t.set_bolt("__a", || Ignore, 0).shuffle_grouping("nobody");
        t.set_bolt("b", || Ignore, 1);
    });
    assert_eq!(all.lines().count(), 4, "{all}");
}

// === Parallelism from outside ===

/// Tasks: count 2 executors of 4 tasks, free 3 of 3, lines 1 of 1.
fn two() -> TopologyBuilder {
    let mut t = TopologyBuilder::new();
    t.set_spout("lines", lines, 1);
    t.set_bolt("count", || Ignore, 2).num_tasks(4).shuffle_grouping("lines");
    t.set_bolt("free", || Ignore, 3).shuffle_grouping("lines");
    t
}

/// Executors and tasks of count, free and lines.
fn shape(topology: &Topology) -> [(u32, u32); 3] {
    ["count", "free", "lines"].map(|id| {
        let spec = &topology.spec.components[id];
        (spec.executors, spec.tasks)
    })
}

fn shaped(arguments: &[&str]) -> Result<[(u32, u32); 3], String> {
    let mut topology = two().build().unwrap();
    try_configured(&mut topology, arguments).map(|_| shape(&topology))
}

#[test]
fn set_parallelism_changes_executors_and_tasks_unless_those_are_fixed() {
    let mut topology = two().build().unwrap();
    topology.set_parallelism("count", 4).unwrap();
    topology.set_parallelism("free", 5).unwrap();
    assert_eq!(shape(&topology), [(4, 4), (5, 5), (1, 1)]);
    topology.set_parallelism("count", 1).unwrap();
    assert_eq!(shape(&topology)[0], (1, 4));
    let error = topology.set_parallelism("count", 5).unwrap_err().to_string();
    assert!(error.starts_with("component 'count': 5 executors but only 4 tasks"), "{error}");
}

#[test]
fn set_parallelism_of_nothing_or_of_nobody_is_an_error() {
    let mut topology = two().build().unwrap();
    let error = topology.set_parallelism("free", 0).unwrap_err().to_string();
    assert!(error.contains("component 'free': parallelism is 0"), "{error}");
    let error = two().build().unwrap().set_parallelism("cuont", 2).unwrap_err().to_string();
    assert!(error.contains("'cuont'") && error.contains("count, free, lines"), "{error}");
    assert!(!error.contains("subscribes"), "nobody subscribes here: {error}");
}

#[test]
fn a_parallelism_that_is_refused_changes_nothing() {
    let mut topology = two().build().unwrap();
    assert!(topology.set_parallelism("count", 5).is_err());
    assert!(topology.set_parallelism("free", 0).is_err());
    assert_eq!(shape(&topology), [(2, 4), (3, 3), (1, 1)]);
}

#[test]
fn topology_parallelism_sets_the_executors_of_a_component() {
    assert_eq!(
        shaped(&["topology.parallelism.count=3", "topology.parallelism.lines=2"]),
        Ok([(3, 4), (3, 3), (2, 2)])
    );
    let error = shaped(&["topology.parallelism.count=5"]).unwrap_err();
    assert!(error.starts_with("component 'count': 5 executors but only 4 tasks"), "{error}");
    let error = shaped(&["topology.parallelism.count=0"]).unwrap_err();
    assert!(error.contains("topology.parallelism.count"), "{error}");
    let error = shaped(&["topology.parallelism.cuont=2"]).unwrap_err();
    assert!(error.contains("cuont") && error.contains("count, free, lines"), "{error}");
}

#[test]
fn topology_tasks_holds_where_num_tasks_does_not() {
    assert_eq!(shaped(&["topology.tasks=6"]), Ok([(2, 4), (3, 6), (1, 6)]));
    let error = shaped(&["topology.tasks=2"]).unwrap_err();
    assert!(error.starts_with("component 'free': 3 executors but only 2 tasks"), "{error}");
    // A component's own key, as Storm's setNumTasks sets it.
    let mut t = TopologyBuilder::new();
    t.set_spout("lines", lines, 1);
    t.set_bolt("count", || Ignore, 2).config("topology.tasks", 5).shuffle_grouping("lines");
    t.set_bolt("free", || Ignore, 3).shuffle_grouping("lines");
    let mut topology = t.build().unwrap();
    configured(&mut topology, &[]);
    assert_eq!(shape(&topology), [(2, 5), (3, 3), (1, 1)]);
}

#[test]
fn max_task_parallelism_caps_tasks_and_executors_of_every_component() {
    assert_eq!(shaped(&["topology.max.task.parallelism=2"]), Ok([(2, 2), (2, 2), (1, 1)]));
    assert_eq!(shaped(&["topology.max.task.parallelism=100"]), Ok([(2, 4), (3, 3), (1, 1)]));
    assert_eq!(
        shaped(&["topology.tasks=6", "topology.max.task.parallelism=5"]),
        Ok([(2, 4), (3, 5), (1, 5)])
    );
}

#[test]
fn max_task_parallelism_caps_what_topology_parallelism_asks_for() {
    let arguments = ["topology.max.task.parallelism=2", "topology.parallelism.free=7"];
    assert_eq!(shaped(&arguments), Ok([(2, 2), (2, 2), (1, 1)]));
}

#[test]
fn a_components_mistaken_key_is_told_with_its_component() {
    let mut t = TopologyBuilder::new();
    t.set_spout("lines", lines, 1).config("topology.max.spout.pendign", 3);
    let error = try_configured(&mut t.build().unwrap(), &[]).err().unwrap();
    assert_eq!(
        error,
        "unknown key 'topology.max.spout.pendign' in the component 'lines': did you mean 'topology.max.spout.pending'?"
    );
}

#[test]
fn a_custom_grouping_without_code_is_a_mistake() {
    let mistake = mistakes(|b| b.grouping("lines", GroupingSpec::Custom("Mine".to_owned())));
    assert_eq!(
        mistake,
        "component 'bolt' groups stream 'default' of 'lines' by code of its own, but there is none: \
         use custom_grouping"
    );
}
