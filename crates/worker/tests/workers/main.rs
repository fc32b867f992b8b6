//! Worker processes, joined over TCP, whose supervisor and Nimbus are played by the test.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails where it is used")]

mod kit;
mod plan;
mod tuning;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use kit::{Cluster, free_port, numbers, slot};
use storm_model::{AssignedExecutor, ExecutorId, Incarnation, Status, TaskId};
use storm_rpc::v1::WorkerState;

/// Not a test: what the processes are started with.
#[test]
fn a_worker() {
    kit::become_a_worker();
}

/// numbers, relay and sink at these ports.
fn chain(count: i64) -> (Cluster, [u16; 3]) {
    let cluster = Cluster::new(count);
    let ports = [free_port(), free_port(), free_port()];
    let [a, b, c] = ports;
    cluster.assign(1, &[(a, 1, "numbers"), (b, 2, "relay"), (c, 3, "sink")]);
    (cluster, ports)
}

fn all_running(cluster: &Cluster, ports: &[u16]) {
    cluster.until("all run", |book| ports.iter().all(|port| book.is_running(*port)));
}

/// No number failed, and none came twice.
fn assert_faultless(cluster: &Cluster) {
    let events = cluster.events();
    assert_eq!(numbers(&events, "fail"), [0; 0]);
    let mut rows = numbers(&events, "row");
    rows.sort_unstable();
    assert_eq!(rows, (0..cluster.plan.count).collect::<Vec<_>>());
}

#[test]
fn spouts_begin_when_all_are_ready_and_then_nothing_fails_or_comes_twice() {
    let (mut cluster, ports) = chain(1000);
    let [a, b, c] = ports;
    cluster.start(a, 0);
    cluster.start(b, 0);
    let missing = format!("127.0.0.1:{c}");
    cluster.until("two of three wait for the third", |book| {
        [a, b].iter().all(|port| {
            book.newest(*port).is_some_and(|report| {
                report.state() == WorkerState::Prepared && report.missing_peers.contains(&missing)
            })
        })
    });
    assert!(!cluster.events().iter().any(|event| event.starts_with("begin")));
    cluster.start(c, 0);
    cluster.until_all_acked();
    assert_faultless(&cluster);
    let events = cluster.events();
    let at = |text: &str| events.iter().position(|event| event.starts_with(text)).unwrap();
    assert!(at("prepared sink") < at("begin") && at("prepared relay") < at("begin"));
    assert_eq!(events[at("prepared sink")], format!("prepared sink 3.0:{c}"));
    cluster.until("done", |book| {
        ports.iter().all(|p| book.newest(*p).is_some_and(|r| r.is_done && r.pending == 0))
    });
    // And everything ends in good order.
    for port in ports {
        cluster.order_stop(port, 5);
        assert_eq!(cluster.wait(port).code(), Some(0));
    }
    assert!(cluster.events().iter().any(|event| event == "cleanup sink"));
}

#[test]
fn a_worker_that_is_killed_joins_again_and_the_others_go_on() {
    let (mut cluster, ports) = chain(8000);
    cluster.plan.gap = Duration::from_millis(1);
    let [a, b, c] = ports;
    ports.iter().for_each(|port| cluster.start(*port, 0));
    all_running(&cluster, &ports);
    for (restarts, port) in [(1, b), (1, c), (2, b)] {
        let rows = numbers(&cluster.events(), "row").len();
        cluster.until_events("some more rows", |events| numbers(events, "row").len() > rows + 100);
        let from = cluster.change(|book| book.reports.len());
        cluster.kill(port);
        cluster.start(port, restarts);
        cluster.until("it runs again", |book| {
            let life = Incarnation { number: if port == b { 2 } else { 3 }, restarts };
            book.is_running(port) && book.newest(port).unwrap().incarnation.unwrap() == life.into()
        });
        // The others never held their spouts.
        let others = |book: &kit::Book| -> Vec<WorkerState> {
            let others =
                book.reports[from..].iter().filter(|r| r.slot.as_ref().unwrap().port != u32::from(port));
            others.map(|report| report.state()).collect()
        };
        cluster.until("they report", |book| others(book).len() > 4);
        assert!(cluster.change(|book| others(book)).iter().all(|state| *state == WorkerState::Running));
    }
    cluster.until_all_acked();
    assert!(cluster.is_alive(a));
}

#[test]
fn a_spout_worker_that_is_killed_begins_anew() {
    let (mut cluster, ports) = chain(500);
    ports.iter().for_each(|port| cluster.start(*port, 0));
    cluster.until_events("some acks", |events| numbers(events, "ack").len() > 50);
    cluster.kill(ports[0]);
    let acked = numbers(&cluster.events(), "ack").len() as i64;
    cluster.start(ports[0], 1);
    cluster.until_events("all acked", |events| numbers(events, "ack").len() as i64 == acked + 500);
    let events = cluster.events();
    assert!(events.contains(&"begin 1.1".to_owned()));
    assert!(numbers(&events, "fail").is_empty(), "acks of the former life hit none of this one's trees");
}

#[test]
fn executors_move_under_load_and_nothing_fails() {
    let (mut cluster, ports) = chain(3000);
    let [a, b, c] = ports;
    ports.iter().for_each(|port| cluster.start(*port, 0));
    let mut sink = c;
    for round in 1..=2 {
        let rows = numbers(&cluster.events(), "row").len();
        cluster.until_events("some more rows", |events| numbers(events, "row").len() > rows + 300);
        cluster.change(|book| book.status = Some(Status::Rebalancing));
        cluster.tell_all();
        cluster.until_quiet(&[a, b, sink]);
        let acked = numbers(&cluster.events(), "ack").len();
        assert_eq!(acked, numbers(&cluster.events(), "row").len());
        // The sink moves, and who sends to it hears of it last.
        let next = free_port();
        let version = round + 1;
        cluster.assign(version, &[(a, 1, "numbers"), (b, 2, "relay"), (next, 3 + round, "sink")]);
        cluster.change(|book| book.status = Some(Status::Active));
        cluster.tell(sink);
        assert_eq!(cluster.wait(sink).code(), Some(0));
        cluster.start(next, 0);
        cluster.tell(a);
        // The relay is not told: it hears from its peers that there is something, and asks Nimbus.
        all_running(&cluster, &[a, b, next]);
        sink = next;
    }
    cluster.change(|book| book.status = Some(Status::Active));
    cluster.tell_all();
    cluster.until_all_acked();
    assert_faultless(&cluster);
}

#[test]
fn spouts_wait_until_all_workers_follow_the_newest_assignment() {
    let (mut cluster, ports) = chain(1500);
    let ([a, b, c], next) = (ports, free_port());
    ports.iter().for_each(|port| cluster.start(*port, 0));
    cluster.until_events("some rows", |events| numbers(events, "row").len() > 300);
    cluster.change(|book| book.status = Some(Status::Rebalancing));
    cluster.tell_all();
    cluster.until_quiet(&ports);
    // The relay and the old sink do not hear of the change for a while, and nobody can tell them.
    cluster.change(|book| book.nimbus_knows = Some(book.assignment.clone()));
    cluster.assign(2, &[(a, 1, "numbers"), (b, 2, "relay"), (next, 4, "sink")]);
    cluster.change(|book| book.status = Some(Status::Active));
    let from = cluster.change(|book| book.reports.len());
    cluster.tell(a);
    cluster.start(next, 0);
    let of_a = |book: &kit::Book| -> Vec<WorkerState> {
        let reports = book.reports[from..].iter().filter(|r| r.slot == Some((&slot(a)).into()));
        reports.filter(|r| r.assignment_version == 2).map(|r| r.state()).collect()
    };
    let relay = vec![format!("127.0.0.1:{b}")];
    cluster.until("only the relay is missing", |book| {
        book.newest(next).is_some_and(|r| r.missing_peers == relay) && of_a(book).len() > 3
    });
    let states = cluster.change(|book| of_a(book));
    assert!(states.iter().all(|state| *state == WorkerState::Prepared), "{states:?}");
    cluster.change(|book| book.nimbus_knows = None);
    all_running(&cluster, &[a, b, next]);
    cluster.tell(b);
    cluster.tell(c);
    assert_eq!(cluster.wait(c).code(), Some(0));
    cluster.until_all_acked();
    assert_faultless(&cluster);
}

#[test]
fn what_is_pending_when_the_wait_is_over_fails_as_moved_and_is_counted() {
    let mut cluster = Cluster::new(200);
    cluster.plan.slow = Duration::from_millis(50);
    let (a, b, c, d) = (free_port(), free_port(), free_port(), free_port());
    cluster.assign(1, &[(a, 1, "numbers"), (b, 2, "relay"), (c, 3, "sink")]);
    [a, b, c].iter().for_each(|port| cluster.start(*port, 0));
    cluster.until_events("some rows", |events| numbers(events, "row").len() > 5);
    cluster.change(|book| book.status = Some(Status::Rebalancing));
    cluster.tell_all();
    cluster.until("the spout holds", |book| book.newest(a).is_some_and(|r| !r.is_active));
    cluster.assign(2, &[(a, 1, "numbers"), (b, 2, "relay"), (d, 4, "sink")]);
    cluster.tell_all();
    assert_eq!(cluster.wait(c).code(), Some(0));
    cluster.until("counted", |book| book.newest(a).is_some_and(|report| report.moved > 0));
    cluster.until_events("failed", |events| {
        events.iter().any(|e| e.starts_with("fail ") && e.to_lowercase().contains("moved"))
    });
    cluster.change(|book| book.status = Some(Status::Active));
    cluster.plan.slow = Duration::ZERO;
    cluster.start(d, 0);
    cluster.tell_all();
    cluster.until_all_acked();
}

#[test]
fn a_spout_that_leaves_fails_what_it_had_as_moved() {
    let mut cluster = Cluster::new(200);
    cluster.plan.slow = Duration::from_millis(50);
    let (a, b, c, d) = (free_port(), free_port(), free_port(), free_port());
    cluster.assign(1, &[(a, 1, "numbers"), (b, 2, "relay"), (c, 3, "sink")]);
    [a, b, c].iter().for_each(|port| cluster.start(*port, 0));
    cluster.until_events("some rows", |events| numbers(events, "row").len() > 5);
    cluster.change(|book| book.status = Some(Status::Rebalancing));
    cluster.tell_all();
    cluster.until("the spout holds", |book| book.newest(a).is_some_and(|r| !r.is_active));
    cluster.assign(2, &[(d, 4, "numbers"), (b, 2, "relay"), (c, 3, "sink")]);
    cluster.tell_all();
    assert_eq!(cluster.wait(a).code(), Some(0));
    cluster.until("counted", |book| book.newest(a).is_some_and(|report| report.moved > 0));
    assert!(!numbers(&cluster.events(), "fail").is_empty());
}

#[test]
fn a_worker_with_another_parallelism_than_the_assignment_starts_anew() {
    let (mut cluster, ports) = chain(100);
    let [a, b, c] = ports;
    ports.iter().for_each(|port| cluster.start(*port, 0));
    all_running(&cluster, &ports);
    // The two relays become one executor: who runs the others has other numbers for all executors.
    let merged = ExecutorId { first: TaskId(2), last: TaskId(3) };
    let merged = vec![AssignedExecutor { component: "relay".into(), executor: merged }];
    let workers = vec![(a, 1, plan::executors("numbers")), (b, 4, merged), (c, 3, plan::executors("sink"))];
    cluster.assign_executors(2, workers);
    cluster.tell_all();
    for port in ports {
        assert_eq!(cluster.wait(port).code(), Some(0));
    }
    // And who is started with the wrong one says so.
    cluster.start(a, 1);
    assert_eq!(cluster.wait(a).code(), Some(1));
    cluster.until("told", |book| {
        book.errors().iter().any(|e| e.kind == "start" && e.message.contains("parallelism"))
    });
}

#[test]
fn user_code_that_prepares_for_ever_does_not_keep_a_worker_from_ending() {
    let mut cluster = Cluster::new(1);
    cluster.plan.hangs = true;
    let port = free_port();
    cluster.assign(1, &[(port, 3, "sink")]);
    let hangs = |cluster: &Cluster, times: usize| {
        cluster.until_events("it hangs", |events| events.iter().filter(|e| *e == "hangs").count() > times);
    };
    let count = |cluster: &Cluster| cluster.events().iter().filter(|event| *event == "hangs").count();
    // Told to stop.
    cluster.start(port, 0);
    hangs(&cluster, 0);
    assert_eq!(cluster.change(|book| book.newest(port).unwrap().state()), WorkerState::Starting);
    cluster.order_stop(port, 0);
    assert_eq!(cluster.wait(port).code(), Some(0));
    // Signalled.
    let times = count(&cluster);
    cluster.start(port, 1);
    hangs(&cluster, times);
    cluster.terminate(port);
    assert_eq!(cluster.wait(port).code(), Some(0));
    // Moved.
    let times = count(&cluster);
    cluster.start(port, 2);
    hangs(&cluster, times);
    cluster.assign(2, &[(free_port(), 4, "sink")]);
    cluster.tell(port);
    assert_eq!(cluster.wait(port).code(), Some(0));
}

#[test]
fn a_worker_waits_for_its_port_and_can_be_stopped_meanwhile() {
    let mut cluster = Cluster::new(1);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    cluster.assign(1, &[(port, 3, "sink")]);
    cluster.start(port, 0);
    cluster.until("it starts", |book| book.newest(port).is_some());
    cluster.order_stop(port, 0);
    assert_eq!(cluster.wait(port).code(), Some(0));
    cluster.start(port, 1);
    let newest = Incarnation { number: 3, restarts: 1 };
    cluster.until("it starts again", |book| book.newest(port).unwrap().incarnation == Some(newest.into()));
    assert!(cluster.events().is_empty());
    drop(held);
    all_running(&cluster, &[port]);
}

#[test]
fn a_termination_signal_ends_a_worker_under_load_in_good_order() {
    let (mut cluster, ports) = chain(1_000_000);
    ports.iter().for_each(|port| cluster.start(*port, 0));
    cluster.until_events("some rows", |events| numbers(events, "row").len() > 100);
    for port in ports {
        cluster.terminate(port);
    }
    for port in ports {
        assert_eq!(cluster.wait(port).code(), Some(0));
    }
    assert!(cluster.events().iter().any(|event| event == "cleanup sink"));
}

#[test]
fn a_fatal_error_is_told_and_ends_the_worker_with_code_1() {
    let (mut cluster, ports) = chain(100);
    cluster.plan.fatal_at = 20;
    ports.iter().for_each(|port| cluster.start(*port, 0));
    assert_eq!(cluster.wait(ports[2]).code(), Some(1));
    cluster.until("told", |book| {
        let is_it = |e: &&storm_rpc::v1::ErrorReport| {
            e.kind == "fatal"
                && e.component == "sink"
                && e.task == 4
                && e.message.contains("the table is gone")
        };
        book.errors().iter().any(is_it)
    });
    // The others run on, and wait for it.
    assert!(cluster.is_alive(ports[0]) && cluster.is_alive(ports[1]));
    cluster.plan.fatal_at = -1;
    cluster.start(ports[2], 1);
    cluster.until_all_acked();
}

#[test]
fn workers_run_on_without_a_supervisor_and_tell_nimbus_that_they_live() {
    let (mut cluster, ports) = chain(4000);
    ports.iter().for_each(|port| cluster.start(*port, 0));
    all_running(&cluster, &ports);
    cluster.stop_serving();
    cluster.until("all tell Nimbus", |book| {
        ports.iter().all(|p| book.told_nimbus.iter().any(|r| r.slot == Some((&slot(*p)).into())))
    });
    // An order that only Nimbus could tell.
    cluster.change(|book| book.status = Some(Status::Inactive));
    let last = |book: &kit::Book, port: u16| {
        book.told_nimbus.iter().rev().find(|r| r.slot == Some((&slot(port)).into())).cloned()
    };
    cluster.until("the spout stops", |book| last(book, ports[0]).is_some_and(|r| !r.is_active));
    let from = cluster.change(|book| {
        book.status = Some(Status::Active);
        book.reports.len()
    });
    cluster.serve();
    cluster.until("all are back", |book| {
        let back = |port: u16| book.reports[from..].iter().any(|r| r.slot == Some((&slot(port)).into()));
        ports.iter().all(|port| back(*port) && book.is_running(*port))
    });
    cluster.until_all_acked();
    assert_faultless(&cluster);
    for port in ports {
        assert!(cluster.is_alive(port));
    }
}

#[test]
fn nimbus_hears_of_a_worker_in_time_when_its_supervisor_is_frozen() {
    let mut cluster = Cluster::new(1);
    let port = free_port();
    cluster.assign(1, &[(port, 3, "sink")]);
    cluster.start(port, 0);
    all_running(&cluster, &[port]);
    let frozen = cluster.freeze();
    // Nimbus would move its work after 4 s; a busy machine gets twice that.
    for _ in 0..5 {
        let (before, from) = (cluster.change(|book| book.told_nimbus.len()), Instant::now());
        cluster.until("Nimbus is told", |book| book.told_nimbus.len() > before);
        assert!(from.elapsed() < Duration::from_secs(8), "silent for {:?}", from.elapsed());
    }
    let from = cluster.change(|book| book.reports.len());
    drop(frozen);
    cluster.until("it is back", |book| book.reports.len() > from + 3);
    cluster.order_stop(port, 0);
    assert_eq!(cluster.wait(port).code(), Some(0));
}

#[test]
fn an_older_start_of_a_worker_learns_from_its_peers_that_it_was_replaced() {
    let (mut cluster, ports) = chain(100);
    let [a, b, c] = ports;
    cluster.start(a, 0);
    cluster.start(b, 0);
    cluster.start(c, 3);
    all_running(&cluster, &ports);
    cluster.kill(c);
    cluster.start(c, 2);
    assert_eq!(cluster.wait(c).code(), Some(0));
    cluster.until("told", |book| book.errors().iter().any(|e| e.message.contains("incarnation 3.3")));
    cluster.start(c, 4);
    cluster.until_all_acked();
}
