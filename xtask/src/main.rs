//! `cargo xtask`: chores that plain cargo has no word for.
//!
//! The rules that the repository keeps are in `tests/tidy.rs` and run with `cargo test`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command-line program")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod demo;

/// Chores that plain cargo has no word for
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Write docs/configuration.md and docs/metrics.md from the tables of keys and metrics
    Docs,
    /// Play docs/demo.md: a cluster in containers, and what becomes of it when parts of it go
    Demo(demo::Options),
}

fn main() -> ExitCode {
    match Arguments::parse().chore {
        Chore::Docs => docs(),
        Chore::Demo(options) => match demo::run(&options, root()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

fn docs() -> ExitCode {
    let pages = [
        ("docs/configuration.md", storm_config::docs()),
        ("docs/metrics.md", storm_figures::metrics::docs()),
    ];
    for (path, text) in pages {
        let page = root().join(path);
        if let Err(error) = fs::write(&page, text) {
            eprintln!("error: cannot write {}: {error}", page.display());
            return ExitCode::FAILURE;
        }
        println!("wrote {}", page.display());
    }
    ExitCode::SUCCESS
}
