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
#[command(version, after_help = storm_rs::ENVIRONMENT)]
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

#[cfg(test)]
mod tests {
    use storm_rs::testing::{TopologyTest, for_each_seed};

    use super::*;

    #[test]
    fn each_request_is_counted_once_by_whatever_it_is_grouped() {
        let line = |ip, path, status| {
            format!("{ip} - - [17/May/2015:10:05:03 +0000] \"GET {path} HTTP/1.1\" {status} 10\n")
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = [line("::1", "/a", 200), line("::2", "/a", 404), line("::1", "/b", 200)];
        std::fs::write(&file, lines.concat() + "what is this?").unwrap();
        for_each_seed(1..=10, |seed| {
            let mut args = Args::parse_from(["log-processing", "--parse", "3"]);
            args.common.file = Some(file.path().to_owned());
            // The report would print.
            let run = TopologyTest::new(topology(args).unwrap()).mute_bolt("report").seed(seed).complete();
            run.assert_none_failed();
            let report = |component| run.arrivals("report").from(component);
            report("status").assert_each_once(["status", "count"], [(b"200", 2), (b"404", 1)]);
            report("ips").assert_each_once(["ip", "count"], [(b"::1", 2), (b"::2", 1)]);
            report("minutes").assert_each_once(["count"], [(3,)]);
            report("visits").assert_each_once(["path", "total", "unique"], [(b"/a", 2, 2), (b"/b", 1, 1)]);
            report("parse").assert_each_once(["number"], [(4,)]);
        });
    }
}
