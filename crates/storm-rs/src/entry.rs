//! Which hat does this process wear: describe, local or worker?

use std::error::Error;
use std::process::ExitCode;

use storm_topology::Topology;

/// Runs a topology: the one call of a topology's `main`.
pub fn run<E>(name: &str, build: impl FnOnce() -> Result<Topology, E>) -> ExitCode
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let _ = (name, build);
    ExitCode::FAILURE
}
