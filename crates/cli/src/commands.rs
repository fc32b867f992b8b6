//! The commands, one file each.

use std::process::ExitCode;

use storm_rpc::CallError;

use crate::args::{Command, Common, Parsed};
use crate::context::Context;
use crate::{daemons, dev, interrupt, output};

mod wait;
mod submit;
mod describe;
mod list;
mod status;
mod kill;
mod switch;
mod rebalance;
mod logs;
mod errors;
mod restart_worker;
mod log_level;
mod debug;
mod health;
mod make_secret;
mod config;
mod version;

/// Runs a command.
pub(crate) fn run(parsed: Parsed) -> Result<ExitCode, CallError> {
    let Parsed { common, command } = parsed;
    let is_json = common.json;
    match command {
        Command::Submit(args) => done(block_on(submit::run(&common, &args))),
        Command::Describe(args) => done(block_on(describe::run(&common, &args))),
        Command::List => done(block_on(list::run(&load(&common)?))),
        Command::Status(args) => done(block_on(status::run(&load(&common)?, &args))),
        Command::Kill(args) => done(block_on(kill::run(&load(&common)?, &args))),
        Command::Activate(args) => done(block_on(switch::run(&load(&common)?, &args, true))),
        Command::Deactivate(args) => done(block_on(switch::run(&load(&common)?, &args, false))),
        Command::Rebalance(args) => done(block_on(rebalance::run(&load(&common)?, &args))),
        Command::Logs(args) => done(block_on(logs::run(&load(&common)?, &args))),
        Command::Errors(args) => done(block_on(errors::run(&load(&common)?, &args))),
        Command::RestartWorker(args) => done(block_on(restart_worker::run(&load(&common)?, &args))),
        Command::LogLevel(args) => done(block_on(log_level::run(&load(&common)?, &args))),
        Command::Debug(args) => done(block_on(debug::run(&load(&common)?, &args))),
        Command::Health(args) => block_on(health::run(&load(&common)?, &args)),
        Command::MakeSecret(args) => done(make_secret::run(&load(&common)?, &args)),
        Command::Config(args) => {
            config::run(&load(&common)?, &args);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut crate::args::cli(), "storm-rs", &mut script);
            output::raw(&script);
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            version::run(is_json);
            Ok(ExitCode::SUCCESS)
        }
        Command::Nimbus(args) => done(daemons::nimbus(&load(&common)?, args.parent)),
        Command::Ui(args) => done(daemons::ui(&load(&common)?, args.parent)),
        Command::Supervisor(args) => done(daemons::supervisor(&load(&common)?, &args)),
        Command::Dev(args) => done(dev::run(&common, &args)),
        Command::DevZookeeper(args) => done(daemons::dev_zookeeper(&args)),
    }
}

fn load(common: &Common) -> Result<Context, CallError> {
    Context::load(common)
}

fn done(result: Result<(), CallError>) -> Result<ExitCode, CallError> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Runs a command's future on this thread.
fn block_on<T>(future: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CallError::other(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        tokio::select! {
            result = future => Ok(result),
            // What the command has started ends as it is dropped.
            told = interrupt::told_to_end() => Err(told),
        }
    });
    // A file that is still being read for a call that failed is nobody's business any more.
    runtime.shutdown_background();
    match ended {
        Ok(result) => result,
        Err(Ok(code)) => std::process::exit(code.into()),
        Err(Err(error)) => Err(CallError::other(format!("cannot handle signals: {error}"))),
    }
}

/// Prints that a command was accepted.
fn accepted(context: &Context, reply: storm_rpc::v1::CommandReply, what: &str) {
    if context.is_json {
        output::json(&output::json::Accepted { id: reply.topology_id, notes: reply.notes });
        return;
    }
    output::line(what);
    for note in reply.notes {
        output::note(&note);
    }
}
