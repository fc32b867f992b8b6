//! Which subscriptions close a cycle: their tuples flow without credit, so that a cycle cannot wedge.

use std::collections::BTreeSet;

use crate::ids::ComponentId;
use crate::spec::TopologySpec;

/// Pairs (emitting component, receiving component) whose edges close a cycle: without them the
/// topology is acyclic. Depth-first from the spouts, then from what they do not reach, components
/// and subscribers in alphabetical order, so that every process finds the same edges.
pub fn closing_edges(spec: &TopologySpec) -> BTreeSet<(ComponentId, ComponentId)> {
    let mut search =
        Search { spec, state: vec![State::New; spec.components.len()], closing: BTreeSet::new() };
    let is_source = |id: &ComponentId| spec.components[id].inputs.is_empty();
    for id in spec.components.keys().filter(|id| is_source(id)) {
        search.visit(id);
    }
    for id in spec.components.keys() {
        search.visit(id);
    }
    search.closing
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    OnPath,
    Done,
}

struct Search<'a> {
    spec: &'a TopologySpec,
    state: Vec<State>,
    closing: BTreeSet<(ComponentId, ComponentId)>,
}

impl<'a> Search<'a> {
    fn index(&self, id: &ComponentId) -> usize {
        self.spec.components.keys().position(|k| k == id).expect("only components are visited")
    }

    fn subscribers(&self, id: &ComponentId) -> impl Iterator<Item = &'a ComponentId> + use<'a> {
        let id = id.clone();
        let subscribed = move |inputs: &[crate::spec::InputSpec]| inputs.iter().any(|i| i.component == id);
        self.spec.components.iter().filter(move |(_, c)| subscribed(&c.inputs)).map(|(id, _)| id)
    }

    /// Iterative, so that a chain of thousands of bolts does not overflow the stack.
    fn visit(&mut self, root: &'a ComponentId) {
        if self.state[self.index(root)] != State::New {
            return;
        }
        let mut path = vec![(root, self.subscribers(root).collect::<Vec<_>>().into_iter())];
        let at = self.index(root);
        self.state[at] = State::OnPath;
        while let Some((id, rest)) = path.last_mut() {
            let id = *id;
            match rest.next() {
                None => {
                    let at = self.index(id);
                    self.state[at] = State::Done;
                    path.pop();
                }
                Some(next) => {
                    let at = self.index(next);
                    match self.state[at] {
                        State::OnPath => {
                            self.closing.insert((id.clone(), next.clone()));
                        }
                        State::New => {
                            self.state[at] = State::OnPath;
                            path.push((next, self.subscribers(next).collect::<Vec<_>>().into_iter()));
                        }
                        State::Done => {}
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ComponentKind, ComponentSpec, GroupingSpec, InputSpec};

    fn spec(edges: &[(&str, &str)]) -> TopologySpec {
        let mut spec = TopologySpec::default();
        for id in edges.iter().flat_map(|(a, b)| [*a, *b]) {
            spec.components.entry(id.into()).or_insert_with(|| ComponentSpec {
                kind: ComponentKind::Bolt,
                executors: 1,
                tasks: 1,
                tasks_fixed: false,
                outputs: vec![],
                inputs: edges
                    .iter()
                    .filter(|(_, to)| *to == id)
                    .map(|(from, _)| InputSpec {
                        component: (*from).into(),
                        stream: "default".into(),
                        grouping: GroupingSpec::Shuffle,
                    })
                    .collect(),
                config: Default::default(),
            });
        }
        spec
    }

    fn closing(edges: &[(&str, &str)]) -> String {
        let pairs = closing_edges(&spec(edges));
        pairs.iter().map(|(a, b)| format!("{a}>{b}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_diamond_has_no_cycle() {
        assert_eq!(closing(&[("s", "a"), ("s", "b"), ("a", "c"), ("b", "c")]), "");
    }

    #[test]
    fn the_edge_back_towards_the_spout_closes_the_cycle() {
        assert_eq!(closing(&[("s", "a"), ("a", "b"), ("b", "a")]), "b>a");
        assert_eq!(closing(&[("s", "z"), ("z", "b"), ("b", "c"), ("c", "z")]), "c>z");
    }

    #[test]
    fn a_bolt_that_feeds_itself_closes_its_own_cycle() {
        assert_eq!(closing(&[("s", "a"), ("a", "a")]), "a>a");
    }

    proptest::proptest! {
        #[test]
        fn without_the_closing_edges_the_graph_is_acyclic(
            edges in proptest::collection::vec((0..8usize, 0..8usize), 1..30)
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let edges: Vec<_> = edges.iter().map(|&(a, b)| (names[a], names[b])).collect();
            let closed = closing_edges(&spec(&edges));
            let mut left: Vec<_> =
                edges.into_iter().filter(|(a, b)| !closed.contains(&((*a).into(), (*b).into()))).collect();
            // Kahn: take away edges out of components that nothing points to until none is left.
            loop {
                let before = left.len();
                let targets: BTreeSet<_> = left.iter().map(|(_, b)| *b).collect();
                left.retain(|(a, _)| targets.contains(a));
                if left.len() == before { break }
            }
            proptest::prop_assert!(left.is_empty(), "still cyclic: {left:?}");
        }
    }
}
