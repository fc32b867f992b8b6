//! A topology in two workers: two runs of the engine in this process, each with a part of the executors,
//! joined by endpoints over loopback as workers are. There is a connection for data and one for control.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use storm_messaging::{
    Endpoint, Gate, Hello, Identity, Key, Lines, Peer, PeerEvent, PeerSpec, Sink, SinkError, Source, Verdict,
};
use storm_model::{ExecutorId, Incarnation, TaskTable, tasks};
use storm_rs::Topology;
use storm_rs::engine::gateway::{ControlIn, ControlOut, DataIn, DataOut, Gateway, Line};
use storm_rs::engine::{Run, Snapshot};

use super::error::Error;
use crate::running;

/// How long a connection on loopback may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks at what has happened.
const LOOK: Duration = Duration::from_millis(20);
/// How long figures are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both workers.
pub(super) struct Halves {
    near: Half,
    far: Half,
}

/// A worker. Its run ends first, then the peer, then what leads to it.
struct Half {
    run: Run,
    _peer: Peer,
    _endpoint: Endpoint,
    _line: Arc<Line>,
    _gateway: Gateway,
}

impl Halves {
    /// Starts a topology whose components with these names run in the first worker, and all others in the
    /// second.
    pub(super) fn start(make: impl Fn() -> Topology, near: &[&str]) -> Result<Halves, Error> {
        let (connected, events) = mpsc::channel();
        let [a, b] = [Prepared::new(make(), near, true)?, Prepared::new(make(), near, false)?];
        let (address_of_a, address_of_b) = (a.endpoint.address(), b.endpoint.address());
        let a = a.join(&address_of_b.to_string(), "b", connected.clone())?;
        let b = b.join(&address_of_a.to_string(), "a", connected)?;
        let halves = Halves { near: a, far: b };
        await_connections(&events)?;
        halves.near.run.start_spouts();
        halves.far.run.start_spouts();
        Ok(halves)
    }

    /// Lets it run for a while.
    pub(super) fn run_for(&self, time: Duration) {
        running::run_for(&self.near.run, time);
        while let Some(event) = self.far.run.next_event(Duration::ZERO) {
            running::is_spout_done(Some(event));
        }
    }

    /// Lets it run until its one spout is done, which is in the first worker.
    pub(super) fn run_until_done(&self, within: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        while !running::is_spout_done(self.near.run.next_event(LOOK)) {
            self.run_for(Duration::ZERO);
            if begin.elapsed() > within {
                let what = "the spout is done".to_owned();
                return Err(Error::Late { what, within, detail: String::new() });
            }
        }
        Ok(())
    }

    /// The figures of the first worker.
    pub(super) fn near(&self) -> Snapshot {
        self.near.run.snapshot(PATIENCE)
    }

    /// The figures of the second worker.
    pub(super) fn far(&self) -> Snapshot {
        self.far.run.snapshot(PATIENCE)
    }

    /// Stops both.
    pub(super) fn stop(mut self) {
        self.near.run.begin_stop();
        self.far.run.stop();
        self.near.run.finish_stop();
    }
}

/// A worker that does not know yet where the other is.
struct Prepared {
    run: Run,
    gateway: Gateway,
    endpoint: Endpoint,
    is_near: bool,
}

impl Prepared {
    fn new(mut topology: Topology, near: &[&str], is_near: bool) -> Result<Prepared, Error> {
        let settings = running::settings(&mut topology);
        let all = tasks::executors(&topology.spec, &TaskTable::new(&topology.spec));
        let here: BTreeSet<ExecutorId> = all
            .into_iter()
            .filter(|(component, _)| near.contains(&component.as_str()) == is_near)
            .map(|(_, executor)| executor)
            .collect();
        let options = running::options(if is_near { 1 } else { 2 });
        let prepared = Run::prepare(topology, settings, options, Some(here));
        let (run, gateway) = prepared.map_err(|error| Error::Unexpected(error.to_string()))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(Error::io("cannot listen on loopback"))?;
        let slot = if is_near { "a" } else { "b" }.to_owned();
        let identity = Identity { topology: "bench".to_owned(), slot, incarnation: Incarnation::default() };
        let endpoint = Endpoint::listen(listener, identity, Key::new([7; 32]), Arc::new(Open));
        let endpoint = endpoint.map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(Prepared { run, gateway, endpoint, is_near })
    }

    fn join(self, address: &str, slot: &str, connected: mpsc::Sender<PeerEvent>) -> Result<Half, Error> {
        let Prepared { run, gateway, endpoint, is_near } = self;
        let there: Vec<ExecutorId> = gateway.far_executors().collect();
        let line = gateway.line(&there);
        gateway.set_lines([&line]);
        let spec = PeerSpec {
            address: address.to_owned(),
            slot: slot.to_owned(),
            incarnation: Incarnation::default(),
            dials: is_near,
        };
        let data =
            Lines { source: Box::new(DataSource(line.data_out())), sink: Box::new(DataSink(line.data_in())) };
        let control = Lines {
            source: Box::new(ControlSource(line.control_out())),
            sink: Box::new(ControlSink(line.control_in())),
        };
        // Nobody listens any more once they are connected.
        let events = Arc::new(move |event| drop(connected.send(event)));
        let peer = endpoint.peer(spec, data, control, events);
        let peer = peer.map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(Half { run, _peer: peer, _endpoint: endpoint, _line: line, _gateway: gateway })
    }
}

/// One that dials before it is known is refused, and tries again.
fn await_connections(events: &Receiver<PeerEvent>) -> Result<(), Error> {
    let (begin, mut connected, mut last) = (Instant::now(), 0, None);
    while connected < 2 {
        match events.recv_timeout(CONNECT_WITHIN.saturating_sub(begin.elapsed())) {
            Ok(PeerEvent::Connected { .. }) => connected += 1,
            Ok(other) => last = Some(other),
            Err(_) => {
                let what = "the two workers are connected".to_owned();
                let detail = last.map_or(String::new(), |last| format!("; the last event is {last:?}"));
                return Err(Error::Late { what, within: CONNECT_WITHIN, detail });
            }
        }
    }
    Ok(())
}

/// Lets everybody in who has the key.
struct Open;

impl Gate for Open {
    fn assignment_version(&self) -> u64 {
        0
    }

    fn judge(&self, _: &Hello) -> Verdict {
        Verdict::Accept
    }
}

struct DataSource(DataOut);

impl Source for DataSource {
    fn attach(&mut self) {
        self.0.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        self.0.next(body)
    }
}

struct DataSink(DataIn);

impl Sink for DataSink {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        self.0.frame(kind, body).map_err(|error| SinkError::new(error.to_string()))
    }
}

struct ControlSource(ControlOut);

impl Source for ControlSource {
    fn attach(&mut self) {
        self.0.attach();
    }

    fn next(&mut self, body: &mut Vec<u8>) -> Option<u8> {
        self.0.next(body)
    }
}

struct ControlSink(ControlIn);

impl Sink for ControlSink {
    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SinkError> {
        self.0.frame(kind, body).map_err(|error| SinkError::new(error.to_string()))
    }

    fn batch_end(&mut self) {
        self.0.batch_end();
    }
}
