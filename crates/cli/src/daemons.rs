//! The daemons: configuration in, the life of a process around them.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use storm_dev_zookeeper::Server;
use storm_rpc::CallError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::args::{self, DevZookeeper, Parent};
use crate::context::Context;

/// A supervisor ends its workers within 8 s.
const END_WITHIN: Duration = Duration::from_secs(9);

/// Done when a daemon has to end.
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs Nimbus until SIGTERM or SIGINT.
pub(crate) fn nimbus(context: &Context, parent: Parent) -> Result<(), CallError> {
    start(parent)?;
    tell_notes(context);
    let failed = |error: storm_nimbus::NimbusError| CallError::other(error.to_string());
    let options = storm_nimbus::Options::from_config(&context.config, context.secret()?).map_err(failed)?;
    let bind = context.bind_address().to_owned();
    let options = storm_nimbus::Options { host: context.host(), bind, ..options };
    run(|end| async { storm_nimbus::run(options, end).await.map_err(failed) })
}

/// Runs a supervisor until SIGTERM or SIGINT.
pub(crate) fn supervisor(context: &Context, args: &args::Supervisor) -> Result<(), CallError> {
    start(args.parent)?;
    tell_notes(context);
    let failed = |error: storm_supervisor::SupervisorError| CallError::other(error.to_string());
    let options = storm_supervisor::Options {
        host: context.host(),
        bind: context.bind_address().to_owned(),
        secret: context.secret()?,
        nimbus_addresses: context.nimbus_addresses(),
        stop_workers_on_exit: args.stop_workers,
        ..storm_supervisor::Options::from_config(&context.config)
    };
    run(|end| async { storm_supervisor::run(options, end).await.map_err(failed) })
}

/// Runs the embedded ZooKeeper server until SIGTERM or SIGINT.
pub(crate) fn dev_zookeeper(args: &DevZookeeper) -> Result<(), CallError> {
    start(args.parent)?;
    let (host, port) = &args.listen;
    let address: SocketAddr = format!("{host}:{port}")
        .parse()
        .map_err(|error| CallError::usage(format!("--listen {host}:{port}: {error}")))?;
    let options = storm_dev_zookeeper::Options {
        address,
        data_dir: Some(args.data_dir.clone()),
        ..storm_dev_zookeeper::Options::default()
    };
    run(|end| async move {
        let failed = |error: storm_dev_zookeeper::ServerError| CallError::other(error.to_string());
        let server = Server::start(options).await.map_err(failed)?;
        tokio::select! {
            () = end => {}
            () = server.failed() => {}
        }
        server.stop().await.map_err(failed)
    })
}

/// Ties the process to its parent, and sends its log to stderr.
fn start(parent: Parent) -> Result<(), CallError> {
    if let Some(parent) = parent.parent {
        let failed = |error: nix::Error| CallError::other(format!("cannot be tied to the parent: {error}"));
        prctl::set_pdeathsig(Signal::SIGTERM).map_err(failed)?;
        if nix::unistd::getppid().as_raw() != parent {
            return Err(CallError::other("the parent has ended already"));
        }
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    Ok(())
}

fn tell_notes(context: &Context) {
    for note in context.config.notes() {
        tracing::info!(%note, "a key without effect is set");
    }
}

/// Runs a daemon on the threads of tokio until it ends. It is handed what tells it to, and ends
/// [`END_WITHIN`] then in any case: whoever it has to take leave of may be gone.
fn run<F>(daemon: impl FnOnce(BoxFuture) -> F) -> Result<(), CallError>
where
    F: Future<Output = Result<(), CallError>>,
{
    let failed = |error: std::io::Error| CallError::other(format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (end, mut is_ending) = watch::channel(false);
        let told = Box::pin(async move {
            is_ending.wait_for(|is_ending| *is_ending).await.ok();
        });
        let hurry = async {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("ending: SIGTERM"),
                _ = interrupt.recv() => tracing::info!("ending: SIGINT"),
            }
            end.send_replace(true);
            tokio::time::sleep(END_WITHIN).await;
        };
        tokio::select! {
            ended = daemon(told) => ended,
            () = hurry => {
                tracing::warn!("ended before all was in order");
                Ok(())
            }
        }
    });
    runtime.shutdown_background();
    ended
}
