//! The threads that step executors: step what has something to do, or wait for a bell.
//!
//! A thread has a crew of executors: one, or several with `topology.executor.threads`. Each sits in
//! a [`Seat`], so that another thread can take it over while this one is held up by user code
//! (`watchdog`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::thread::{Builder, JoinHandle, park, park_timeout};
use std::time::Duration;

use storm_model::Time;
use storm_topology::Clock;

use crate::directory::Directory;
use crate::executor::{Executor, Step, earlier};
use crate::lanes::Lanes;
use crate::panics;
use crate::run::Event;
use crate::wiring::Wiring;

/// Steps that the executors of one crew make together in a round, if there is enough to do.
const STEPS_PER_ROUND: usize = 48;
/// When to look again at an executor that its former thread is still stepping.
const LOCKED_RETRY: Duration = Duration::from_millis(10);
/// Not in a step.
const NOWHERE: u32 = u32::MAX;

/// What all threads of a run share.
pub(crate) struct Floor {
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: mpsc::Sender<Event>,
    /// Cores of the machine.
    pub(crate) cores: usize,
}

/// The place of one executor.
pub(crate) struct Seat {
    /// Index of the executor.
    index: usize,
    /// `None` before it is made and after it has ended. Only its thread steps it; the lock is for
    /// the moment in which it gets another one.
    executor: Mutex<Option<Executor>>,
}

impl Seat {
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Executor>>> {
        match self.executor.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The executors of one thread.
pub(crate) struct Crew {
    seats: Mutex<Vec<Arc<Seat>>>,
    /// Changes with `seats`.
    version: AtomicU64,
    /// Index of the executor that is in a step, or [`NOWHERE`].
    stepping: AtomicU32,
    /// Since when, in nanoseconds.
    since: AtomicU64,
}

impl Crew {
    /// A crew of these executors, which are not made yet.
    pub(crate) fn new(indices: impl IntoIterator<Item = usize>) -> Crew {
        let seat = |index| Arc::new(Seat { index, executor: Mutex::new(None) });
        Crew::of(indices.into_iter().map(seat).collect())
    }

    fn of(seats: Vec<Arc<Seat>>) -> Crew {
        Crew {
            seats: Mutex::new(seats),
            version: AtomicU64::new(0),
            stepping: AtomicU32::new(NOWHERE),
            since: AtomicU64::new(0),
        }
    }

    /// The executor that is in a step, and since when.
    pub(crate) fn stepping(&self) -> Option<(usize, Time)> {
        let since = self.since.load(Ordering::Acquire);
        let index = self.stepping.load(Ordering::Acquire);
        // Both of the same step: the time is set before the index.
        let is_same = self.since.load(Ordering::Acquire) == since;
        (index != NOWHERE && is_same).then(|| (index as usize, Time::from_nanos(since)))
    }

    /// Takes all executors away from the crew but the one that has been in a step since then. `None`
    /// if that step is over, or if there are no others.
    fn relieve(&self, index: usize, since: Time) -> Option<Crew> {
        let mut seats = self.lock();
        if self.stepping() != Some((index, since)) || seats.len() < 2 {
            return None;
        }
        let (kept, freed) = seats.drain(..).partition(|s| s.index == index);
        *seats = kept;
        self.version.fetch_add(1, Ordering::AcqRel);
        Some(Crew::of(freed))
    }

    /// Number of executors.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn list(&self) -> (u64, Vec<Arc<Seat>>) {
        let seats = self.lock();
        (self.version.load(Ordering::Acquire), seats.clone())
    }

    fn leave(&self, index: usize) {
        self.lock().retain(|s| s.index != index);
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread of a crew. It makes the tasks of its executors, says how that went, and steps
/// until all are told to stop.
pub(crate) fn start(
    floor: &Arc<Floor>,
    crew: &Arc<Crew>,
    lanes: Vec<(usize, Lanes)>,
    name: String,
) -> std::io::Result<JoinHandle<()>> {
    let (floor, crew) = (floor.clone(), crew.clone());
    Builder::new().name(name).spawn(move || {
        let _farewell = Farewell { floor: &floor, crew: &crew };
        let (_, seats) = crew.list();
        for ((index, lanes), seat) in lanes.into_iter().zip(&seats) {
            debug_assert_eq!(index, seat.index, "lanes come in the order of seats");
            let told = floor.wiring.build(index, lanes).map(|executor| {
                *seat.executor.lock().unwrap_or_else(PoisonError::into_inner) = Some(executor);
            });
            let is_made = told.is_ok();
            floor.events.send(Event::Prepared(index, told)).ok();
            if !is_made {
                floor.end(&crew, index, false);
            }
        }
        run(&floor, &crew);
    })
}

/// Starts a thread that takes over the other executors of a crew that has been held up by one since
/// then, and tells `taken` of its own crew. What is held up no more stays where it is; if there is no
/// thread to be had, nothing has moved.
pub(crate) fn take_over(
    floor: &Arc<Floor>,
    held_up: &Arc<Crew>,
    (index, since): (usize, Time),
    name: String,
    taken: impl FnOnce(Arc<Crew>) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let (floor, held_up) = (floor.clone(), held_up.clone());
    Builder::new().name(name).spawn(move || {
        let Some(crew) = held_up.relieve(index, since).map(Arc::new) else { return };
        taken(crew.clone());
        let _farewell = Farewell { floor: &floor, crew: &crew };
        run(&floor, &crew);
    })
}

/// When a seat is to be stepped next.
#[derive(Clone, Copy)]
enum Due {
    Now,
    /// When its bell rings, or at this moment.
    Rung(Option<Time>),
}

fn run(floor: &Floor, crew: &Crew) {
    let directory: &Directory = &floor.wiring.directory;
    let mut plan: Vec<(Arc<Seat>, Due)> = Vec::new();
    let mut known = None;
    loop {
        if known != Some(crew.version.load(Ordering::Acquire)) {
            let (version, seats) = crew.list();
            known = Some(version);
            for seat in &seats {
                directory[seat.index as u32].bell.hang();
            }
            // Whatever was rung before the bell hung here is found by a step.
            plan = seats.into_iter().map(|seat| (seat, Due::Now)).collect();
        }
        if plan.is_empty() {
            return;
        }
        let (steps, is_alone) = ((STEPS_PER_ROUND / plan.len()).max(1), plan.len() == 1);
        let now = floor.clock.now();
        let (mut is_busy, mut until) = (false, None);
        for (seat, due) in &mut plan {
            let is_rung = directory[seat.index as u32].bell.take();
            let is_due = match *due {
                Due::Now => true,
                Due::Rung(at) => is_rung || at.is_some_and(|at| at <= now),
            };
            if is_due {
                let Some(mut place) = seat.try_lock() else {
                    // It was taken over in the moment in which its former thread stepped it.
                    *due = Due::Rung(Some(now + LOCKED_RETRY));
                    until = earlier(until, Some(now + LOCKED_RETRY));
                    continue;
                };
                if known != Some(crew.version.load(Ordering::Acquire)) {
                    // Perhaps it has another thread now, which has stepped it already: that one has
                    // to hear the bell.
                    directory[seat.index as u32].bell.ring();
                    break;
                }
                *due = turn(floor, crew, seat.index, &mut place, steps, is_alone);
            }
            match *due {
                Due::Now => is_busy = true,
                Due::Rung(at) => until = earlier(until, at),
            }
        }
        // One has ended, or has another thread; or user code has parked the thread, and so has used
        // up the wake of a ring that came meanwhile.
        is_busy |= known != Some(crew.version.load(Ordering::Acquire));
        is_busy |= plan.iter().any(|(seat, _)| directory[seat.index as u32].bell.is_rung());
        match until {
            _ if is_busy => {}
            None => park(),
            // The steps themselves took some of the time.
            Some(until) => park_timeout(until.since(floor.clock.now())),
        }
    }
}

/// Steps one executor, a bolt until it has nothing left or has had its share of the round.
fn turn(
    floor: &Floor,
    crew: &Crew,
    index: usize,
    place: &mut Option<Executor>,
    steps: usize,
    is_alone: bool,
) -> Due {
    let Some(executor) = place.as_mut() else {
        // It has ended on its former thread, which could not tell this crew.
        crew.leave(index);
        return Due::Rung(None);
    };
    let steps = if let Executor::Spout(_) = executor { 1 } else { steps };
    for _ in 0..steps {
        let now = floor.clock.now();
        crew.since.store(now.as_nanos(), Ordering::Release);
        crew.stepping.store(index as u32, Ordering::Release);
        let step = executor.step(now);
        crew.stepping.store(NOWHERE, Ordering::Release);
        match step {
            Step::Busy => {}
            Step::Wait(until) => return Due::Rung(until),
            Step::Ended => {
                // Groupings are user code, too.
                let ended = place.take();
                panics::forgive(|| drop(ended));
                floor.end(crew, index, false);
                return Due::Rung(None);
            }
        }
    }
    if !is_alone {
        executor.rest(floor.clock.now());
    }
    Due::Now
}

impl Floor {
    /// An executor has ended, or could not be made.
    fn end(&self, crew: &Crew, index: usize, has_panicked: bool) {
        crew.leave(index);
        self.events.send(Event::Ended { index, has_panicked }).ok();
    }
}

/// Says that the executors of a thread have ended when the engine itself panics on it.
struct Farewell<'a> {
    floor: &'a Floor,
    crew: &'a Crew,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let has_panicked = std::thread::panicking();
        let (_, left) = self.crew.list();
        for seat in left {
            self.floor.end(self.crew, seat.index, has_panicked);
        }
    }
}
