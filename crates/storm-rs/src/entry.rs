//! Which hat does this process wear: describe, local or worker?
//!
//! The mode comes by environment variables, so that the arguments stay the user's: all modes build
//! the same topology from the same arguments.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use storm_topology::Topology;

use crate::{describe, local, logging};

/// What this process is to do; absent: run the topology here.
pub const MODE_VARIABLE: &str = "STORM_RS_MODE";
/// File that describe mode writes to.
pub const DESCRIBE_OUT_VARIABLE: &str = "STORM_RS_DESCRIBE_OUT";
/// File with configuration from outside for describe mode: JSON of [`Layers`](crate::describe::Layers).
pub const DESCRIBE_CONF_VARIABLE: &str = "STORM_RS_DESCRIBE_CONF";
/// File that tells a worker all that it has to know.
pub const WORKER_FILE_VARIABLE: &str = "STORM_RS_WORKER_FILE";

/// What a local run reads from the environment, in words for the end of `--help`: the arguments are
/// the user's, so the help is, too. With clap: `#[command(after_help = storm_rs::ENVIRONMENT)]`.
pub const ENVIRONMENT: &str = "\
Environment:
  STORM_RS_CONF            A storm.yaml
  STORM_RS_TOPOLOGY_CONF   Configuration of this topology, above what its code says
  STORM_RS_WAIT_SECS       How long Ctrl-C waits for what is pending
  STORM_RS_FIGURES         Print the figures of each component every so many seconds (empty: 10) and at the end
  STORM_RS_FIGURES_WINDOW  Of the last 10m, 3h or 1d, or of all (default)
  STORM_RS_FIGURES_JSON    File that all figures are written to, as often and at the end
  RUST_LOG                 Log level (default: info)";

/// What a topology binary was started for.
enum Mode {
    Local,
    Describe { out: PathBuf, conf: Option<PathBuf> },
    Worker(PathBuf),
}

/// Runs a topology: the one call of a topology's `main`.
///
/// `build` makes the topology, from the program's arguments or from nothing; it must make the same
/// one wherever the same arguments are given. The binary, run as it is, runs the topology in this
/// process until Ctrl-C, or until every spout is done and everything is processed. `storm-rs submit`
/// runs the same binary to describe the topology and, on the cluster's machines, to work on it.
///
/// Read from the environment in a local run: `STORM_RS_CONF` (a storm.yaml),
/// `STORM_RS_TOPOLOGY_CONF` (configuration of this topology, above its code's),
/// `STORM_RS_WAIT_SECS` (how long Ctrl-C waits for pending trees; default
/// `topology.message.timeout.secs`), `STORM_RS_FIGURES`, `STORM_RS_FIGURES_WINDOW` and
/// `STORM_RS_FIGURES_JSON` (figures, as a table and as a file), `RUST_LOG`. [`ENVIRONMENT`] says so in a
/// program's own `--help`.
///
/// Exit codes: 0 all is processed; 1 the topology is invalid or could not start, a component broke
/// its own declarations or ended the topology
/// ([`ComponentError::fatal`](crate::ComponentError::fatal)), or Ctrl-C left something unprocessed;
/// 130 after a second Ctrl-C.
///
/// ```no_run
/// use std::process::ExitCode;
/// use storm_rs::prelude::*;
///
/// fn topology() -> Result<Topology, TopologyError> {
///     let t = TopologyBuilder::new();
///     // t.set_spout(..), t.set_bolt(..)
///     t.build()
/// }
///
/// fn main() -> ExitCode {
///     storm_rs::run("my-topology", topology)
/// }
/// ```
pub fn run<E>(name: &str, build: impl FnOnce() -> Result<Topology, E>) -> ExitCode
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let outcome = take_mode().and_then(|mode| {
        let topology = build().map_err(|e| -> Box<dyn Error + Send + Sync> {
            format!("topology '{name}': {}", chain(&*e.into())).into()
        })?;
        match mode {
            Mode::Describe { out, conf } => {
                describe::write(name, topology, &out, conf.as_deref())?;
                Ok(ExitCode::SUCCESS)
            }
            Mode::Local => Ok(local::run(name, topology)?),
            #[cfg(feature = "cluster")]
            Mode::Worker(file) => crate::worker_mode::run(&file, topology),
            #[cfg(not(feature = "cluster"))]
            Mode::Worker(_) => Err("built without the feature 'cluster' of storm-rs".into()),
        }
    });
    outcome.unwrap_or_else(|error| {
        logging::print_error(&chain(&*error));
        ExitCode::FAILURE
    })
}

/// Reads the mode and removes it from the environment, so that children do not inherit it.
fn take_mode() -> Result<Mode, Box<dyn Error + Send + Sync>> {
    const VARIABLES: [&str; 4] =
        [MODE_VARIABLE, DESCRIBE_OUT_VARIABLE, DESCRIBE_CONF_VARIABLE, WORKER_FILE_VARIABLE];
    let mode = std::env::var(MODE_VARIABLE).ok();
    let file = |variable| std::env::var_os(variable).map(PathBuf::from);
    let (out, conf) = (file(DESCRIBE_OUT_VARIABLE), file(DESCRIBE_CONF_VARIABLE));
    let worker = file(WORKER_FILE_VARIABLE);
    #[expect(unsafe_code, reason = "the environment of children is part of the contract")]
    // SAFETY: this is the first thing that main does; no other thread of this process exists that
    // could read the environment at the same time. `run` documents that it is main's one call.
    unsafe {
        VARIABLES.into_iter().for_each(|variable| std::env::remove_var(variable));
    }
    let needs =
        |variable| format!("{MODE_VARIABLE}={} needs {variable}", mode.as_deref().unwrap_or_default());
    match mode.as_deref() {
        None | Some("local") => Ok(Mode::Local),
        Some("describe") => {
            let out = out.ok_or_else(|| needs(DESCRIBE_OUT_VARIABLE) + ", the file to write to")?;
            Ok(Mode::Describe { out, conf })
        }
        Some("worker") => Ok(Mode::Worker(worker.ok_or_else(|| needs(WORKER_FILE_VARIABLE))?)),
        Some(other) => Err(format!(
            "{MODE_VARIABLE}={other} is not known to this binary; it knows: describe, local, worker"
        )
        .into()),
    }
}

/// A message with those of its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
