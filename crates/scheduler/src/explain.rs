//! The sentence for people: how much of a topology is placed, and what is in the way of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use storm_model::assignment::WorkerSlot;
use storm_model::ids::ExecutorId;

use crate::cluster_view::{Closed, Slots, TopologyView};

/// Names of hosts or slots in one list; a sentence with more is read by nobody.
const NAMES_MAX: usize = 8;

/// Says how many of the workers asked for are placed, how many executors wait, and why.
pub(crate) fn explain(
    topology: &TopologyView,
    placed: &BTreeMap<ExecutorId, WorkerSlot>,
    slots: &Slots<'_>,
) -> String {
    let executors = topology.wanted().len();
    if executors == 0 {
        return "nothing to place: the topology has no executor".to_owned();
    }
    let asked = topology.workers.max(1);
    let workers = placed.values().collect::<BTreeSet<_>>().len();
    let waiting = executors - placed.len();
    let more = u32::try_from(workers).unwrap_or(u32::MAX).saturating_sub(asked);
    let mut counts = match more {
        0 => format!("{workers} of {} placed", count(asked, "worker")),
        more => format!("{} placed, {more} more than asked for", count(asked + more, "worker")),
    };
    if waiting > 0 {
        counts += ", ";
        counts += &count(waiting, "executor");
        counts += if waiting == 1 { " waits" } else { " wait" };
    }
    let usable = topology.usable_workers();
    let reason = if waiting > 0 || workers < usable {
        obstacle(topology, placed, slots)
    } else if u32::try_from(usable).is_ok_and(|usable| usable < asked) {
        format!("there {} {}", if executors == 1 { "is" } else { "are" }, count(executors, "executor"))
    } else {
        return counts;
    };
    format!("{counts}: {reason}")
}

/// Says why there are not more workers: no slot, or nothing that could be moved to it.
fn obstacle(topology: &TopologyView, placed: &BTreeMap<ExecutorId, WorkerSlot>, slots: &Slots<'_>) -> String {
    if slots.free(&topology.id).next().is_none() {
        return shortage(topology, slots);
    }
    let fixed = placed.values().filter(|slot| !slots.is_open(&topology.id, slot));
    let hosts: BTreeSet<&str> = fixed.map(|slot| slots.host(slot)).collect();
    format!("the executors on {} stay there", list(&hosts))
}

/// Says why a topology gets no further slot, all supervisors considered.
pub(crate) fn shortage(topology: &TopologyView, slots: &Slots<'_>) -> String {
    let mut full = BTreeSet::new();
    let mut withheld = BTreeSet::new();
    let mut unusable: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut refusing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for supervisor in slots.supervisors() {
        let host = supervisor.host.as_str();
        match supervisor.closed(&topology.id) {
            Some(Closed::Unusable(reason)) => {
                unusable.entry(reason).or_default().insert(host);
            }
            Some(Closed::Refuses(reason)) => {
                refusing.entry(reason).or_default().insert(host);
            }
            None => {
                let failed = supervisor.worker_slots().filter(|slot| slots.is_withheld(&topology.id, slot));
                let failed: Vec<String> = failed.map(|slot| format!("{host}:{}", slot.port)).collect();
                if failed.is_empty() {
                    full.insert(host);
                }
                withheld.extend(failed);
            }
        }
    }
    let mut parts = Vec::new();
    if !full.is_empty() {
        parts.push(format!("no free slot on {}", list(&full)));
    }
    if !withheld.is_empty() {
        parts.push(format!("not again on {} (failed there)", list(&withheld)));
    }
    parts.extend(unusable.iter().map(|(reason, hosts)| format!("nothing new on {} ({reason})", list(hosts))));
    parts.extend(refusing.iter().map(|(reason, hosts)| format!("not on {} ({reason})", list(hosts))));
    if parts.is_empty() { "the cluster has no supervisor".to_owned() } else { parts.join("; ") }
}

fn list<S: AsRef<str>>(names: &BTreeSet<S>) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A number and its noun: "1 worker", "2 workers".
fn count<N: Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::*;
    use crate::{ClusterView, schedule};

    fn check(cluster: &ClusterView, topology: &TopologyView, expected: Expect) {
        expected.assert_eq(&schedule(cluster, std::slice::from_ref(topology))[&topology.id].explanation);
    }

    #[test]
    fn every_obstacle_is_named() {
        let mut cluster = cluster(&[("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 1), ("f", 1)]);
        let topology = topology("t", 6, 18);
        cluster.failed.insert((topology.id.clone(), slot("b:2")));
        cluster.supervisors[2].unusable = Some("silent".into());
        cluster.supervisors[3].unusable = Some("silent".into());
        cluster.supervisors[4].unusable = Some("drained".into());
        cluster.supervisors[5].refuses.insert(topology.id.clone(), "built for aarch64".into());
        let text = &schedule(&cluster, &[topology])["t-1"].explanation;
        expect![[r#"
            2 of 6 workers placed: no free slot on host-a;
            not again on host-b:2 (failed there);
            nothing new on host-e (drained);
            nothing new on host-c, host-d (silent);
            not on host-f (built for aarch64)
        "#]]
        .assert_eq(&(text.replace("; ", ";\n") + "\n"));
    }

    #[test]
    fn more_workers_than_asked_for_are_no_riddle() {
        let topology = TopologyView { current: at(&[("a:1", 1..=1), ("a:2", 2..=2)]), ..topology("t", 1, 2) };
        check(&cluster(&[("a", 2)]), &topology, expect!["2 workers placed, 1 more than asked for"]);
    }

    #[test]
    fn workers_that_are_not_moved_are_named_when_slots_are_free() {
        let mut cluster = cluster(&[("a", 1), ("b", 4)]);
        cluster.supervisors[0].unusable = Some("silent".into());
        let topology = TopologyView { current: at(&[("a:1", 1..=3)]), ..topology("t", 4, 4) };
        check(&cluster, &topology, expect!["2 of 4 workers placed: the executors on host-a stay there"]);
    }

    #[test]
    fn executors_that_wait_are_counted_and_say_why() {
        let cluster = cluster(&[("a", 1)]);
        let (one, two) = (topology("one", 1, 2), topology("two", 2, 3));
        let placed = schedule(&cluster, &[one, two.clone()]);
        let waiting = &placed[&two.id];
        expect!["0 of 2 workers placed, 3 executors wait: no free slot on host-a"]
            .assert_eq(&waiting.explanation);
        assert_eq!(waiting.unplaced[0], (two.executors[0].clone(), "no free slot on host-a".to_owned()));
        assert!(!waiting.is_changed);
    }

    #[test]
    fn an_empty_cluster_and_an_empty_topology_have_sentences() {
        let none = cluster(&[]);
        check(
            &none,
            &topology("t", 0, 1),
            expect!["0 of 1 worker placed, 1 executor waits: the cluster has no supervisor"],
        );
        check(&none, &topology("t", 2, 0), expect!["nothing to place: the topology has no executor"]);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..11).map(|i| format!("s{i:02}")).collect();
        let cluster = cluster(&names.iter().map(|name| (&**name, 1)).collect::<Vec<_>>());
        let hosts = "host-s00, host-s01, host-s02, host-s03, host-s04, host-s05, host-s06, host-s07";
        let text = &schedule(&cluster, &[topology("t", 12, 12)])["t-1"].explanation;
        assert_eq!(*text, format!("11 of 12 workers placed: no free slot on {hosts} and 3 more"));
    }
}
