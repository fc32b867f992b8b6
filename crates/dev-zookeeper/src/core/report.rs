//! Four-letter words: what an operator asks with `nc`.

use std::fmt::Write as _;

use super::Core;

/// A word of four letters that stands in place of a first packet. None is a possible length of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Is the server there?
    Ruok,
    /// Figures of the server.
    Srvr,
    /// Figures of the server and its connections.
    Stat,
    /// Figures, one per line, as a name and a value.
    Mntr,
    /// The connections.
    Cons,
    /// The version, as a property.
    Envi,
    /// Does it take writes?
    Isro,
}

/// The version of ZooKeeper whose protocol this is, and of this crate.
const VERSION: &str = concat!("3.9.0-storm-rs-", env!("CARGO_PKG_VERSION"));

impl Word {
    /// The word that these letters spell.
    pub fn from_letters(letters: [u8; 4]) -> Option<Word> {
        Some(match &letters {
            b"ruok" => Word::Ruok,
            b"srvr" => Word::Srvr,
            b"stat" => Word::Stat,
            b"mntr" => Word::Mntr,
            b"cons" => Word::Cons,
            b"envi" => Word::Envi,
            b"isro" => Word::Isro,
            _ => return None,
        })
    }
}

impl Core {
    pub(super) fn report(&self, word: Word) -> String {
        let mut out = String::new();
        match word {
            Word::Ruok => return "imok".to_owned(),
            Word::Isro => return "rw".to_owned(),
            Word::Envi => writeln!(out, "Environment:\nzookeeper.version={VERSION}, built on -"),
            Word::Srvr => self.write_server(&mut out),
            Word::Stat => self
                .write_version(&mut out)
                .and_then(|()| writeln!(out, "Clients:"))
                .and_then(|()| self.write_connections(&mut out))
                .and_then(|()| writeln!(out))
                .and_then(|()| self.write_figures(&mut out)),
            Word::Cons => self.write_connections(&mut out).and_then(|()| writeln!(out)),
            Word::Mntr => self.write_monitor(&mut out),
        }
        .expect("a string takes everything");
        out
    }

    fn write_version(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "Zookeeper version: {VERSION}, built on -")
    }

    fn write_server(&self, out: &mut String) -> std::fmt::Result {
        self.write_version(out)?;
        self.write_figures(out)
    }

    fn write_figures(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "Received: {}", self.packets_received)?;
        writeln!(out, "Sent: {}", self.packets_sent)?;
        writeln!(out, "Connections: {}", self.connections.len())?;
        writeln!(out, "Outstanding: 0")?;
        writeln!(out, "Zxid: {:#x}", self.state.zxid)?;
        writeln!(out, "Mode: standalone")?;
        writeln!(out, "Node count: {}", self.state.tree.nodes().len())
    }

    fn write_connections(&self, out: &mut String) -> std::fmt::Result {
        for (id, connection) in &self.connections {
            write!(out, " /{}[{}]", connection.address, id.0)?;
            match connection.session {
                Some(session) => writeln!(out, "(sid={session:#x})")?,
                None => writeln!(out, "()")?,
            }
        }
        Ok(())
    }

    fn write_monitor(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "zk_version\t{VERSION}, built on -")?;
        writeln!(out, "zk_server_state\tstandalone")?;
        writeln!(out, "zk_packets_received\t{}", self.packets_received)?;
        writeln!(out, "zk_packets_sent\t{}", self.packets_sent)?;
        writeln!(out, "zk_num_alive_connections\t{}", self.connections.len())?;
        writeln!(out, "zk_outstanding_requests\t0")?;
        writeln!(out, "zk_global_sessions\t{}", self.state.sessions.len())?;
        writeln!(out, "zk_znode_count\t{}", self.state.tree.nodes().len())?;
        writeln!(out, "zk_watch_count\t{}", self.watches.count())?;
        writeln!(out, "zk_ephemerals_count\t{}", self.state.tree.ephemeral_count())?;
        writeln!(out, "zk_approximate_data_size\t{}", self.state.tree.data_bytes())
    }
}
