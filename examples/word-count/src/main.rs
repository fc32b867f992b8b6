//! Counts the words of a book, exactly.

mod count;
mod report;
mod split;

use std::process::ExitCode;

use bounded_input::{COMMIT, Common, END, FileSpout, Writer, exit_code};
use clap::Parser;
use storm_rs::prelude::*;

use count::Count;
use report::Words;
use split::{Split, Tokens};

/// Rows are made by one thread and dropped by another, which other allocators are slow at.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

static ALICE: &[u8] = include_bytes!("../../data/wc-alice.txt");

/// Counts the words of a text.
#[derive(Parser, Clone, Debug)]
#[command(version, after_help = storm_rs::ENVIRONMENT)]
struct Args {
    #[command(flatten)]
    common: Common,

    /// What a word is
    #[arg(long, value_enum, default_value_t = Tokens::Fields)]
    tokens: Tokens,

    /// Executors that read lines
    #[arg(long, value_name = "N", default_value_t = 1)]
    lines: u32,

    /// Executors that split lines
    #[arg(long, value_name = "N", default_value_t = 2)]
    split: u32,

    /// Executors that count words
    #[arg(long, value_name = "N", default_value_t = 2)]
    count: u32,
}

fn main() -> ExitCode {
    exit_code(storm_rs::run("word-count", || topology(Args::parse())))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { common, tokens, lines, split, count } = args;
    let out = common.out.clone();

    let mut t = TopologyBuilder::new();
    t.set_spout("lines", move || FileSpout::new(&common, ALICE), lines);
    t.set_bolt("split", move || Split::new(tokens), split).shuffle_grouping("lines");
    t.set_bolt("count", Count::default, count)
        .fields_grouping("split", ["word"])
        .all_grouping(("lines", END));
    t.set_bolt("report", move || Writer::new(Words::new(out.clone())), 1)
        .global_grouping("count")
        .global_grouping(("lines", COMMIT));
    t.build()
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::{TopologyTest, for_each_seed};

    use super::*;

    #[test]
    fn words_are_counted_once_whatever_the_order_in_which_threads_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "to be or\nnot\nto be").unwrap();
        for_each_seed(1..=10, |seed| {
            let mut args = Args::parse_from(["word-count", "--lines", "2", "--split", "3"]);
            args.common.file = Some(file.path().to_owned());
            // The report would print.
            let run = TopologyTest::new(topology(args).unwrap()).mute_bolt("report").seed(seed).complete();
            run.assert_none_failed();
            let counts = [("be", 2), ("not", 1), ("or", 1), ("to", 2)].map(|(w, n)| (w.as_bytes(), n));
            run.arrivals("report").from("count").assert_each_once(["word", "count"], counts);
        });
    }
}
