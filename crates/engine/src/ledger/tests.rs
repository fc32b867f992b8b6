use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const T: Duration = Duration::from_secs(30);

fn at(secs: f64) -> Time {
    Time::from_nanos((secs * 1e9) as u64)
}

fn expired(ledger: &mut Ledger, now: Time) -> Vec<u32> {
    let mut ended = Vec::new();
    ledger.expire(now, &mut ended);
    ended.iter().map(|e| e.slot).collect()
}

#[test]
fn a_tree_ends_when_every_edge_was_made_and_acked() {
    let mut ledger = Ledger::new(7, Some(T));
    let root = ledger.open(at(1.0), 0).unwrap();
    assert!(ledger.charge(root, 0b0110));
    assert_eq!(ledger.fold(root, 0b0010 ^ 0b1000), None, "one edge acked, a child made");
    assert_eq!(ledger.fold(root, 0b1000), None);
    assert_eq!(ledger.fold(root, 0b0100), Some(Ended { slot: 0, emitted: at(1.0), stream: 0 }));
    assert_eq!(ledger.pending(), 0);
}

#[test]
fn a_tree_without_receivers_ends_with_the_next_fold() {
    let mut ledger = Ledger::new(7, Some(T));
    let root = ledger.open(at(0.0), 0).unwrap();
    assert!(!ledger.charge(root, 0));
    assert!(ledger.fold(root, 0).is_some());
}

#[test]
fn a_late_ack_does_not_hit_the_next_tree_in_the_slot() {
    let mut ledger = Ledger::new(7, Some(T));
    let old = ledger.open(at(0.0), 0).unwrap();
    ledger.charge(old, 5);
    assert!(ledger.fail(old).is_some());
    let new = ledger.open(at(0.0), 0).unwrap();
    ledger.charge(new, 5);
    assert_eq!(slot_of(old), slot_of(new));
    assert_eq!(ledger.fold(old, 5), None);
    assert_eq!(ledger.fail(old), None);
    assert_eq!((ledger.late(), ledger.pending()), (2, 1));
}

#[test]
fn acks_of_a_former_life_hit_nothing() {
    let mut former = Ledger::new(41, Some(T));
    let root = former.open(at(0.0), 0).unwrap();
    let mut next = Ledger::new(977, Some(T));
    let live = next.open(at(0.0), 0).unwrap();
    next.charge(live, 9);
    assert_eq!(next.fold(root, 9), None);
    assert_eq!(next.pending(), 1);
}

#[test]
fn slots_are_reused_first_in_first_out() {
    let mut ledger = Ledger::new(0, Some(T));
    let roots: Vec<u64> = (0..3).map(|_| ledger.open(at(0.0), 0).unwrap()).collect();
    for root in [roots[1], roots[0], roots[2]] {
        ledger.fail(root);
    }
    let slots: Vec<u32> = (0..3).map(|_| slot_of(ledger.open(at(0.0), 0).unwrap())).collect();
    assert_eq!(slots, [1, 0, 2]);
}

#[test]
fn generations_wrap() {
    let mut ledger = Ledger::new(u64::MAX, Some(T));
    let last = ledger.open(at(0.0), 0).unwrap();
    assert!(ledger.fail(last).is_some());
    let first = ledger.open(at(0.0), 0).unwrap();
    assert_eq!(first >> SLOT_BITS, 0);
    assert!(ledger.fail(first).is_some());
}

#[test]
fn reset_gives_the_whole_timeout_again() {
    let mut ledger = Ledger::new(0, Some(T));
    let root = ledger.open(at(0.0), 0).unwrap();
    ledger.charge(root, 1);
    ledger.reset(root, at(20.0));
    assert_eq!(expired(&mut ledger, at(45.0)), [0u32; 0]);
    assert_eq!(expired(&mut ledger, at(51.0)), [0]);
}

#[test]
fn hasten_shortens_and_never_prolongs() {
    let mut ledger = Ledger::new(0, Some(T));
    for start in [0.0, 29.0] {
        let root = ledger.open(at(start), 0).unwrap();
        ledger.charge(root, 1);
    }
    ledger.hasten(at(29.0), Duration::from_secs(5));
    assert_eq!(expired(&mut ledger, at(31.0)), [0]);
    assert_eq!(expired(&mut ledger, at(36.0)), [1]);
}

#[test]
fn without_a_timeout_nothing_expires() {
    let mut ledger = Ledger::new(0, None);
    let root = ledger.open(at(0.0), 0).unwrap();
    ledger.charge(root, 1);
    assert_eq!(expired(&mut ledger, at(1e9)), [0u32; 0]);
    assert_eq!(ledger.next_expiry(), None);
}

#[test]
fn abandon_counts_what_is_lost() {
    let mut ledger = Ledger::new(0, Some(T));
    let root = ledger.open(at(0.0), 0).unwrap();
    ledger.charge(root, 1);
    assert_eq!(ledger.abandon(), 1);
    assert_eq!(ledger.fold(root, 1), None);
}

proptest! {
    #[test]
    fn a_tree_fails_between_the_timeout_and_one_tick_more(
        start_ms in 0u64..100_000,
        timeout_ms in 20u64..60_000,
    ) {
        let timeout = Duration::from_millis(timeout_ms);
        let mut ledger = Ledger::new(0, Some(timeout));
        let start = Time::from_millis(start_ms);
        let root = ledger.open(start, 0).unwrap();
        ledger.charge(root, 1);
        let early = start + timeout - Duration::from_nanos(1);
        prop_assert_eq!(expired(&mut ledger, early), Vec::<u32>::new());
        let late = start + timeout + ledger.tick();
        prop_assert_eq!(expired(&mut ledger, late), vec![0]);
    }

    /// Random trees, acked in any order, some edges acked twice, some never, some failed: the
    /// ledger agrees with a model that keeps every edge.
    #[test]
    fn agrees_with_a_plain_model(
        seed in any::<u64>(),
        steps in proptest::collection::vec((0u8..10, any::<u32>()), 1..400),
    ) {
        let mut ledger = Ledger::new(seed, Some(T));
        let mut rng = crate::ids::EdgeIds::seeded(seed);
        // Model: open edges of each pending root; a set per root.
        let mut model: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        let mut gone: Vec<u64> = Vec::new();
        for (what, pick) in steps {
            let pick = pick as usize;
            let live: Vec<u64> = model.keys().copied().collect();
            match what {
                0..=2 => {
                    let root = ledger.open(Time::ZERO, 0).unwrap();
                    prop_assert!(!model.contains_key(&root) && !gone.contains(&root), "root used twice");
                    let edges: Vec<u64> = (0..pick % 4).map(|_| rng.next()).collect();
                    let has_edges = ledger.charge(root, edges.iter().fold(0, |a, b| a ^ b));
                    prop_assert_eq!(has_edges, !edges.is_empty());
                    if has_edges {
                        model.insert(root, edges);
                    } else {
                        prop_assert!(ledger.fold(root, 0).is_some());
                        gone.push(root);
                    }
                }
                3..=7 if !live.is_empty() => {
                    let root = live[pick % live.len()];
                    let edges = model.get_mut(&root).unwrap();
                    let acked = edges.swap_remove((pick / 7) % edges.len());
                    let children: Vec<u64> = (0..(pick / 13) % 3).map(|_| rng.next()).collect();
                    edges.extend(&children);
                    let is_done = edges.is_empty();
                    let ended = ledger.fold(root, children.iter().fold(acked, |a, b| a ^ b));
                    prop_assert_eq!(ended.is_some(), is_done);
                    if is_done { model.remove(&root); gone.push(root) }
                }
                8 if !live.is_empty() => {
                    let root = live[pick % live.len()];
                    prop_assert!(ledger.fail(root).is_some());
                    model.remove(&root);
                    gone.push(root);
                }
                _ if !gone.is_empty() => {
                    // A late or duplicate ack never ends anything.
                    let root = gone[pick % gone.len()];
                    prop_assert!(ledger.fold(root, rng.next()).is_none());
                }
                _ => {}
            }
            prop_assert_eq!(ledger.pending(), model.len());
        }
    }

    /// An edge acked twice may leave its tree to time out but never ends it early.
    #[test]
    fn a_duplicate_ack_never_ends_a_tree_early(seed in any::<u64>(), count in 2usize..20, dup in 0usize..20) {
        let mut rng = crate::ids::EdgeIds::seeded(seed);
        let mut ledger = Ledger::new(seed, Some(T));
        let root = ledger.open(Time::ZERO, 0).unwrap();
        let edges: Vec<u64> = (0..count).map(|_| rng.next()).collect();
        ledger.charge(root, edges.iter().fold(0, |a, b| a ^ b));
        prop_assert!(ledger.fold(root, edges[dup % count]).is_none());
        prop_assert!(ledger.fold(root, edges[dup % count]).is_none());
        // All but one of the others: not yet done, whatever the duplicates did.
        for edge in &edges[..count - 1] {
            prop_assert!(ledger.fold(root, *edge).is_none());
        }
    }
}
