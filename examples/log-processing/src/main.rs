//! Turns a web server's log into figures, exactly.

mod tally;
mod parse;
mod report;
mod request;
mod status;
mod visits;

use std::process::ExitCode;

use bounded_input::{COMMIT, Common, END, FileSpout, Writer, exit_code};
use clap::Parser;
use storm_rs::prelude::*;

use parse::{MALFORMED, Parse};
use report::Figures;
use status::Statuses;
use tally::Tally;
use visits::Visits;

static LOG: &[u8] = include_bytes!("../../data/web-apache-combined-10k.log");

/// Counts what a web server did: Apache's combined log format.
#[derive(Parser, Clone, Debug)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,

    /// Executors that read lines
    #[arg(long, value_name = "N", default_value_t = 1)]
    lines: u32,

    /// Executors that parse lines
    #[arg(long, value_name = "N", default_value_t = 2)]
    parse: u32,

    /// Executors that count requests and bytes by status
    #[arg(long, value_name = "N", default_value_t = 1)]
    status: u32,

    /// Executors that count requests by minute
    #[arg(long, value_name = "N", default_value_t = 1)]
    minutes: u32,

    /// Executors that count requests by client
    #[arg(long, value_name = "N", default_value_t = 1)]
    ips: u32,

    /// Executors that count visits and visitors by path
    #[arg(long, value_name = "N", default_value_t = 2)]
    visits: u32,
}

fn main() -> ExitCode {
    exit_code(storm_rs::run("log-processing", || topology(Args::parse())))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { common, lines, parse, status, minutes, ips, visits } = args;
    let out = common.out.clone();

    let mut t = TopologyBuilder::new();
    t.set_spout("lines", move || FileSpout::new(&common, LOG), lines);
    t.set_bolt("parse", || Parse, parse).shuffle_grouping("lines");
    t.set_bolt("status", Statuses::default, status)
        .fields_grouping("parse", ["status"])
        .all_grouping(("lines", END));
    t.set_bolt("minutes", || Tally::of("minute"), minutes)
        .fields_grouping("parse", ["minute"])
        .all_grouping(("lines", END));
    t.set_bolt("ips", || Tally::of("ip"), ips).fields_grouping("parse", ["ip"]).all_grouping(("lines", END));
    t.set_bolt("visits", Visits::default, visits)
        .fields_grouping("parse", ["path"])
        .all_grouping(("lines", END));
    t.set_bolt("report", move || Writer::new(Figures::new(out.clone())), 1)
        .global_grouping("status")
        .global_grouping("minutes")
        .global_grouping("ips")
        .global_grouping("visits")
        .global_grouping(("parse", MALFORMED))
        .global_grouping(("lines", COMMIT));
    t.build()
}
