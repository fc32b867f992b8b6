//! Spouts that are async functions. Where time matters the future runs on a runtime that the test
//! itself drives, in turns with a stepped topology: one thread, a virtual clock.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use storm_rs::engine::stepped::Stepped;
use storm_rs::engine::{ComponentSettings, ErrorKind, Settings};
use storm_rs::prelude::*;
use storm_rs::{AsyncSpout, Feed, FeedContext, Receipt, RowBuilder, Stopped, Time};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::async_bolts::{run_to_end, start};
use crate::kit::*;

/// A stepped topology and the runtime of its feeds, moved in turns.
struct InTurns {
    runtime: Runtime,
    run: Stepped,
}

impl InTurns {
    fn start(settings: Settings, build: impl FnOnce(&mut TopologyBuilder, Handle)) -> InTurns {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut t = TopologyBuilder::new();
        build(&mut t, runtime.handle().clone());
        let run = stepped(t.build().unwrap(), settings, 7);
        InTurns { runtime, run }
    }

    /// Lets the futures go on until they wait for the topology.
    fn poll(&self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// So many milliseconds pass.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            self.poll();
            let until = self.now() + Duration::from_millis(1);
            self.run.run_until(until);
        }
        self.poll();
    }

    fn now(&self) -> Time {
        use storm_rs::Clock;
        self.run.clock().now()
    }

    fn errors(&mut self) -> Vec<(ErrorKind, String)> {
        self.run.take_errors().into_iter().map(|e| (e.kind, e.message)).collect()
    }

    fn audit(&mut self, is_quiescent: bool) {
        assert_eq!(self.run.snapshot().audit(is_quiescent), [""; 0]);
    }

    fn finish(mut self) {
        for _ in 0..1000 {
            self.pass(1);
            if self.run.is_done() && self.run.is_quiet() {
                self.audit(true);
                return self.run.stop();
            }
        }
        panic!("not done: {:#?}", self.run.snapshot());
    }
}

#[test]
fn every_tuple_arrives_once_and_every_receipt_is_acked() {
    let got = log();
    let acked = Arc::new(AtomicUsize::new(0));
    let counter = acked.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout(
        "feed",
        move || {
            let acked = counter.clone();
            AsyncSpout::new(["n"], move |feed: Feed, ctx: FeedContext| {
                let acked = acked.clone();
                async move {
                    let mut receipts = Vec::new();
                    for n in 0..10_000 {
                        if n % ctx.task_count() == ctx.task_index() {
                            receipts.push(feed.emit_tracked((n,)).await?);
                        }
                    }
                    for receipt in receipts {
                        receipt.await.map_err(|cause| cause.to_string())?;
                        acked.fetch_add(1, SeqCst);
                    }
                    Ok(())
                }
            })
        },
        2,
    );
    t.set_bolt("pass", pass(), 2).shuffle_grouping("feed");
    t.set_bolt("sink", sink(&got), 2).fields_grouping("pass", ["n"]);
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    assert_eq!(errors, []);
    assert!(is_exact(&got, 10_000));
    assert_eq!(acked.load(SeqCst), 10_000);
    assert_eq!(snapshot.spouts(|t| t.acked()), 10_000);
}

#[test]
fn what_a_feed_emits_again_counts_as_replayed() {
    let mut t = TopologyBuilder::new();
    let feed = |feed: Feed, _: FeedContext| async move {
        for n in 0..10i64 {
            let mut receipt = feed.emit_tracked((n,)).await?;
            while receipt.await.is_err() {
                receipt = feed.emit_replayed((n,)).await?;
            }
            let mut receipt = feed.on("more").emit_tracked((n,)).await?;
            while receipt.await.is_err() {
                receipt = feed.on("more").emit_replayed((n,)).await?;
            }
        }
        Ok(())
    };
    t.set_spout("feed", move || AsyncSpout::new(["n"], feed).stream("more", ["n"]), 1);
    let mut seen = BTreeMap::new();
    // The number n fails n times on each stream.
    let judge = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
        let n = input.get::<i64>("n")?;
        let times = seen.entry((input.source_stream().to_owned(), n)).or_insert(0);
        *times += 1;
        if *times > n { Ok(()) } else { Err(BoltError::quiet("not yet")) }
    });
    t.set_bolt("judge", judge, 1).shuffle_grouping("feed").shuffle_grouping(("feed", "more"));
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    assert_eq!(errors, []);
    let figures = |task: &storm_rs::engine::TaskSnapshot| [task.acked(), task.failed(), task.replayed];
    assert_eq!(snapshot.tasks("feed").map(figures).collect::<Vec<_>>(), [[20, 90, 90]]);
}

#[test]
fn untracked_tuples_arrive_and_the_end_of_the_future_ends_the_run() {
    let got = log();
    let mut t = TopologyBuilder::new();
    let feed = |feed: Feed, _: FeedContext| async move {
        for n in 0..5000i64 {
            feed.emit((n,)).await?;
        }
        Ok(())
    };
    t.set_spout("feed", move || AsyncSpout::new(["n"], feed), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    assert_eq!(errors, []);
    let numbers: Vec<i64> = taken(&got).into_iter().map(|(_, n)| n).collect();
    assert!(numbers.into_iter().eq(0..5000), "in order, each once");
    assert_eq!(snapshot.spouts(|t| t.tracked), 0);
}

#[test]
fn a_full_queue_holds_the_future_back() {
    let ahead = Arc::new(AtomicUsize::new(0));
    let counter = ahead.clone();
    let held: Log<Retained> = log();
    let held_by_bolt = held.clone();
    let own = ComponentSettings { max_spout_pending: 10, ..ComponentSettings::default() };
    let mut turns = InTurns::start(component(settings(), "feed", own), |t, handle| {
        let feed = move || {
            let counter = counter.clone();
            let feed = move |feed: Feed, _: FeedContext| {
                let counter = counter.clone();
                async move {
                    for n in 0..100i64 {
                        drop(feed.emit_tracked((n,)).await?);
                        counter.fetch_add(1, SeqCst);
                    }
                    Ok(())
                }
            };
            AsyncSpout::new(["n"], feed).capacity(16).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        let hold = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            held_by_bolt.lock().unwrap().push(out.retain(input));
            Ok(())
        });
        t.set_bolt("hold", hold, 1).shuffle_grouping("feed");
    });
    turns.pass(100);
    assert_eq!(held.lock().unwrap().len(), 10, "topology.max.spout.pending");
    assert_eq!(ahead.load(SeqCst), 10 + 16);
    held.lock().unwrap().pop().unwrap().ack();
    turns.pass(20);
    assert_eq!(ahead.load(SeqCst), 11 + 16, "one goes, one comes");
    turns.audit(true);
    while ahead.load(SeqCst) < 100 || !held.lock().unwrap().is_empty() {
        taken(&held).into_iter().for_each(Retained::ack);
        turns.pass(1);
        assert!(turns.now() < Time::from_secs(10));
    }
    turns.finish();
}

#[test]
fn deactivation_holds_the_future_back() {
    let got = log();
    let ahead = Arc::new(AtomicUsize::new(0));
    let counter = ahead.clone();
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let counter = counter.clone();
            let feed = move |feed: Feed, _: FeedContext| {
                let counter = counter.clone();
                async move {
                    for n in 0..100i64 {
                        feed.emit((n,)).await?;
                        counter.fetch_add(1, SeqCst);
                    }
                    Ok(())
                }
            };
            AsyncSpout::new(["n"], feed).capacity(8).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    });
    turns.run.deactivate();
    turns.pass(50);
    assert_eq!((ahead.load(SeqCst), got.lock().unwrap().len()), (8, 0));
    turns.run.activate();
    turns.finish();
    assert!(is_exact(&got, 100));
}

/// Emits `0..count` and writes down what each receipt says.
fn follow_receipts(
    handle: Handle,
    count: i64,
    outcomes: &Log<(i64, Result<(), FailCause>)>,
) -> impl Fn() -> AsyncSpout<Follow> + Send + Sync + 'static {
    let outcomes = outcomes.clone();
    move || {
        let outcomes = outcomes.clone();
        let follow: Follow = Box::new(move |feed, _| {
            let outcomes = outcomes.clone();
            Box::pin(async move {
                let mut receipts: Vec<(i64, Receipt)> = Vec::new();
                for n in 0..count {
                    receipts.push((n, feed.emit_tracked((n,)).await?));
                }
                for (n, receipt) in receipts {
                    let outcome = receipt.await;
                    outcomes.lock().unwrap().push((n, outcome));
                }
                Ok(())
            })
        });
        AsyncSpout::new(["n"], follow).on(handle.clone())
    }
}

type Follow = Box<
    dyn FnMut(Feed, FeedContext) -> std::pin::Pin<Box<dyn Future<Output = Result<(), SpoutError>> + Send>>
        + Send,
>;

#[test]
fn a_receipt_tells_ack_and_cause_of_failure() {
    let outcomes = log();
    let kept: Log<Retained> = log();
    let keep = kept.clone();
    let mut turns = InTurns::start(settings(), |t, handle| {
        t.set_spout("feed", follow_receipts(handle, 5, &outcomes), 1);
        let verdicts =
            func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| match input.get::<i64>("n")? {
                0 => Ok(()),
                1 => Err("no".into()),
                2 => panic!("never"),
                3 => {
                    drop(out.retain(input));
                    Ok(())
                }
                _ => {
                    keep.lock().unwrap().push(out.retain(input));
                    Ok(())
                }
            });
        t.set_bolt("verdicts", verdicts, 1).shuffle_grouping("feed");
    });
    let begin = turns.now();
    turns.pass(20);
    let failed = Err(FailCause::Failed);
    let soon = [(0, Ok(())), (1, failed), (2, Err(FailCause::Panicked)), (3, failed)];
    assert_eq!(*outcomes.lock().unwrap(), soon);
    turns.run.run_until(begin + Duration::from_secs(29));
    turns.poll();
    assert_eq!(outcomes.lock().unwrap().len(), 4);
    turns.run.run_until(begin + Duration::from_secs(32));
    turns.poll();
    assert_eq!(outcomes.lock().unwrap()[4..], [(4, Err(FailCause::Timeout))]);
    taken(&kept).into_iter().for_each(Retained::ack);
    turns.finish();
}

#[test]
fn a_full_cycle_is_told_by_the_receipt() {
    let outcomes = log();
    let tight = Settings { memory_budget: 4096, ..settings() };
    let mut turns = InTurns::start(tight, |t, handle| {
        t.set_spout("feed", follow_receipts(handle, 1, &outcomes), 1);
        let twice = func(|input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            let n = input.get::<i64>("n")?;
            out.emit((n,));
            out.emit((n,));
            Ok(())
        });
        t.set_bolt("twice", twice, 1).shuffle_grouping("feed").shuffle_grouping("twice");
    });
    turns.pass(50);
    assert_eq!(taken(&outcomes), [(0, Err(FailCause::LoopBudget))]);
    turns.audit(false);
    turns.run.stop();
}

#[test]
fn a_wrong_row_fails_its_receipt_and_is_a_breach_of_contract() {
    let outcomes: Log<Result<(), FailCause>> = log();
    let told = outcomes.clone();
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let told = told.clone();
            let feed = move |feed: Feed, _: FeedContext| {
                let told = told.clone();
                async move {
                    let receipts =
                        [feed.emit_tracked((1, 2)).await?, feed.on("nowhere").emit_tracked((1,)).await?];
                    for receipt in receipts {
                        let outcome = receipt.await;
                        told.lock().unwrap().push(outcome);
                    }
                    Ok(())
                }
            };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
    });
    // The second is asked for after the pause that a refused emit brings.
    turns.pass(200);
    assert_eq!(taken(&outcomes), [Err(FailCause::Failed); 2]);
    let errors = turns.errors();
    assert!(errors.iter().all(|(kind, _)| *kind == ErrorKind::Contract), "{errors:?}");
    assert!(errors[0].1.contains("2 values to stream 'default', which has 1 fields"), "{errors:?}");
    assert!(errors[1].1.contains("stream 'nowhere'"), "{errors:?}");
    turns.finish();
}

#[test]
fn a_feed_can_end_the_topology() {
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let feed = |_: Feed, _: FeedContext| async { Err(SpoutError::fatal("no such partition")) };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
    });
    turns.pass(50);
    assert_eq!(turns.errors(), [(ErrorKind::Fatal, "no such partition".to_owned())]);
}

#[test]
fn streams_and_tasks_can_be_named() {
    let (lines, late, direct) = (log(), log(), log());
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let feed = |feed: Feed, _: FeedContext| async move {
                feed.emit((0,)).await?;
                feed.on("late").emit((1,)).await?;
                // Tasks by name of component: direct 1 and 2, feed 3, late 4, lines 5.
                let receipt = feed.on("direct").task(TaskId(2)).emit_tracked((2,)).await?;
                receipt.await.map_err(|cause| cause.to_string())?;
                feed.on("late").emit_tracked((3,)).await?.await.map_err(|cause| cause.to_string())?;
                Ok(())
            };
            AsyncSpout::new(["n"], feed)
                .stream("late", ["n"])
                .direct_stream("direct", ["n"])
                .on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        t.set_bolt("lines", sink(&lines), 1).shuffle_grouping("feed");
        t.set_bolt("late", sink(&late), 1).shuffle_grouping(("feed", "late"));
        t.set_bolt("direct", sink(&direct), 2).direct_grouping(("feed", "direct"));
    });
    turns.pass(20);
    assert_eq!(turns.errors(), []);
    turns.finish();
    assert_eq!(taken(&lines), [(TaskId(5), 0)]);
    assert_eq!(taken(&late), [(TaskId(4), 1), (TaskId(4), 3)]);
    assert_eq!(taken(&direct), [(TaskId(2), 2)]);
}

#[test]
fn an_error_or_panic_is_reported_and_the_future_starts_anew_after_a_growing_pause() {
    let got = log();
    let starts: Log<(u64, Time)> = log();
    let notes = starts.clone();
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let notes = notes.clone();
            let feed = move |feed: Feed, ctx: FeedContext| {
                notes.lock().unwrap().push((ctx.attempt(), ctx.now()));
                async move {
                    let n = ctx.attempt() as i64 - 1;
                    // What is queued before an error is emitted all the same.
                    feed.emit((n,)).await?;
                    match n {
                        0 => Err(std::io::Error::other("connection refused").into()),
                        1 => panic!("attempt {}", ctx.attempt()),
                        2 => Err("third".into()),
                        _ => Ok(()),
                    }
                }
            };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    });
    turns.pass(1000);
    let starts = taken(&starts);
    assert_eq!(starts.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let pauses: Vec<u128> = starts.windows(2).map(|w| w[1].1.since(w[0].1).as_millis()).collect();
    for (pause, wanted) in pauses.iter().zip([100, 200, 400]) {
        assert!((wanted..wanted + 10).contains(pause), "{pauses:?}");
    }
    let errors = turns.errors();
    let messages: Vec<&str> = errors.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the feed was interrupted and starts anew in 100ms: connection refused",
            "the feed was interrupted and starts anew in 200ms: the future panicked: attempt 2",
            "the feed was interrupted and starts anew in 400ms: third",
        ]
    );
    turns.finish();
    assert!(is_exact(&got, 4));
}

#[test]
fn a_tuple_of_a_former_run_can_still_fail() {
    let got = log();
    let mut turns = InTurns::start(with_timeout(2), |t, handle| {
        let feed = move || {
            let feed = |feed: Feed, ctx: FeedContext| async move {
                let receipt = feed.emit_tracked((1,)).await?;
                if ctx.attempt() == 1 {
                    return Err("lost the connection".into());
                }
                receipt.await.map_err(|cause| cause.to_string().into())
            };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        let got = got.clone();
        let first_fails = func(move |input: &Tuple<'_>, _: &mut BoltOutput<'_>| {
            let mut got = got.lock().unwrap();
            got.push((input.source_task(), input.get::<i64>("n")?));
            if got.len() == 1 { Err("first".into()) } else { Ok(()) }
        });
        t.set_bolt("sink", first_fails, 1).shuffle_grouping("feed");
    });
    turns.pass(300);
    assert_eq!(got.lock().unwrap().len(), 2);
    let snapshot = turns.run.snapshot();
    assert_eq!(snapshot.spouts(|t| t.acked()), 1);
    assert_eq!(snapshot.spouts(|t| t.failed()), 1);
    turns.finish();
}

#[test]
fn the_spout_is_done_when_the_last_clone_of_the_feed_is_dropped() {
    let got = log();
    let mut t = TopologyBuilder::new();
    let feed = |feed: Feed, _: FeedContext| async move {
        for part in 0..4i64 {
            let feed = feed.clone();
            tokio::spawn(async move {
                for n in part * 100..(part + 1) * 100 {
                    feed.emit((n,)).await?;
                    tokio::task::yield_now().await;
                }
                Ok::<_, Stopped>(())
            });
        }
        Ok(())
    };
    t.set_spout("feed", move || AsyncSpout::new(["n"], feed).capacity(1), 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    let (_, errors) = run_to_end(t.build().unwrap(), settings());
    assert_eq!(errors, []);
    assert!(is_exact(&got, 400));
}

#[test]
fn errors_can_be_reported_on_the_way() {
    let got = log();
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let feed = |feed: Feed, _: FeedContext| async move {
                feed.emit((0,)).await?;
                feed.report_error("skipped a line").await?;
                feed.emit((1,)).await?;
                Ok(())
            };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    });
    turns.pass(20);
    assert_eq!(turns.errors(), [(ErrorKind::Reported, "skipped a line".to_owned())]);
    turns.finish();
    assert!(is_exact(&got, 2));
}

#[test]
fn nothing_starts_before_open_and_each_task_has_a_future() {
    let starts: Log<(TaskId, usize, usize, u64)> = log();
    let notes = starts.clone();
    let mut t = TopologyBuilder::new();
    let feed = move || {
        let notes = notes.clone();
        AsyncSpout::new(["n"], move |_: Feed, ctx: FeedContext| {
            assert_eq!((ctx.topology(), ctx.component().as_str()), ("behaviour", "feed"));
            let facts = (ctx.task(), ctx.task_index(), ctx.task_count(), ctx.incarnation());
            notes.lock().unwrap().push(facts);
            async { Ok(()) }
        })
    };
    t.set_spout("feed", feed, 2).num_tasks(3);
    let topology = t.build().unwrap();
    assert_eq!(*starts.lock().unwrap(), []);
    run_to_end(topology, settings());
    let mut starts = taken(&starts);
    starts.sort();
    assert_eq!(starts, [(TaskId(1), 0, 3, 1), (TaskId(2), 1, 3, 1), (TaskId(3), 2, 3, 1)]);
}

/// Says so when it is dropped.
struct Tell(mpsc::Sender<&'static str>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.send("dropped").ok();
    }
}

#[test]
fn the_end_of_the_topology_cancels_the_future_and_stops_the_feed() {
    let (sender, said) = mpsc::channel();
    let sender = Mutex::new(sender);
    let feeds: Log<(Feed, Receipt)> = log();
    let out_of_reach = feeds.clone();
    let mut t = TopologyBuilder::new();
    let feed = move || {
        let sender = sender.lock().unwrap().clone();
        let feeds = out_of_reach.clone();
        AsyncSpout::new(["n"], move |feed: Feed, _: FeedContext| {
            let (sender, feeds) = (sender.clone(), feeds.clone());
            async move {
                let tell = Tell(sender);
                let receipt = feed.emit_tracked((7,)).await?;
                feeds.lock().unwrap().push((feed, receipt));
                tell.0.send("started")?;
                std::future::pending().await
            }
        })
    };
    t.set_spout("feed", feed, 1);
    let kept: Log<Retained> = log();
    let hold = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
        kept.lock().unwrap().push(out.retain(input));
        Ok(())
    });
    t.set_bolt("hold", hold, 1).shuffle_grouping("feed");
    let mut run = start(t.build().unwrap(), settings());
    assert_eq!(said.recv(), Ok("started"));
    assert!(!run.is_done());
    run.stop();
    assert_eq!(said.try_recv(), Ok("dropped"), "its thread has been joined");
    let runtime = Builder::new_current_thread().build().unwrap();
    let (feed, receipt) = taken(&feeds).remove(0);
    runtime.block_on(async {
        assert_eq!(feed.emit((8,)).await, Err(Stopped));
        feed.stopped().await;
        assert_eq!(receipt.await, Err(FailCause::WorkerLost));
    });
}

#[test]
fn a_future_that_blocks_its_thread_does_not_hold_up_the_end() {
    let (hold, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let (sender, started) = mpsc::channel();
    let sender = Mutex::new(sender);
    let mut t = TopologyBuilder::new();
    let feed = move || {
        let (held, sender) = (held.clone(), sender.lock().unwrap().clone());
        AsyncSpout::new(["n"], move |_: Feed, _: FeedContext| {
            let (held, sender) = (held.lock().unwrap().take(), sender.clone());
            async move {
                sender.send(())?;
                held.unwrap().recv()?;
                Ok(())
            }
        })
    };
    t.set_spout("feed", feed, 1);
    let mut run = start(t.build().unwrap(), settings());
    started.recv().unwrap();
    // This ends although nothing was sent by `hold`.
    run.stop();
    drop(hold);
}

#[test]
fn a_runtime_that_has_shut_down_is_reported() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    let mut t = TopologyBuilder::new();
    let feed = |_: Feed, _: FeedContext| std::future::pending();
    t.set_spout("feed", move || AsyncSpout::new(["n"], feed).on(handle.clone()), 1);
    let mut run = stepped(t.build().unwrap(), settings(), 7);
    drop(runtime);
    run.run_until(Time::from_secs(2));
    let errors = run.take_errors();
    assert!(errors[0].message.contains("its runtime has shut down"), "{errors:?}");
    assert!(!run.is_done());
    run.stop();
}

#[test]
fn a_failed_tuple_is_emitted_again_until_it_is_acked() {
    let got: Log<(TaskId, i64)> = log();
    let seen: Arc<Mutex<BTreeMap<i64, usize>>> = Arc::default();
    let mut turns = InTurns::start(settings(), |t, handle| {
        let feed = move || {
            let feed = |feed: Feed, _: FeedContext| async move {
                for n in 0..50i64 {
                    while feed.emit_tracked((n,)).await?.await.is_err() {}
                }
                Ok(())
            };
            AsyncSpout::new(["n"], feed).on(handle.clone())
        };
        t.set_spout("feed", feed, 1);
        let third_time = func(move |input: &Tuple<'_>, out: &mut BoltOutput<'_>| {
            let n = input.get::<i64>("n")?;
            let mut seen = seen.lock().unwrap();
            let times = seen.entry(n).or_default();
            *times += 1;
            if *times < 3 {
                return Err(BoltError::quiet("not yet"));
            }
            out.emit((n,));
            Ok(())
        });
        t.set_bolt("third", third_time, 1).shuffle_grouping("feed");
        t.set_bolt("sink", sink(&got), 1).shuffle_grouping("third");
    });
    turns.pass(200);
    let snapshot = turns.run.snapshot();
    assert_eq!(snapshot.spouts(|t| t.failed()), 100);
    assert_eq!(snapshot.spouts(|t| t.acked()), 50);
    turns.finish();
    assert!(is_exact(&got, 50));
}

/// A row that panics when it is encoded: on the executor, where its spout is built anew.
struct Poison;

impl Row for Poison {
    fn arity(&self) -> usize {
        1
    }

    fn write(&self, _: &mut RowBuilder) {
        panic!("poison");
    }
}

#[test]
fn a_spout_that_panicked_has_dropped_its_future_before_the_next_one_starts() {
    let (got, lives) = (log(), log());
    let live = Arc::new(AtomicUsize::new(0));
    let notes = lives.clone();
    let mut t = TopologyBuilder::new();
    let feed = move || {
        let (live, notes) = (live.clone(), notes.clone());
        AsyncSpout::new(["n"], move |feed: Feed, ctx: FeedContext| {
            notes.lock().unwrap().push((ctx.incarnation(), live.fetch_add(1, SeqCst)));
            let leave = Leave(live.clone());
            async move {
                let _leave = leave;
                feed.emit((ctx.incarnation() as i64 - 1,)).await?;
                if ctx.incarnation() < 3 {
                    feed.emit(Poison).await?;
                    std::future::pending::<()>().await;
                }
                Ok(())
            }
        })
    };
    t.set_spout("feed", feed, 1);
    t.set_bolt("sink", sink(&got), 1).shuffle_grouping("feed");
    let (snapshot, errors) = run_to_end(t.build().unwrap(), settings());
    assert!(is_exact(&got, 3));
    assert!(errors.len() == 2 && errors.iter().all(|e| e.kind == ErrorKind::Panicked), "{errors:?}");
    assert_eq!(snapshot.tasks("feed").next().unwrap().incarnation, 3);
    assert_eq!(taken(&lives), [(1, 0), (2, 0), (3, 0)], "(incarnation, futures that were there before)");
}

struct Leave(Arc<AtomicUsize>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
