use proptest::prelude::*;
use storm_row::{KeyEncoder, RowBuilder, Value};

use super::*;

fn hash(key: Value) -> u64 {
    let mut builder = RowBuilder::new(1 << 20);
    let values = builder.write_row(&[key][..]).unwrap();
    KeyEncoder::new().hash(&values, &[0]).unwrap()
}

fn groups(tasks: usize) -> KeyGroups {
    KeyGroups::new(vec![0], tasks)
}

fn shares(ring: &mut Ring, targets: usize, n: usize) -> Vec<usize> {
    let mut got = vec![0; targets];
    for _ in 0..n {
        got[ring.next(|_| 1000) as usize] += 1;
    }
    got
}

#[test]
fn turns_are_even() {
    let mut ring = Ring::by_turns(7, &mut EdgeIds::seeded(1));
    assert_eq!(shares(&mut ring, 7, 700), [100; 7]);
}

#[test]
fn turns_among_many_are_even_in_runs() {
    let mut ring = Ring::by_turns(100, &mut EdgeIds::seeded(1));
    assert_eq!(shares(&mut ring, 100, 1600), [16; 100]);
    let busy = ring.next(|_| 1000);
    assert_eq!(ring.next(|_| 1000), busy, "a run");
    assert_ne!(
        ring.next(|rank| if rank == busy as usize { 0 } else { 1000 }),
        busy,
        "a run ends where credit ends"
    );
    let slow: std::collections::BTreeSet<u32> = (0..50).map(|_| ring.next(|_| 5)).collect();
    assert_eq!(slow.len(), 50, "slow targets get one row each");
}

#[test]
fn equal_loads_are_even_within_the_ring() {
    let mut ring = Ring::by_load(3, &mut EdgeIds::seeded(1));
    for share in shares(&mut ring, 3, 1000) {
        assert!((333..=334).contains(&share), "{share}");
    }
}

#[test]
fn a_busy_target_loses_a_tenth_a_second_and_recovers_slowly() {
    let mut random = EdgeIds::seeded(1);
    let mut ring = Ring::by_load(2, &mut random);
    for _ in 0..5 {
        ring.refresh(&[0.9, 0.1], &mut random);
    }
    assert_eq!(shares(&mut ring, 2, 1000)[0] / 10, 33, "weights 50 and 100");
    for _ in 0..5 {
        ring.refresh(&[0.9, 0.1], &mut random);
    }
    assert_eq!(shares(&mut ring, 2, 1000)[0], 0, "weight 0");
    ring.refresh(&[0.1, 0.1], &mut random);
    assert!(shares(&mut ring, 2, 1000)[0] > 0, "weight 1");
}

#[test]
fn a_target_without_credit_is_passed_over() {
    let mut ring = Ring::by_turns(3, &mut EdgeIds::seeded(1));
    for _ in 0..10 {
        assert_ne!(ring.next(|rank| i64::from(rank != 1)), 1);
    }
    // With no credit anywhere there is still a choice.
    assert!(ring.next(|_| 0) < 3);
}

/// A change of these numbers sends keys of running topologies to other tasks.
#[test]
fn keys_go_where_they_always_went() {
    let groups_of = groups(10);
    let tasks: Vec<u32> =
        ["the", "and", "Alice", "", "straße"].iter().map(|w| groups_of.target(hash((*w).into()))).collect();
    let numbers: Vec<u32> =
        [0, 1, -1, 1 << 40].iter().map(|n| groups_of.target(hash(Value::Int(*n)))).collect();
    assert_eq!((&tasks[..], &numbers[..]), (&[7, 3, 4, 8, 4][..], &[5, 2, 7, 8][..]));
}

#[test]
fn key_groups_are_split_evenly() {
    for tasks in [1, 2, 3, 7, 100] {
        let groups_of = groups(tasks);
        let mut got = vec![0u32; tasks];
        for group in 0..storm_row::KEY_GROUPS {
            got[groups_of.target(u64::from(group) << 49) as usize] += 1;
        }
        assert!(got.iter().max().unwrap() - got.iter().min().unwrap() <= 1, "{got:?}");
    }
}

#[test]
fn text_and_bytes_are_one_key() {
    assert_eq!(hash("word".into()), hash(Value::Bytes(b"word".to_vec())));
}

proptest! {
    #[test]
    fn a_key_has_one_task(key in ".*", tasks in 1usize..50) {
        let groups_of = groups(tasks);
        let first = groups_of.target(hash(key.as_str().into()));
        prop_assert!((first as usize) < tasks);
        prop_assert_eq!(first, groups(tasks).target(hash(key.as_str().into())));
    }

    #[test]
    fn a_partial_key_has_at_most_two_tasks_and_uses_both_evenly(key in any::<i64>(), tasks in 2usize..50) {
        let mut partial = PartialKey::new(vec![0], tasks);
        let mut got = vec![0; tasks];
        for _ in 0..100 {
            got[partial.target(hash(Value::Int(key))) as usize] += 1;
        }
        let used: Vec<_> = got.into_iter().filter(|n| *n > 0).collect();
        prop_assert_eq!(used, vec![50, 50]);
    }
}

#[test]
fn the_one_target_with_credit_is_found() {
    let mut random = EdgeIds::seeded(1);
    let mut rings = [Ring::by_load(5, &mut random), Ring::by_turns(5, &mut random)];
    for ring in &mut rings {
        for turn in 0..2000 {
            let free = turn % 5;
            assert_eq!(ring.next(|rank| i64::from(rank == free)), free as u32);
        }
    }
}
