//! Which executors share a thread, and in what order it steps them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use storm_model::{ComponentId, ComponentKind, ComponentSpec, ExecutorId, TopologySpec};

/// The executors of each thread, by index, in the order in which their thread steps them: upstream
/// first, so that what one emits the next finds still in the cache.
///
/// Only of those that run `here`. `threads` are dealt out in turns, so that the executors of each
/// component are spread evenly; `None` gives each executor a thread of its own.
pub(crate) fn crews(
    spec: &TopologySpec,
    executors: &[(ComponentId, ExecutorId)],
    here: &[usize],
    threads: Option<u32>,
) -> Vec<Vec<usize>> {
    let Some(threads) = threads else { return here.iter().map(|i| vec![*i]).collect() };
    let depths = depths(spec);
    let mut order = here.to_vec();
    // Stable: executors of one component stay in the order of their tasks.
    order.sort_by_key(|i| depths[&executors[*i].0]);
    let threads = (threads.max(1) as usize).min(order.len());
    let mut crews = vec![Vec::new(); threads];
    for (turn, index) in order.into_iter().enumerate() {
        crews[turn % threads].push(index);
    }
    crews
}

/// Steps from the nearest spout; what no spout reaches comes last.
fn depths(spec: &TopologySpec) -> BTreeMap<&ComponentId, usize> {
    let mut depths = BTreeMap::new();
    let mut front: BTreeSet<&ComponentId> =
        spec.components.iter().filter(|(_, c)| c.kind == ComponentKind::Spout).map(|(id, _)| id).collect();
    for depth in 0.. {
        depths.extend(front.iter().map(|id| (*id, depth)));
        let receives = |c: &ComponentSpec| c.inputs.iter().any(|i| front.contains(&i.component));
        let next: BTreeSet<&ComponentId> = spec
            .components
            .iter()
            .filter(|(id, c)| !depths.contains_key(id) && receives(c))
            .map(|(id, _)| id)
            .collect();
        if next.is_empty() {
            break;
        }
        front = next;
    }
    for id in spec.components.keys() {
        depths.entry(id).or_insert(spec.components.len());
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;
    use storm_model::{GroupingSpec, InputSpec, TaskTable};

    fn spec(parts: &[(&str, u32, &[&str])]) -> TopologySpec {
        let input = |from: &&str| InputSpec {
            component: (*from).into(),
            stream: "default".into(),
            grouping: GroupingSpec::Shuffle,
        };
        let component = |executors, from: &[&str]| ComponentSpec {
            kind: if from.is_empty() { ComponentKind::Spout } else { ComponentKind::Bolt },
            executors,
            tasks: executors,
            tasks_fixed: false,
            outputs: vec![],
            inputs: from.iter().map(input).collect(),
            config: Default::default(),
        };
        let components = parts.iter().map(|&(id, e, from)| (id.into(), component(e, from))).collect();
        TopologySpec { components, config: Default::default() }
    }

    fn names(spec: &TopologySpec, threads: Option<u32>) -> Vec<String> {
        let executors = storm_model::tasks::executors(spec, &TaskTable::new(spec));
        let all: Vec<usize> = (0..executors.len()).collect();
        let crews = crews(spec, &executors, &all, threads);
        let name = |crew: &Vec<usize>| -> String {
            let names: Vec<&str> = crew.iter().map(|i| executors[*i].0.as_str()).collect();
            names.join(" ")
        };
        crews.iter().map(name).collect()
    }

    #[test]
    fn two_threads_get_one_of_each() {
        let spec = spec(&[("count", 2, &["split"]), ("sentences", 2, &[]), ("split", 2, &["sentences"])]);
        assert_eq!(names(&spec, Some(2)), ["sentences split count"; 2]);
    }

    #[test]
    fn one_thread_gets_all_from_the_spouts_on() {
        let spec = spec(&[("a", 1, &["b"]), ("b", 1, &["c", "a"]), ("c", 1, &[])]);
        assert_eq!(names(&spec, Some(1)), ["c b a"]);
    }

    #[test]
    fn no_thread_is_left_without_an_executor() {
        let spec = spec(&[("a", 2, &[]), ("b", 1, &["a"])]);
        assert_eq!(names(&spec, Some(9)), ["a", "a", "b"]);
        assert_eq!(names(&spec, None), ["a", "a", "b"]);
    }
}
