//! The only threads of the engine: step, or wait for the bell.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle, park, park_timeout};

use storm_topology::Clock;

use crate::executor::{StartError, Step};
use crate::lanes::Lanes;
use crate::panics;
use crate::run::Event;
use crate::wiring::Wiring;

/// Starts the thread of one executor. It makes its tasks, says how that went, and steps until it
/// is told to stop.
pub(crate) fn start(
    wiring: &Arc<Wiring>,
    index: usize,
    lanes: Lanes,
    clock: Arc<dyn Clock>,
    events: std::sync::mpsc::Sender<Event>,
) -> std::io::Result<JoinHandle<()>> {
    let wiring = wiring.clone();
    let (component, executor) = &wiring.executors[index];
    let name = format!("{component}{executor}");
    Builder::new().name(name).spawn(move || {
        let _farewell = Farewell { index, events: events.clone() };
        wiring.directory[index as u32].bell.hang();
        let mut executor = match wiring.build(index, lanes) {
            Ok(executor) => executor,
            Err(error) => {
                events.send(Event::Prepared(index, Err(error))).ok();
                return;
            }
        };
        let ready: Result<(), StartError> = Ok(());
        events.send(Event::Prepared(index, ready)).ok();
        loop {
            let now = clock.now();
            match executor.step(now) {
                Step::Busy => {}
                Step::Wait(None) => park(),
                // The step itself took some of the time.
                Step::Wait(Some(until)) => park_timeout(until.since(clock.now())),
                Step::Ended => break,
            }
        }
        // Groupings are user code, too.
        panics::forgive(|| drop(executor));
    })
}

/// Says that the thread has ended, also when the engine itself panics on it.
struct Farewell {
    index: usize,
    events: std::sync::mpsc::Sender<Event>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let has_panicked = std::thread::panicking();
        self.events.send(Event::Ended { index: self.index, has_panicked }).ok();
    }
}
