//! Finds readings far from their moving average, in order per device.

mod average;
mod detect;
mod reading;
mod report;
mod window;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use bounded_input::{COMMIT, Common, FileSpout, Writer, exit_code};
use clap::Parser;
use storm_rs::prelude::*;

use average::{Average, MALFORMED};
use detect::Detect;
use report::Spikes;

static READINGS: &[u8] = include_bytes!("../../data/sensor-machine-temperature.csv");

/// Finds readings that are far from the moving average of their device.
#[derive(Parser, Clone, Debug)]
#[command(version, after_help = storm_rs::ENVIRONMENT)]
struct Args {
    #[command(flatten)]
    common: Common,

    /// Readings of a device that its average is taken over, the current one included
    #[arg(long, value_name = "N", default_value = "1000")]
    window: NonZeroUsize,

    /// How far from the average is a spike, as a part of the average
    #[arg(long, value_name = "T", default_value_t = 0.03)]
    threshold: f64,

    /// Executors that read rows
    #[arg(long, value_name = "N", default_value_t = 1)]
    readings: u32,

    /// Executors that average
    #[arg(long, value_name = "N", default_value_t = 2)]
    average: u32,

    /// Executors that compare
    #[arg(long, value_name = "N", default_value_t = 2)]
    detect: u32,
}

fn main() -> ExitCode {
    exit_code(storm_rs::run("spike-detection", || topology(Args::parse())))
}

fn topology(args: Args) -> Result<Topology, TopologyError> {
    let Args { common, window, threshold, readings, average, detect } = args;
    let out = common.out.clone();
    let spout = move || {
        FileSpout::new(&common, READINGS)
            .with_header(reading::is_header, reading::HEADER)
            .keyed(reading::device)
    };

    let mut t = TopologyBuilder::new();
    t.set_spout("readings", spout, readings);
    t.set_bolt("average", move || Average::new(window), average).fields_grouping("readings", ["key"]);
    t.set_bolt("detect", move || Detect::new(threshold), detect).shuffle_grouping("average");
    // No bolt but the report has a result to give at the end: a spike is on its way with its row.
    t.set_bolt("report", move || Writer::new(Spikes::new(out.clone())), 1)
        .global_grouping("detect")
        .global_grouping(("average", MALFORMED))
        .global_grouping(("readings", COMMIT));
    t.build()
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::{TopologyTest, for_each_seed};

    use super::*;

    #[test]
    fn readings_of_a_device_are_averaged_in_their_order() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows: String = (0..60).map(|i| format!("t,{i},device{}\n", i % 7)).collect();
        std::fs::write(&file, format!("timestamp,value,device\n{rows}")).unwrap();
        for_each_seed(1..=10, |seed| {
            let mut args = Args::parse_from(["spike-detection", "--readings", "3", "--average", "3"]);
            args.common.file = Some(file.path().to_owned());
            // The report would print.
            let run = TopologyTest::new(topology(args).unwrap()).mute_bolt("report").seed(seed).complete();
            run.assert_none_failed();
            run.assert_no_errors();
            let readings = run.arrivals("average");
            readings.assert_each_once(["number"], (1..=60).map(|row| (row,)));
            readings.by_key(["key"]).assert_in_order("number");
        });
    }
}
