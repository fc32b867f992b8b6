//! The command `storm-rs`: daemons, and everything one does with a cluster.
//!
//! Modules in reading order: what can be written on the command line; what a command knows of its
//! surroundings; how a cluster's secret is made; what it prints; Ctrl-C; topology binaries; the commands,
//! one file each; a cluster on one machine.

use std::process::ExitCode;

mod args;
mod context;
mod secret;
mod output;
mod interrupt;
mod binary;
mod commands;
mod daemons;
mod dev;

fn main() -> ExitCode {
    let parsed = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(stop) => return stop.end(),
    };
    let is_json = parsed.common.json;
    match commands::run(parsed) {
        // What nobody got was not done.
        Ok(code) => output::lost().unwrap_or(code),
        Err(error) => output::fail(&error, is_json),
    }
}
