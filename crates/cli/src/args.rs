//! What can be written on the command line.
//!
//! The options of [`Common`] stand before or after the sub-command; what stands in both places is put
//! together.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use storm_rpc::CallError;

use crate::output;

/// The whole command line.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What holds for every command.
    pub(crate) common: Common,
    /// The command.
    pub(crate) command: Command,
}

// No doc comment: it would become the help of each command.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub(crate) struct Common {
    /// Read this storm.yaml
    ///
    /// Without it: the first of $STORM_CONF_DIR/storm.yaml, ./storm.yaml, ~/.storm/storm.yaml and
    /// ~/.storm-rs/dev/storm.yaml, which `storm-rs dev` writes.
    #[arg(long, value_name = "FILE", help_heading = "Options of every command")]
    pub(crate) config: Option<PathBuf>,
    /// Set a key of the configuration; may be given several times
    ///
    /// It beats storm.yaml and the environment. At submit, keys under 'topology.' and your own are
    /// stored with the topology; the others hold for this command alone.
    #[arg(short = 'c', value_name = "KEY=VALUE", help_heading = "Options of every command")]
    pub(crate) set: Vec<String>,
    /// Print JSON, for scripts; errors too, on stderr
    #[arg(long, help_heading = "Options of every command")]
    pub(crate) json: bool,
}

#[derive(Debug, Parser)]
#[command(
    name = "storm-rs",
    version,
    about = "Runs and commands clusters of storm-rs",
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = "\
Examples:
  storm-rs dev                                    a whole cluster on this machine
  storm-rs submit target/release/word-count       run a topology on it
  storm-rs list                                   what runs
  storm-rs status word-count                      how it runs
  storm-rs kill word-count --wait                 end it

Exit codes: 0 ok, 1 other, 2 usage, 3 no such topology, 4 name taken, 5 invalid topology, configuration \
or binary, 6 cluster unreachable, 7 not authenticated, 8 --wait ran out."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a topology on the cluster
    Submit(Submit),
    /// Show what a topology binary says of itself
    Describe(Describe),
    /// List the topologies
    List,
    /// Show how a topology runs
    Status(Named),
    /// End a topology
    Kill(Kill),
    /// Let the spouts of a topology emit again
    Activate(Switch),
    /// Stop the spouts of a topology; what is pending is processed
    Deactivate(Switch),
    /// Place a topology anew, with other numbers of workers and executors if you like
    Rebalance(Rebalance),
    /// Show the logs of a topology's workers
    Logs(Logs),
    /// Show the errors of a topology's components
    Errors(Named),
    /// End a worker in good order and start it again
    RestartWorker(RestartWorker),
    /// Change what the loggers of a topology's workers tell, or show what was changed
    LogLevel(LogLevel),
    /// Have a share of a topology's tuples written to its workers' events.log, or show which are
    Debug(Debug),
    /// Tell whether the cluster, or a daemon, is healthy: exit code 0 or 1
    Health(Health),
    /// Make the cluster's secret, unless there is one
    MakeSecret(MakeSecret),
    /// Show the effective configuration, and where each value comes from
    Config(ShowConfig),
    /// Print the completions for a shell
    Completions(Completions),
    /// Print the version
    Version,
    /// Run Nimbus, the master, in the foreground
    Nimbus(Daemon),
    /// Run a supervisor, which starts workers on this machine, in the foreground
    Supervisor(Supervisor),
    /// Serve the web pages and Storm's REST interface, in the foreground
    Ui(Daemon),
    /// Run a whole cluster on this machine, in the foreground
    Dev(Dev),
    /// The ZooKeeper-protocol server of `dev`
    #[command(hide = true)]
    DevZookeeper(DevZookeeper),
}

// How long to wait for the effect of a command.
#[derive(Args, Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wait {
    /// Wait until it is done, not only until it is accepted
    #[arg(long)]
    pub(crate) wait: bool,
    /// The most seconds that --wait waits, beyond what the command itself may take; then exit code 8
    #[arg(long, value_name = "SECS", default_value_t = 120, requires = "wait")]
    pub(crate) timeout: u64,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs submit target/release/word-count
  storm-rs submit target/release/word-count --name wc-2 -c topology.workers=3 --wait
  storm-rs submit target/release/word-count --conf production.yaml -- --input /data/books

The binary is asked to describe its topology here, with the same arguments; workers get them, too. \
Configuration, from the weakest: defaults, storm.yaml, environment, the topology's code, --conf, -c.")]
pub(crate) struct Submit {
    /// The topology's binary: a program that calls `storm_rs::run`
    pub(crate) binary: PathBuf,
    /// Name of the topology; without it the name that its code gives
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Configuration of this topology, above its code's
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// Start with spouts that emit nothing, until `storm-rs activate`
    #[arg(long)]
    pub(crate) inactive: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    /// Arguments of the topology's program. They are visible to operators: no secrets
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs describe target/release/word-count
  storm-rs describe target/release/word-count --json -- --input /data/books")]
pub(crate) struct Describe {
    /// The topology's binary
    pub(crate) binary: PathBuf,
    /// Arguments of the topology's program
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Name or id of the topology
    pub(crate) name: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs kill word-count               returns at once; what is pending is processed first
  storm-rs kill word-count -w 5 --wait   waits until it is gone, 5 seconds for what is pending")]
pub(crate) struct Kill {
    /// Name or id of the topology
    pub(crate) name: String,
    /// The most seconds that pending tuples get [default: topology.message.timeout.secs]
    #[arg(short, long, alias = "wait-time-secs", value_name = "SECS")]
    pub(crate) wait_secs: Option<u32>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Args, Debug)]
pub(crate) struct Switch {
    /// Name or id of the topology
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs rebalance word-count -n 4            4 workers from now on
  storm-rs rebalance word-count -e split=8      8 executors for 'split'; at most its tasks
  storm-rs rebalance --dry-run                  what would move, of the one topology that runs")]
pub(crate) struct Rebalance {
    /// Name or id of the topology; may be left out when exactly one runs
    pub(crate) name: Option<String>,
    /// The most seconds that pending tuples get [default: topology.message.timeout.secs]
    #[arg(short, long, alias = "wait-time-secs", value_name = "SECS")]
    pub(crate) wait_secs: Option<u32>,
    /// Number of workers from now on
    #[arg(short = 'n', long, alias = "num-workers", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: Option<u32>,
    /// Number of executors of a component from now on; may be given several times
    #[arg(short, long = "executors", alias = "executor", value_name = "COMPONENT=EXECUTORS",
        value_parser = parse_executors)]
    pub(crate) executors: Vec<(String, u32)>,
    /// Only say what would move
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs logs word-count                       the last lines of all its workers
  storm-rs logs word-count -f --component split  go on, of the workers that run 'split'
  storm-rs logs word-count --grep ERROR")]
pub(crate) struct Logs {
    /// Name or id of the topology
    pub(crate) name: String,
    /// Go on as the logs grow, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only workers that run this component
    #[arg(long)]
    pub(crate) component: Option<String>,
    /// Only lines that hold this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) grep: Option<String>,
    /// Lines of each worker to begin with
    #[arg(long, value_name = "LINES", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tail: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  storm-rs restart-worker host1:6700     `storm-rs status` shows hosts and ports")]
pub(crate) struct RestartWorker {
    /// Where the worker runs
    #[arg(value_name = "HOST:PORT", value_parser = parse_host_port)]
    pub(crate) place: (String, u16),
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs log-level word-count word_count::split=DEBUG     a module, until it is changed
  storm-rs log-level word-count ROOT=WARN word_count=TRACE:60   the rest, and a crate for a minute
  storm-rs log-level word-count -r word_count               as it was in the beginning
  storm-rs log-level word-count                             what was changed

Loggers are crates and modules, as in RUST_LOG. Levels: TRACE (or ALL), DEBUG, INFO, WARN, ERROR (or FATAL), \
OFF. They hold at once in all workers, and in those that start later.")]
pub(crate) struct LogLevel {
    /// Name or id of the topology
    pub(crate) name: String,
    /// A logger, or ROOT for all that have no level of their own, how much it tells, and for how many seconds
    #[arg(value_name = "LOGGER=LEVEL[:SECS]", value_parser = parse_level)]
    pub(crate) levels: Vec<(String, String, u32)>,
    /// A logger that tells what it told in the beginning; may be given several times
    #[arg(short, long, value_name = "LOGGER")]
    pub(crate) remove: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs debug word-count --enable            10 of a hundred tuples that its components emit
  storm-rs debug word-count split --enable 100  all that 'split' emits
  storm-rs debug word-count split --disable     none of 'split'
  storm-rs debug word-count --disable           none at all
  storm-rs debug word-count                     which are

They are written to events.log, beside the worker's log: date,component,task,trees,[values]. What cannot be \
written in time is left out; the topology does not wait for it.")]
pub(crate) struct Debug {
    /// Name or id of the topology
    pub(crate) name: String,
    /// Only this component [default: all that are not named by another such command]
    pub(crate) component: Option<String>,
    /// Write down so many of a hundred tuples
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "10",
        conflicts_with = "disable", value_parser = parse_percent)]
    pub(crate) enable: Option<f64>,
    /// Write down none; without a component of no component
    #[arg(long)]
    pub(crate) disable: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs health                 ZooKeeper, Nimbus and the supervisors
  storm-rs health supervisor      the one on this machine
  storm-rs health nimbus --here   the one on this machine, for a container's health check")]
pub(crate) struct Health {
    /// Only this one
    #[arg(value_enum)]
    pub(crate) what: Option<Part>,
    /// The Nimbus on this machine, and only whether it answers: what others lack is not its fault
    #[arg(long, requires = "what")]
    pub(crate) here: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs make-secret                      in the file that the configuration names
  storm-rs make-secret /etc/storm/secret    32 random bytes, mode 0600; never over what is there")]
pub(crate) struct MakeSecret {
    /// Where to [default: storm.cluster.secret.file]
    pub(crate) file: Option<PathBuf>,
}

/// What can be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// A ZooKeeper server that takes sessions
    Zookeeper,
    /// A Nimbus of 'nimbus.seeds'
    Nimbus,
    /// The supervisor of this configuration
    Supervisor,
    /// The pages and the REST interface
    Ui,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs config
  storm-rs config storm.zookeeper       the keys that begin so
  storm-rs config --set-only            only what differs from the defaults' layer")]
pub(crate) struct ShowConfig {
    /// Only keys that begin so
    #[arg(default_value = "")]
    pub(crate) prefix: String,
    /// Only keys that are set somewhere
    #[arg(long)]
    pub(crate) set_only: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  storm-rs completions bash > ~/.local/share/bash-completion/completions/storm-rs")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Daemon {
    #[command(flatten)]
    pub(crate) parent: Parent,
}

#[derive(Args, Debug)]
pub(crate) struct Supervisor {
    /// Stop the workers when it ends; without this they run on and the next supervisor takes them over
    #[arg(long)]
    pub(crate) stop_workers: bool,
    #[command(flatten)]
    pub(crate) parent: Parent,
}

// How `dev` ties its daemons to itself.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Parent {
    /// End with the process of this id, which must be the parent
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) parent: Option<i32>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  storm-rs dev
  storm-rs dev --supervisors 3 --slots 2 --data-dir /tmp/cluster
  storm-rs dev --zookeeper localhost:2181     with a ZooKeeper of yours

Prints `ready` and the addresses once topologies can be submitted. Ctrl-C ends everything, workers too; \
started again on the same directory the cluster carries on. With another --data-dir the other commands \
need `--config DIR/storm.yaml`.")]
pub(crate) struct Dev {
    /// Number of supervisors
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) supervisors: u16,
    /// Slots of each supervisor: one worker runs in each
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) slots: u16,
    /// Where everything is kept [default: ~/.storm-rs/dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Use this ZooKeeper server instead of the embedded one
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_host_port)]
    pub(crate) zookeeper: Option<(String, u16)>,
    /// Leave daemons that ended alone, to see what happens
    #[arg(long)]
    pub(crate) no_restart: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DevZookeeper {
    /// Where it keeps its log
    #[arg(long)]
    pub(crate) data_dir: PathBuf,
    /// Where it listens
    #[arg(long, value_parser = parse_host_port)]
    pub(crate) listen: (String, u16),
    #[command(flatten)]
    pub(crate) parent: Parent,
}

/// The last `=` divides: names of components may hold one.
fn parse_executors(text: &str) -> Result<(String, u32), String> {
    let (component, executors) = text.rsplit_once('=').ok_or("write COMPONENT=EXECUTORS")?;
    let executors = executors.parse().ok().filter(|executors| *executors > 0);
    let executors = executors.ok_or("the number of executors is a whole number, at least 1")?;
    if component.is_empty() {
        return Err("the component is missing: write COMPONENT=EXECUTORS".to_owned());
    }
    Ok((component.to_owned(), executors))
}

/// The last `=` divides: names of modules hold `::`.
fn parse_level(text: &str) -> Result<(String, String, u32), String> {
    let (logger, level) = text.rsplit_once('=').ok_or("write LOGGER=LEVEL, such as ROOT=DEBUG")?;
    let (level, secs) = match level.split_once(':') {
        Some((level, secs)) => (level, secs.parse().map_err(|_| "after ':' stands a number of seconds")?),
        None => (level, 0),
    };
    if level.is_empty() {
        return Err("the level is missing; --remove LOGGER takes one back".to_owned());
    }
    Ok((logger.to_owned(), level.to_owned(), secs))
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "the share of tuples is a number from 0 to 100".to_owned())
}

fn parse_host_port(text: &str) -> Result<(String, u16), String> {
    let divided = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let (host, port) = divided.ok_or("write HOST:PORT")?;
    let port = port.parse().ok().filter(|port| *port > 0);
    Ok((host.to_owned(), port.ok_or("the port is a number from 1 to 65535")?))
}

/// The command line as clap knows it, for parsing and for completions.
pub(crate) fn cli() -> clap::Command {
    Cli::command().mut_subcommands(Common::augment_args)
}

/// Why there is nothing to run.
#[derive(Debug)]
pub(crate) struct Stop {
    error: clap::Error,
    is_json: bool,
}

impl Stop {
    /// Prints help, version or what is wrong.
    pub(crate) fn end(self) -> ExitCode {
        let Stop { error, is_json } = self;
        let is_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        if is_asked_for || !is_json {
            error.print().ok();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
        output::fail(&usage_error(&error), true)
    }
}

/// The words of clap, as one of our errors.
fn usage_error(error: &clap::Error) -> CallError {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n");
    let message = paragraphs.next().unwrap_or_default().trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let hints = paragraphs.filter_map(|paragraph| {
        let paragraph = paragraph.trim();
        let hint = paragraph.strip_prefix("tip: ").or_else(|| paragraph.strip_prefix("For more "));
        hint.map(|_| paragraph.strip_prefix("tip: ").unwrap_or(paragraph))
    });
    CallError::usage(message).advise(hints.collect::<Vec<_>>().join("; "))
}

/// Reads a command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Stop> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Whoever wants JSON wants it all the more when the rest cannot be read.
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let is_json = ours.clone().any(|argument| argument == "--json");
    let stop = |error| Stop { error, is_json };
    let matches = cli().try_get_matches_from(&arguments).map_err(stop)?;
    let before = Common::from_arg_matches(&matches).map_err(stop)?;
    let after = matches.subcommand().map(|(_, after): (_, &ArgMatches)| Common::from_arg_matches(after));
    let after = after.transpose().map_err(stop)?.unwrap_or_default();
    let Cli { command, .. } = Cli::from_arg_matches(&matches).map_err(stop)?;
    let set = before.set.into_iter().chain(after.set).collect();
    let common = Common { config: after.config.or(before.config), set, json: before.json || after.json };
    Ok(Parsed { common, command })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn check(line: &str, expected: Expect) {
        let parsed = parse(words(line));
        let text = match parsed {
            Ok(parsed) => format!("{:?}\n{:?}\n", parsed.common, parsed.command),
            Err(stop) => format!("{:?}\n", usage_error(&stop.error)),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn clap_finds_nothing_wrong() {
        cli().debug_assert();
    }

    #[test]
    fn common_options_stand_on_both_sides() {
        check(
            "storm-rs --config a -c x=1 list --json -c y=2",
            expect![[r#"
            Common { config: Some("a"), set: ["x=1", "y=2"], json: true }
            List
        "#]],
        );
    }

    #[test]
    fn what_follows_two_dashes_is_the_topologys() {
        check(
            "storm-rs submit bin --name n -c topology.workers=2 --wait -- -c x --json",
            expect![[r#"
            Common { config: None, set: ["topology.workers=2"], json: false }
            Submit(Submit { binary: "bin", name: Some("n"), conf: None, inactive: false, wait: Wait { wait: true, timeout: 120 }, arguments: ["-c", "x", "--json"] })
        "#]],
        );
    }

    #[test]
    fn a_rebalance_takes_executors_by_component() {
        check(
            "storm-rs rebalance -n 3 -e a=b=2 -e c=1 -w 5 --dry-run",
            expect![[r#"
            Common { config: None, set: [], json: false }
            Rebalance(Rebalance { name: None, wait_secs: Some(5), workers: Some(3), executors: [("a=b", 2), ("c", 1)], dry_run: true, wait: Wait { wait: false, timeout: 120 } })
        "#]],
        );
        check(
            "storm-rs rebalance x -e a=0",
            expect![[r#"
            CallError { code: Usage, message: "invalid value 'a=0' for '--executors <COMPONENT=EXECUTORS>': the number of executors is a whole number, at least 1", advice: "For more information, try '--help'." }
        "#]],
        );
        check(
            "storm-rs rebalance x -n 0",
            expect![[r#"
            CallError { code: Usage, message: "invalid value '0' for '--workers <WORKERS>': 0 is not in 1..=4294967295", advice: "For more information, try '--help'." }
        "#]],
        );
    }

    #[test]
    fn places_have_a_port() {
        check(
            "storm-rs restart-worker ::1:6700",
            expect![[r#"
            Common { config: None, set: [], json: false }
            RestartWorker(RestartWorker { place: ("::1", 6700), wait: Wait { wait: false, timeout: 120 } })
        "#]],
        );
        check(
            "storm-rs restart-worker host",
            expect![[r#"
            CallError { code: Usage, message: "invalid value 'host' for '<HOST:PORT>': write HOST:PORT", advice: "For more information, try '--help'." }
        "#]],
        );
    }

    #[test]
    fn levels_have_a_logger_and_perhaps_an_end() {
        check(
            "storm-rs log-level x a::b=DEBUG ROOT=WARN:60 -r c",
            expect![[r#"
            Common { config: None, set: [], json: false }
            LogLevel(LogLevel { name: "x", levels: [("a::b", "DEBUG", 0), ("ROOT", "WARN", 60)], remove: ["c"] })
        "#]],
        );
        check(
            "storm-rs log-level x a=DEBUG:soon",
            expect![[r#"
            CallError { code: Usage, message: "invalid value 'a=DEBUG:soon' for '[LOGGER=LEVEL[:SECS]]...': after ':' stands a number of seconds", advice: "For more information, try '--help'." }
        "#]],
        );
    }

    #[test]
    fn a_share_of_tuples_has_a_default() {
        check(
            "storm-rs debug x split --enable",
            expect![[r#"
            Common { config: None, set: [], json: false }
            Debug(Debug { name: "x", component: Some("split"), enable: Some(10.0), disable: false })
        "#]],
        );
        check(
            "storm-rs debug x --enable 2.5%",
            expect![[r#"
            Common { config: None, set: [], json: false }
            Debug(Debug { name: "x", component: None, enable: Some(2.5), disable: false })
        "#]],
        );
        check(
            "storm-rs debug x --enable 101",
            expect![[r#"
            CallError { code: Usage, message: "invalid value '101' for '--enable [<PERCENT>]': the share of tuples is a number from 0 to 100", advice: "For more information, try '--help'." }
        "#]],
        );
    }

    #[test]
    fn a_slip_gets_a_hint() {
        check(
            "storm-rs lst",
            expect![[r#"
            CallError { code: Usage, message: "unrecognized subcommand 'lst'", advice: "a similar subcommand exists: 'list'; For more information, try '--help'." }
        "#]],
        );
        check(
            "storm-rs kill",
            expect![[r#"
            CallError { code: Usage, message: "the following required arguments were not provided:\n  <NAME>", advice: "For more information, try '--help'." }
        "#]],
        );
        check(
            "storm-rs submit bin --timeout 3",
            expect![[r#"
            CallError { code: Usage, message: "the following required arguments were not provided:\n  --wait", advice: "For more information, try '--help'." }
        "#]],
        );
    }
}
