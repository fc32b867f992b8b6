//! What every handler has, and what becomes of errors.

use std::sync::Arc;
use std::time::Instant;

use storm_exposition::Requests;

use crate::guard::Logins;
use crate::options::Options;
use crate::source::Source;

/// What every handler has. Clones are the same.
#[derive(Clone)]
pub struct App {
    /// Whom the cluster is asked of.
    pub source: Arc<dyn Source>,
    /// How it is served.
    pub options: Arc<Options>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) started: Instant,
}

impl App {
    /// Pages of this source.
    pub fn new(source: impl Source, options: Options) -> App {
        App {
            source: Arc::new(source),
            options: Arc::new(options),
            logins: Arc::default(),
            requests: Arc::default(),
            started: Instant::now(),
        }
    }
}
