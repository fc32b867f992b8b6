//! Tuples kept beyond `execute`: joins, batches, async work.

use std::fmt;
use std::sync::Arc;

use storm_row::OwnedRow;

use crate::tuple::{StreamInfo, Tuple};

/// A tuple that a bolt kept: an owned copy, to be acked or failed once, from any thread.
///
/// Its anchors stay with the executor that gave it out: [`ack`](Retained::ack),
/// [`fail`](Retained::fail) and a drop are messages to that executor, carried out between two
/// tuples, so that an ack never overtakes an emit anchored to it. A handle anchors emits only in
/// its own executor.
#[must_use = "a handle that is dropped fails its tuple"]
pub struct Retained {
    row: OwnedRow,
    source: Arc<StreamInfo>,
    key: u64,
    home: Arc<dyn RetainedHome>,
    open: bool,
}

/// The executor that gave out a handle.
pub trait RetainedHome: Send + Sync {
    /// Takes note of what became of the tuple; never blocks.
    fn resolve(&self, key: u64, resolution: Resolution);
}

/// What becomes of a retained tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is processed.
    Ack,
    /// It is not.
    Fail,
    /// It needs more time.
    ResetTimeout,
}

impl Retained {
    /// For engines and test kits; `key` is the home's own.
    pub fn new(
        tuple: &Tuple<'_>,
        source: Arc<StreamInfo>,
        key: u64,
        home: Arc<dyn RetainedHome>,
    ) -> Retained {
        Retained { row: tuple.row().to_owned_row(), source, key, home, open: true }
    }

    /// The tuple.
    pub fn tuple(&self) -> Tuple<'_> {
        Tuple::new(self.row.as_ref(), &self.source)
    }

    /// The tuple is processed.
    pub fn ack(mut self) {
        self.resolve(Resolution::Ack);
    }

    /// The tuple could not be processed.
    pub fn fail(mut self) {
        self.resolve(Resolution::Fail);
    }

    /// Starts the timeout of its trees anew.
    pub fn reset_timeout(&self) {
        self.home.resolve(self.key, Resolution::ResetTimeout);
    }

    /// The home's key; for engines and test kits.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Whether `home` gave out this handle; for engines and test kits.
    pub fn is_from(&self, home: &Arc<dyn RetainedHome>) -> bool {
        Arc::ptr_eq(&self.home, home)
    }

    fn resolve(&mut self, resolution: Resolution) {
        if std::mem::take(&mut self.open) {
            self.home.resolve(self.key, resolution);
        }
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        self.resolve(Resolution::Fail);
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retained({:?})", self.tuple())
    }
}
