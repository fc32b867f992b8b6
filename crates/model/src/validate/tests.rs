use super::*;
use crate::spec::{GroupingSpec, StreamSpec};

fn spout(fields: &[&str]) -> ComponentSpec {
    ComponentSpec {
        kind: ComponentKind::Spout,
        executors: 1,
        tasks: 1,
        tasks_fixed: false,
        outputs: vec![StreamSpec {
            id: StreamId::default_stream(),
            fields: Fields::new(fields),
            direct: false,
        }],
        inputs: vec![],
        config: Default::default(),
    }
}

fn bolt(source: &str, stream: &str, grouping: GroupingSpec) -> ComponentSpec {
    ComponentSpec {
        kind: ComponentKind::Bolt,
        outputs: vec![],
        inputs: vec![InputSpec { component: source.into(), stream: stream.into(), grouping }],
        ..spout(&[])
    }
}

/// Renders what is wrong with a topology of `spout` called `s` and `bolt` called `b`.
fn wrong(spout: ComponentSpec, bolt: ComponentSpec) -> String {
    let components = [("s".into(), spout), ("b".into(), bolt)].into();
    let spec = TopologySpec { components, config: Default::default() };
    problems(&spec).iter().map(|p| p.to_string()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_sound_topology_has_no_problem() {
    let b = bolt("s", "default", GroupingSpec::Fields(Fields::new(["w"])));
    assert_eq!(wrong(spout(&["w"]), b), "");
}

#[test]
fn unknown_component_stream_and_field_are_named() {
    let shuffle = GroupingSpec::Shuffle;
    assert!(wrong(spout(&["w"]), bolt("x", "default", shuffle.clone())).contains("unknown component 'x'"));
    assert!(wrong(spout(&["w"]), bolt("s", "other", shuffle)).contains("unknown stream 'other' of 's'"));
    let keyed = GroupingSpec::Fields(Fields::new(["word"]));
    let text = wrong(spout(&["w"]), bolt("s", "default", keyed));
    assert!(text.contains("unknown field 'word'") && text.contains("[w]"), "{text}");
}

#[test]
fn a_field_of_another_stream_does_not_count() {
    let mut s = spout(&["w"]);
    s.outputs.push(StreamSpec { id: "late".into(), fields: Fields::new(["at"]), direct: false });
    let b = bolt("s", "default", GroupingSpec::Fields(Fields::new(["at"])));
    assert!(wrong(s, b).contains("unknown field 'at' of stream 'default'"));
}

#[test]
fn counts_are_checked() {
    let ok = || bolt("s", "default", GroupingSpec::Shuffle);
    let none = ComponentSpec { executors: 0, tasks: 0, ..spout(&["w"]) };
    assert!(wrong(none, ok()).contains("'s': parallelism is 0"));
    let few = ComponentSpec { executors: 3, tasks: 2, tasks_fixed: true, ..ok() };
    assert!(wrong(spout(&["w"]), few).contains("3 executors but only 2 tasks"));
}

#[test]
fn direct_streams_and_groupings_go_together() {
    let mut s = spout(&["w"]);
    assert!(wrong(s.clone(), bolt("s", "default", GroupingSpec::Direct)).contains("direct"));
    s.outputs[0].direct = true;
    assert!(
        wrong(s.clone(), bolt("s", "default", GroupingSpec::Shuffle)).contains("direct stream 'default'")
    );
    assert_eq!(wrong(s, bolt("s", "default", GroupingSpec::Direct)), "");
}

#[test]
fn duplicates_and_system_names_are_refused() {
    let mut s = spout(&["w", "w"]);
    assert!(wrong(s.clone(), bolt("s", "default", GroupingSpec::Shuffle)).contains("two fields called 'w'"));
    s.outputs = vec![s.outputs[0].clone(), s.outputs[0].clone()];
    assert!(wrong(s, bolt("s", "default", GroupingSpec::Shuffle)).contains("'default' twice"));
    let components = [("__s".into(), spout(&["w"]))].into();
    let spec = TopologySpec { components, config: Default::default() };
    assert_eq!(problems(&spec), [SpecError::SystemComponentId("__s".into())]);
}

#[test]
fn spouts_take_no_input_and_bolts_need_one() {
    let s = ComponentSpec { inputs: bolt("b", "default", GroupingSpec::Shuffle).inputs, ..spout(&["w"]) };
    let b = ComponentSpec { inputs: vec![], ..bolt("s", "default", GroupingSpec::Shuffle) };
    let text = wrong(s, b);
    assert!(text.contains("spout 's' has inputs") && text.contains("bolt 'b' has no input"), "{text}");
}
