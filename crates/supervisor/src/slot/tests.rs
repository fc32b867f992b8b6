//! What a slot does, event by event, and what holds whatever happens.
#![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

use proptest::prelude::*;

use super::*;

const PATIENCE: Patience = Patience {
    start: Duration::from_secs(120),
    silence: Duration::from_secs(5),
    stop: Duration::from_secs(3),
};

fn work(topology: &str, number: u64) -> Work {
    Work {
        topology: topology.into(),
        number,
        executors: Vec::new(),
        digest: format!("digest of {topology}"),
        silence_ms: None,
    }
}

fn process(pid: u32) -> ProcessId {
    ProcessId { pid, start_time: u64::from(pid), boot: String::new() }
}

/// A slot, its clock, and a world in which everything succeeds.
struct World {
    slot: Slot,
    now: Time,
    pids: u32,
}

impl World {
    fn new() -> World {
        World { slot: Slot::new(Time::ZERO, PATIENCE, Kept::default(), false), now: Time::ZERO, pids: 0 }
    }

    /// Steps, and answers what can be answered at once. Returns what was done, in words.
    fn step(&mut self, event: Event) -> Vec<String> {
        let mut events = VecDeque::from([event]);
        let mut done = Vec::new();
        while let Some(event) = events.pop_front() {
            for effect in self.slot.step(self.now, event) {
                match effect {
                    Effect::Save | Effect::Report => {}
                    Effect::Fetch { digest } => events.push_back(Event::BlobReady { digest }),
                    Effect::Start { life, .. } => {
                        done.push(format!("start {} {}", life.topology, life.incarnation));
                        self.pids += 1;
                        events.push_back(Event::Started { life, process: process(self.pids) });
                    }
                    Effect::OrderStop { life, .. } => done.push(format!("stop {}", life.incarnation)),
                    Effect::Signal { life, kill } => {
                        done.push(format!("{} {}", if kill { "kill" } else { "term" }, life.incarnation));
                    }
                }
            }
        }
        done
    }

    /// Lets time pass as a live supervisor does, in small steps. Returns what was done and when.
    fn pass(&mut self, time: Duration, hears: bool) -> Vec<String> {
        let end = self.now + time;
        let mut done = Vec::new();
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            if hears && let Some(life) = self.slot.tenant().map(Tenant::life) {
                assert_eq!(self.step(Event::Heard { life }), [""; 0]);
            }
            let at = self.now.as_nanos() / 100_000_000;
            done.extend(self.step(Event::Ticked).into_iter().map(|what| format!("{at}: {what}")));
        }
        done
    }

    fn life(&self) -> Life {
        self.slot.tenant().unwrap().life()
    }

    fn hear(&mut self) {
        let life = self.life();
        self.step(Event::Heard { life });
    }

    fn exit(&mut self) -> Vec<String> {
        let life = self.life();
        self.step(Event::Exited { life, how: "was killed".to_owned() })
    }

    fn running() -> World {
        let mut world = World::new();
        assert_eq!(world.step(Event::Assigned(work("a", 1))), ["start a 1.0"]);
        world.hear();
        assert!(matches!(world.slot.state(), State::Running { .. }));
        world
    }
}

#[test]
fn an_exit_is_restarted_at_once_and_then_later_and_later() {
    let mut world = World::running();
    assert_eq!(world.exit(), ["start a 1.1"]);
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(world.exit(), [""; 0]);
        assert_eq!(world.slot.problem(), "was killed");
        let before = world.now;
        while world.slot.tenant().is_none() {
            world.pass(Duration::from_millis(100), false);
        }
        waits.push(world.now.since(before).as_millis());
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    assert_eq!(world.life().incarnation.restarts, 10);
}

#[test]
fn a_minute_of_health_forgives() {
    let mut world = World::running();
    world.exit();
    world.exit();
    world.pass(Duration::from_secs(1), false);
    world.hear();
    assert_eq!(world.slot.recent_failures(world.now), 2);
    world.pass(HEALTHY_AFTER, true);
    assert_eq!(world.slot.recent_failures(world.now), 0);
    assert_eq!(world.exit(), ["start a 1.3"]);
}

#[test]
fn an_exit_before_it_attached_is_seen_at_once() {
    let mut world = World::new();
    world.step(Event::Assigned(work("a", 1)));
    assert_eq!(world.exit(), ["start a 1.1"]);
    assert_eq!(world.slot.recent_failures(world.now), 1);
}

#[test]
fn a_silent_worker_is_killed_and_started_again() {
    let mut world = World::running();
    assert_eq!(world.pass(Duration::from_secs(6), false), ["51: kill 1.0"]);
    assert!(world.slot.is_silent(world.now));
    assert_eq!(world.exit(), ["start a 1.1"]);
    assert_eq!(world.slot.problem(), "reported nothing for 5 s");
    world.hear();
    assert_eq!(world.slot.problem(), "");
}

#[test]
fn a_topology_may_ask_for_more_patience() {
    let mut world = World::new();
    world.step(Event::Assigned(Work { silence_ms: Some(9000), ..work("a", 1) }));
    world.hear();
    assert_eq!(world.pass(Duration::from_secs(10), false), ["91: kill 1.0"]);
}

#[test]
fn a_worker_that_never_attaches_is_killed() {
    let mut world = World::new();
    world.step(Event::Assigned(work("a", 1)));
    assert_eq!(world.pass(Duration::from_secs(121), false), ["1201: kill 1.0"]);
}

#[test]
fn a_stop_grows_clearer() {
    let mut world = World::running();
    assert_eq!(world.step(Event::Withdrawn), ["stop 1.0"]);
    assert_eq!(world.pass(Duration::from_secs(10), false), ["30: term 1.0", "60: kill 1.0", "90: kill 1.0"]);
    assert_eq!(world.exit(), [""; 0]);
    assert_eq!(*world.slot.state(), State::Empty);
    assert_eq!(world.slot.recent_failures(world.now), 0);
}

#[test]
fn what_was_not_attached_gets_a_signal_at_once() {
    let mut world = World::new();
    world.step(Event::Assigned(work("a", 1)));
    assert_eq!(world.step(Event::Withdrawn), ["term 1.0"]);
}

#[test]
fn the_same_work_changes_nothing_and_other_work_waits_for_the_end() {
    let mut world = World::running();
    assert_eq!(world.step(Event::Assigned(work("a", 1))), [""; 0]);
    assert_eq!(world.step(Event::Assigned(work("b", 4))), ["stop 1.0"]);
    assert_eq!(world.exit(), ["start b 4.0"]);
    // The number is another one, so its restarts are.
    world.hear();
    world.step(Event::Assigned(work("a", 1)));
    assert_eq!(world.exit(), ["start a 1.1"]);
}

#[test]
fn a_restart_that_was_asked_for_is_no_failure() {
    let mut world = World::running();
    assert_eq!(world.step(Event::RestartAsked), ["stop 1.0"]);
    assert_eq!(world.exit(), ["start a 1.1"]);
    assert_eq!(world.slot.recent_failures(world.now), 0);
}

#[test]
fn a_stall_of_the_supervisor_is_no_silence() {
    let mut world = World::running();
    world.now = world.now + Duration::from_secs(60);
    assert_eq!(world.step(Event::Ticked), [""; 0]);
    assert_eq!(world.pass(Duration::from_secs(6), false).len(), 1);
}

#[test]
fn a_living_worker_is_adopted_and_a_dead_one_started_again() {
    let kept = World::running().slot.kept().clone();
    let now = Time::from_secs(1);
    let mut adopted = World { slot: Slot::new(now, PATIENCE, kept.clone(), true), now, pids: 7 };
    assert_eq!(adopted.pass(Duration::from_secs(14), false), [""; 0]);
    adopted.hear();
    assert_eq!(adopted.life().incarnation.restarts, 0);

    let mut dead = World { slot: Slot::new(now, PATIENCE, kept, false), now, pids: 7 };
    assert_eq!(dead.step(Event::Ticked), ["start a 1.1"]);
}

#[test]
fn a_binary_that_does_not_come_is_asked_for_later_and_later() {
    let mut slot = Slot::new(Time::ZERO, PATIENCE, Kept::default(), false);
    let digest = work("a", 1).digest;
    let fetch = Effect::Fetch { digest: digest.clone() };
    let failed = Event::BlobFailed { digest, error: "no Nimbus".to_owned(), is_local: false };
    assert!(slot.step(Time::ZERO, Event::Assigned(work("a", 1))).contains(&fetch));
    slot.step(Time::ZERO, failed.clone());
    assert_eq!((slot.problem(), slot.deadline()), ("no Nimbus", Some(Time::from_millis(500))));
    assert_eq!(slot.recent_failures(Time::ZERO), 0);
    assert_eq!(slot.step(Time::from_millis(500), Event::Ticked), [fetch]);
    slot.step(Time::from_millis(500), failed);
    assert_eq!(slot.deadline(), Some(Time::from_millis(1500)));
}

#[test]
fn a_process_that_starts_after_its_end_was_wanted_is_told_so() {
    let mut slot = Slot::new(Time::ZERO, PATIENCE, Kept::default(), false);
    slot.step(Time::ZERO, Event::Assigned(work("a", 1)));
    let ready = Event::BlobReady { digest: work("a", 1).digest };
    slot.step(Time::ZERO, ready);
    assert!(!slot.step(Time::ZERO, Event::Withdrawn).iter().any(|e| matches!(e, Effect::Signal { .. })));
    let life = slot.tenant().unwrap().life();
    let effects = slot.step(Time::ZERO, Event::Started { life: life.clone(), process: process(1) });
    assert!(effects.contains(&Effect::Signal { life, kill: false }));
}

// === Whatever happens ===

#[derive(Clone, Debug)]
enum Chance {
    Pass(u64),
    Assign(u8),
    Withdraw,
    Blob {
        fails: bool,
    },
    Start {
        fails: bool,
    },
    Exit,
    Hear,
    /// Something of a life that is over comes late.
    Former,
    Restart,
    /// The supervisor dies and comes back.
    Rebirth,
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        8 => (1..1900_u64).prop_map(Chance::Pass),
        2 => (0..4_u8).prop_map(Chance::Assign),
        1 => Just(Chance::Withdraw),
        4 => prop::bool::weighted(0.2).prop_map(|fails| Chance::Blob { fails }),
        4 => prop::bool::weighted(0.2).prop_map(|fails| Chance::Start { fails }),
        2 => Just(Chance::Exit),
        6 => Just(Chance::Hear),
        1 => Just(Chance::Former),
        1 => Just(Chance::Restart),
        1 => Just(Chance::Rebirth),
    ]
}

/// A world that answers when it likes.
struct Random {
    slot: Slot,
    now: Time,
    /// What is on disk.
    saved: Kept,
    fetching: Vec<String>,
    starting: Option<Life>,
    alive: Option<Life>,
    former: Option<Life>,
    is_told: bool,
    lives: std::collections::BTreeMap<(TopologyId, u64), u64>,
}

impl Random {
    fn step(&mut self, event: Event) {
        let effects = self.slot.step(self.now, event);
        for effect in effects {
            match effect {
                Effect::Save => self.saved = self.slot.kept().clone(),
                Effect::Fetch { digest } => self.fetching.push(digest),
                Effect::Start { life, work } => {
                    assert!(self.alive.is_none() && self.starting.is_none(), "two at once: {life:?}");
                    let key = (life.topology.clone(), life.incarnation.number);
                    let restarts = life.incarnation.restarts;
                    let before = self.lives.insert(key, restarts);
                    assert!(before.is_none_or(|before| before < restarts), "{life:?} after {before:?}");
                    let kept = self.saved.tenant.as_ref().expect("it is kept before it is started");
                    assert_eq!((kept.life(), &kept.work), (life.clone(), &work));
                    self.starting = Some(life);
                    self.is_told = false;
                }
                Effect::OrderStop { life, .. } | Effect::Signal { life, .. } => {
                    assert!([&self.alive, &self.starting].contains(&&Some(life)), "told, but not there");
                    self.is_told = true;
                }
                Effect::Report => {}
            }
        }
    }

    fn meet(&mut self, chance: Chance) {
        match chance {
            Chance::Pass(millis) => {
                self.now = self.now + Duration::from_millis(millis);
                self.step(Event::Ticked);
            }
            Chance::Assign(n) => {
                self.step(Event::Assigned(work(["a", "b"][usize::from(n % 2)], u64::from(n / 2))))
            }
            Chance::Withdraw => self.step(Event::Withdrawn),
            Chance::Blob { fails } => {
                let Some(digest) = self.fetching.pop() else { return };
                self.step(if fails {
                    Event::BlobFailed { digest, error: String::new(), is_local: true }
                } else {
                    Event::BlobReady { digest }
                });
            }
            Chance::Start { fails } => {
                let Some(life) = self.starting.take() else { return };
                if fails {
                    self.step(Event::StartFailed { life, error: String::new() });
                } else {
                    self.alive = Some(life.clone());
                    self.step(Event::Started { life, process: process(1) });
                }
            }
            Chance::Exit => {
                let Some(life) = self.alive.take() else { return };
                self.former = Some(life.clone());
                self.step(Event::Exited { life, how: String::new() });
            }
            Chance::Hear => {
                if let Some(life) = self.alive.clone() {
                    self.step(Event::Heard { life });
                }
            }
            Chance::Former => {
                if let Some(life) = self.former.clone().filter(|life| Some(life) != self.alive.as_ref()) {
                    self.step(Event::Heard { life });
                }
            }
            Chance::Restart => self.step(Event::RestartAsked),
            Chance::Rebirth => {
                // A start whose outcome nobody wrote down: the process is found by its environment.
                if let Some(life) = self.starting.take() {
                    self.alive = Some(life);
                }
                self.fetching.clear();
                let mut kept = self.saved.clone();
                assert_eq!(kept.tenant.as_ref().map(Tenant::life), self.alive, "whoever lives is known");
                if let Some(tenant) = &mut kept.tenant {
                    tenant.process = Some(process(1));
                }
                self.slot = Slot::new(self.now, PATIENCE, kept, self.alive.is_some());
                self.is_told = false;
                self.step(Event::Ticked);
            }
        }
    }
}

proptest! {
    #[test]
    fn never_two_at_once_and_in_the_end_what_is_assigned_runs(
        chances in prop::collection::vec(chance(), 0..200)
    ) {
        let mut world = Random {
            slot: Slot::new(Time::ZERO, PATIENCE, Kept::default(), false),
            now: Time::ZERO,
            saved: Kept::default(),
            fetching: Vec::new(),
            starting: None,
            alive: None,
            former: None,
            is_told: false,
            lives: Default::default(),
        };
        for chance in chances {
            world.meet(chance);
        }
        // From here on everything succeeds: whoever is told to end does, whoever lives is heard.
        for _ in 0..200 {
            world.meet(Chance::Blob { fails: false });
            world.meet(Chance::Start { fails: false });
            if world.is_told {
                world.meet(Chance::Exit);
            }
            world.meet(Chance::Hear);
            world.meet(Chance::Pass(1000));
        }
        let wanted = world.slot.wanted().map(|work| (work.topology.clone(), work.number));
        let alive = world.alive.map(|life| (life.topology, life.incarnation.number));
        prop_assert_eq!(alive, wanted);
        let is_right = match world.slot.state() {
            State::Running { .. } => world.slot.wanted().is_some(),
            State::Empty => world.slot.wanted().is_none(),
            _ => false,
        };
        prop_assert!(is_right, "{:?}", world.slot.state());
    }
}

#[test]
fn an_unhealthy_machine_runs_nothing_and_goes_on_when_it_is_well() {
    let mut world = World::new();
    assert_eq!(world.step(Event::Assigned(work("t", 1))), ["start t 1.0"]);
    let life = world.slot.incarnation().unwrap();
    world.step(Event::Heard { life: life.clone() });
    assert_eq!(world.step(Event::Barred(true)), ["stop 1.0"]);
    assert!(world.step(Event::Exited { life, how: "has ended".to_owned() }).is_empty());
    assert_eq!((world.slot.state(), world.slot.recent_failures(world.now)), (&State::Empty, 0));
    assert!(world.step(Event::Assigned(work("t", 2))).is_empty());
    assert!(world.step(Event::Ticked).is_empty());
    assert_eq!(world.step(Event::Barred(false)), ["start t 2.0"]);
}
