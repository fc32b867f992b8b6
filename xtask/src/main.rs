//! `cargo xtask`: chores that plain cargo has no word for.
//!
//! The rules that the repository keeps are in `tests/tidy.rs` and run with `cargo test`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command-line program")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <CHORE>

Chores:
  docs    Write docs/configuration.md and docs/metrics.md from the tables of keys and metrics
  help    Show this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chore: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match chore[..] {
        ["docs"] => docs(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("error: no chore '{}'\n\n{HELP}", chore.join(" "));
            ExitCode::from(2)
        }
    }
}

fn docs() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    let pages = [
        ("docs/configuration.md", storm_config::docs()),
        ("docs/metrics.md", storm_figures::metrics::docs()),
    ];
    for (path, text) in pages {
        let page = root.join(path);
        if let Err(error) = fs::write(&page, text) {
            eprintln!("error: cannot write {}: {error}", page.display());
            return ExitCode::FAILURE;
        }
        println!("wrote {}", page.display());
    }
    ExitCode::SUCCESS
}
