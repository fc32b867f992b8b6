//! Every interleaving of the few places where executors share state without a channel.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p storm-engine --lib --release --target-dir target/loom loom_tests`

use loom::sync::Arc;
use loom::thread;

use crate::bell::Bell;
use crate::budget::Budget;
use crate::credit::{Account, Grant};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::traffic::{Traffic, is_quiet};

/// Two senders of one row each, a window of one row: whoever finds no credit parks, and is rung.
/// Were one forgotten, it would park for ever, which loom reports as a deadlock.
#[test]
fn nobody_who_waits_for_credit_is_forgotten() {
    loom::model(|| {
        let account = Arc::new(Account::new(2));
        // What the senders have sent and nobody has taken yet.
        let inbox = Arc::new(Mutex::new(Vec::<Grant>::new()));
        let senders: Vec<_> = (0..2u32)
            .map(|me| {
                let (account, inbox) = (account.clone(), inbox.clone());
                thread::spawn(move || {
                    let grant = loop {
                        match account.draw(10, me) {
                            Some(grant) => break grant,
                            None => thread::park(),
                        }
                    };
                    inbox.lock().unwrap().push(grant);
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 2 {
            let grant = inbox.lock().unwrap().pop();
            let Some(grant) = grant else {
                thread::yield_now();
                continue;
            };
            taken += 1;
            let mut wake = Vec::new();
            account.give_back(grant, &mut wake);
            wake.iter().for_each(|&sender| senders[sender as usize].thread().unpark());
        }
        senders.into_iter().for_each(|s| s.join().unwrap());
        assert_eq!(account.outstanding(), Grant::default());
    });
}

/// A spout pauses because a cycle is half full; the bolt that empties the cycle rings it.
#[test]
fn a_spout_that_pauses_for_a_cycle_is_rung() {
    loom::model(|| {
        let budget = Arc::new(Budget::new(100));
        budget.enter_loop(60);
        let spout = {
            let budget = budget.clone();
            thread::spawn(move || {
                while budget.is_half_full() && budget.pause() {
                    thread::park();
                }
            })
        };
        if budget.leave_loop(60) {
            spout.thread().unpark();
        }
        spout.join().unwrap();
    });
}

/// Two senders of one row each, and one who pulls: it looks, takes the bell, looks again if it was rung,
/// and parks. Were a ring lost, it would park for ever.
#[test]
fn who_pulls_never_parks_while_there_is_a_row() {
    let mut model = loom::model::Builder::new();
    // All interleavings of three threads would take minutes; three switches are enough to lose a ring.
    model.preemption_bound = Some(3);
    model.check(|| {
        let (bell, lane) = (Arc::new(Bell::default()), Arc::new(Mutex::new(0)));
        let sender = |_| {
            let (bell, lane) = (bell.clone(), lane.clone());
            thread::spawn(move || {
                *lane.lock().unwrap() += 1;
                bell.ring();
            })
        };
        let mut threads: Vec<_> = (0..2).map(sender).collect();
        // Not this thread: a wake that comes late would disturb loom's `join`.
        threads.push(thread::spawn(move || {
            bell.hang();
            let mut pulled = 0;
            loop {
                pulled += std::mem::take(&mut *lane.lock().unwrap());
                if pulled == 2 {
                    break;
                }
                if !bell.take() {
                    thread::park();
                }
            }
        }));
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

/// A sender sends a row; the receiver takes it and sends another because of it; who looks from
/// outside never finds all quiet while one of them is on its way.
#[test]
fn quiet_is_only_seen_when_nothing_is_on_its_way() {
    loom::model(|| {
        let traffic = Arc::new([Traffic::default(), Traffic::default(), Traffic::default()]);
        let lanes = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let done = Arc::new(AtomicU64::new(0));
        // An untracked row of a spout that has no more to come.
        traffic[0].publish(1, 0, 0, 0);
        lanes[0].store(true, Ordering::SeqCst);
        let middle = {
            let (traffic, lanes) = (traffic.clone(), lanes.clone());
            thread::spawn(move || {
                if lanes[0].swap(false, Ordering::SeqCst) {
                    // A full batch leaves in the middle of a step.
                    traffic[1].publish_sent(1);
                    lanes[1].store(true, Ordering::SeqCst);
                    traffic[1].publish(1, 1, 0, 0);
                }
            })
        };
        let last = {
            let (traffic, lanes, done) = (traffic.clone(), lanes.clone(), done.clone());
            thread::spawn(move || {
                if lanes[1].swap(false, Ordering::SeqCst) {
                    done.store(1, Ordering::SeqCst);
                    traffic[2].publish(0, 1, 0, 0);
                }
            })
        };
        if is_quiet(traffic.iter()) {
            assert_eq!(done.load(Ordering::SeqCst), 1, "quiet before the second row was taken");
        }
        middle.join().unwrap();
        last.join().unwrap();
    });
}
