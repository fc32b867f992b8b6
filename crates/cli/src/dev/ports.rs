//! Which ports the daemons get: those of last time, else the usual ones, else free ones.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use serde::{Deserialize, Serialize};

/// The ports of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ports {
    /// Of ZooKeeper; 0 when it is another's.
    pub(super) zookeeper: u16,
    /// Of Nimbus.
    pub(super) nimbus: u16,
    /// Of the pages.
    #[serde(default)]
    pub(super) ui: u16,
    /// Of Nimbus' metrics; 0 when they are switched off.
    #[serde(default)]
    pub(super) metrics: u16,
    /// Of the supervisors.
    pub(super) supervisors: Vec<SupervisorPorts>,
}

/// The ports of a supervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SupervisorPorts {
    /// Of its service.
    pub(super) rpc: u16,
    /// Of its metrics; 0 when they are switched off.
    #[serde(default)]
    pub(super) metrics: u16,
    /// Of its slots.
    pub(super) slots: Vec<u16>,
}

/// The usual ports, each with whether it was asked for: then it beats last time's.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) zookeeper: (u16, bool),
    pub(super) nimbus: (u16, bool),
    pub(super) ui: (u16, bool),
    /// Of Nimbus' metrics; 0 for none.
    pub(super) nimbus_metrics: (u16, bool),
    /// Of the metrics of the first supervisor; the others follow. 0 for none.
    pub(super) supervisor_metrics: (u16, bool),
    /// Of the first supervisor; the others follow.
    pub(super) supervisor: (u16, bool),
    /// Of the first slot of the first supervisor; the others follow.
    pub(super) slot: (u16, bool),
    /// How many supervisors.
    pub(super) supervisors: u16,
    /// How many slots each has.
    pub(super) slots: u16,
    /// Whether ZooKeeper is ours.
    pub(super) embeds_zookeeper: bool,
}

/// Who hands out ports.
pub(super) trait Source {
    /// Takes a port if it is free.
    fn take(&mut self, port: u16) -> bool;
    /// Takes any free port.
    fn any(&mut self) -> io::Result<u16>;
}

/// The ports of this machine.
#[derive(Debug, Default)]
pub(super) struct System {
    /// Holds them while they are chosen, so that none is given twice.
    listeners: Vec<TcpListener>,
    reserved: Reserved,
}

/// Keeps ports from other clusters of this kind as long as it lives: slots are not listened on before a
/// worker runs there. Names in the abstract namespace have the ports' own scope and end with the process.
#[derive(Debug, Default)]
pub(super) struct Reserved(Vec<UnixListener>);

impl Reserved {
    fn take(&mut self, port: u16) -> bool {
        let name = SocketAddr::from_abstract_name(format!("storm-rs-dev-port-{port}"));
        let reserved = name.and_then(|name| UnixListener::bind_addr(&name));
        reserved.map(|reserved| self.0.push(reserved)).is_ok()
    }
}

impl System {
    /// Lets go of the ports for those they were chosen for; others of this kind still do not get them.
    pub(super) fn release(self) -> Reserved {
        self.reserved
    }
}

impl Source for System {
    fn take(&mut self, port: u16) -> bool {
        // Somebody who listens on one address only has the port, too.
        let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) else { return false };
        let is_ours = self.reserved.take(port);
        if is_ours {
            self.listeners.push(listener);
        }
        is_ours
    }

    fn any(&mut self) -> io::Result<u16> {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            // Held whether it is ours or not, so that the next one is another.
            self.listeners.push(listener);
            if self.reserved.take(port) {
                return Ok(port);
            }
        }
    }
}

/// Chooses.
pub(super) fn choose(wanted: &Wanted, last: &Ports, source: &mut impl Source) -> io::Result<Ports> {
    let mut choose = |(usual, is_asked_for): (u16, bool), last: Option<u16>| {
        let last = last.filter(|last| *last > 0 && !is_asked_for);
        match last.into_iter().chain([usual]).find(|port| *port > 0 && source.take(*port)) {
            Some(port) => Ok(port),
            None => source.any(),
        }
    };
    let zookeeper = match wanted.embeds_zookeeper {
        true => choose(wanted.zookeeper, Some(last.zookeeper))?,
        false => 0,
    };
    let nimbus = choose(wanted.nimbus, Some(last.nimbus))?;
    let ui = choose(wanted.ui, Some(last.ui))?;
    let metrics = match wanted.nimbus_metrics {
        (0, _) => 0,
        port => choose(port, Some(last.metrics))?,
    };
    let mut supervisors = Vec::new();
    for number in 0..wanted.supervisors {
        let last = last.supervisors.get(usize::from(number));
        // Beyond the last port there is none: 0 is nobody's.
        let nth = |(first, is_asked_for): (u16, bool), nth: u32| {
            (u16::try_from(u32::from(first) + nth).unwrap_or(0), is_asked_for)
        };
        let rpc = choose(nth(wanted.supervisor, number.into()), last.map(|last| last.rpc))?;
        let slots = (0..wanted.slots).map(|slot| {
            let usual = nth(wanted.slot, u32::from(number) * u32::from(wanted.slots) + u32::from(slot));
            choose(usual, last.and_then(|last| last.slots.get(usize::from(slot)).copied()))
        });
        let slots = slots.collect::<Result<_, _>>()?;
        let metrics = match wanted.supervisor_metrics {
            (0, _) => 0,
            port => choose(nth(port, number.into()), last.map(|last| last.metrics))?,
        };
        supervisors.push(SupervisorPorts { slots, rpc, metrics });
    }
    Ok(Ports { zookeeper, nimbus, ui, metrics, supervisors })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A machine where these are taken; free ones count from 40,000.
    struct Taken(BTreeSet<u16>);

    impl Source for Taken {
        fn take(&mut self, port: u16) -> bool {
            self.0.insert(port)
        }

        fn any(&mut self) -> io::Result<u16> {
            let port = (40_000..).find(|port| !self.0.contains(port)).unwrap();
            self.0.insert(port);
            Ok(port)
        }
    }

    fn wanted() -> Wanted {
        Wanted {
            zookeeper: (2181, false),
            nimbus: (6627, false),
            ui: (8080, false),
            nimbus_metrics: (9627, false),
            supervisor_metrics: (9628, false),
            supervisor: (6628, false),
            slot: (6700, false),
            supervisors: 2,
            slots: 2,
            embeds_zookeeper: true,
        }
    }

    fn all(ports: &Ports) -> Vec<u16> {
        let mut all = vec![ports.zookeeper, ports.nimbus, ports.ui];
        for supervisor in &ports.supervisors {
            all.push(supervisor.rpc);
            all.extend(&supervisor.slots);
        }
        all
    }

    #[test]
    fn the_usual_ports_are_taken_where_they_are_free() {
        let ports = choose(&wanted(), &Ports::default(), &mut Taken(BTreeSet::new())).unwrap();
        assert_eq!(all(&ports), [2181, 6627, 8080, 6628, 6700, 6701, 6629, 6702, 6703]);
    }

    #[test]
    fn others_are_taken_where_not_and_the_same_the_next_time() {
        let first = choose(&wanted(), &Ports::default(), &mut Taken([6627, 6701].into())).unwrap();
        assert_eq!(all(&first), [2181, 40_000, 8080, 6628, 6700, 40_001, 6629, 6702, 6703]);
        let again = choose(&wanted(), &first, &mut Taken(BTreeSet::new())).unwrap();
        assert_eq!(again, first);
        let now_taken = choose(&wanted(), &first, &mut Taken([40_000].into())).unwrap();
        assert_eq!(now_taken.nimbus, 6627);
        let asked_for = Wanted { nimbus: (7000, true), ..wanted() };
        assert_eq!(choose(&asked_for, &first, &mut Taken(BTreeSet::new())).unwrap().nimbus, 7000);
    }

    #[test]
    fn clusters_side_by_side_have_ports_of_their_own() {
        let mut first = System::default();
        let port = first.any().unwrap();
        let reserved = first.release();
        // Nobody listens there, and yet it is taken.
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!System::default().take(port));
        drop(reserved);
        assert!(System::default().take(port));
    }

    fn metrics(ports: &Ports) -> Vec<u16> {
        [ports.metrics].into_iter().chain(ports.supervisors.iter().map(|ports| ports.metrics)).collect()
    }

    #[test]
    fn metrics_have_ports_too_unless_they_are_switched_off() {
        let first = choose(&wanted(), &Ports::default(), &mut Taken([9628].into())).unwrap();
        assert_eq!(metrics(&first), [9627, 40_000, 9629]);
        assert_eq!(choose(&wanted(), &first, &mut Taken(BTreeSet::new())).unwrap(), first);
        let off = Wanted { nimbus_metrics: (0, true), supervisor_metrics: (0, true), ..wanted() };
        assert_eq!(metrics(&choose(&off, &first, &mut Taken(BTreeSet::new())).unwrap()), [0, 0, 0]);
    }

    #[test]
    fn no_port_is_given_twice() {
        let wanted = Wanted { slot: (65_535, false), slots: 3, ..wanted() };
        let ports = choose(&wanted, &Ports::default(), &mut Taken(BTreeSet::new())).unwrap();
        let ports = [all(&ports), metrics(&ports)].concat();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }
}
