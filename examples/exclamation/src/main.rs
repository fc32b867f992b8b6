//! Storm's hello world: names with exclamation marks.

mod exclaim;
mod word;

use std::process::ExitCode;

use clap::Parser;
use storm_rs::prelude::*;

use exclaim::{Exclaim, Print};
use word::Word;

/// Adds exclamation marks to names.
#[derive(Parser, Clone, Debug)]
#[command(version, after_help = storm_rs::ENVIRONMENT)]
struct Args {
    /// End after so many seconds (default: run until stopped)
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,

    /// Executors that emit names
    #[arg(long, value_name = "N", default_value_t = 10)]
    word: u32,

    /// Executors that exclaim first
    #[arg(long, value_name = "N", default_value_t = 3)]
    exclaim1: u32,

    /// Executors that exclaim next
    #[arg(long, value_name = "N", default_value_t = 2)]
    exclaim2: u32,
}

fn main() -> ExitCode {
    storm_rs::run("exclamation", || topology(Args::parse()))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { seconds, word, exclaim1, exclaim2 } = args;

    let mut t = TopologyBuilder::new();
    t.set_spout("word", move || Word::new(seconds), word);
    t.set_bolt("exclaim1", || Exclaim::new(Print::Nothing), exclaim1)
        // The tasks are fixed for life, the executors are not: a rebalance may raise them to 6.
        .num_tasks(6)
        .shuffle_grouping("word");
    t.set_bolt("exclaim2", || Exclaim::new(Print::Samples), exclaim2).shuffle_grouping("exclaim1");
    t.config("topology.workers", 3);
    t.build()
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::TopologyTest;

    use super::*;

    #[test]
    fn every_name_is_exclaimed_twice() {
        let args = Args::parse_from(["exclamation", "--seconds", "1", "--word", "2"]);
        let run = TopologyTest::new(topology(args).unwrap())
            // Two tasks, so each name comes twice.
            .replace_spout("word", [("nathan",), ("mike",), ("golda",)])
            // The one that the topology has prints.
            .replace_bolt("exclaim2", || Exclaim::new(Print::Nothing))
            .complete();
        let exclaimed = ["golda", "mike", "nathan"].map(|name| values![format!("{name}!!!!!!")]);
        assert_eq!(run.emitted_sorted("exclaim2"), exclaimed.map(|name| [name.clone(), name]).concat());
        run.assert_none_failed();
    }
}
