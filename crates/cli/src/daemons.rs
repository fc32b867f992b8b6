//! The daemons: configuration in, the life of a process around them.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use storm_dev_zookeeper::Server;
use storm_logs::{Limit, RollingFile};
use storm_rpc::CallError;
use storm_rpc::client::Token;
use storm_rpc::nimbus_client::Patience;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::args::{self, DevZookeeper, Parent};
use crate::context::Context;

/// A supervisor ends its workers within 8 s.
const END_WITHIN: Duration = Duration::from_secs(9);

/// How long a page waits for a new leader.
const PAGE_WAITS: Duration = Duration::from_secs(3);

/// Done when a daemon has to end.
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs Nimbus until SIGTERM or SIGINT.
pub(crate) fn nimbus(context: &Context, parent: Parent) -> Result<(), CallError> {
    start(parent, Some(log_path(context, "nimbus")))?;
    tell_notes(context);
    let failed = |error: storm_nimbus::NimbusError| CallError::other(error.to_string());
    let options = storm_nimbus::Options::from_config(&context.config, context.secret()?).map_err(failed)?;
    let bind = context.bind_address().to_owned();
    let options = storm_nimbus::Options { host: context.host(), bind, ..options };
    run(|end| async { storm_nimbus::run(options, end).await.map_err(failed) })
}

/// Runs a supervisor until SIGTERM or SIGINT.
pub(crate) fn supervisor(context: &Context, args: &args::Supervisor) -> Result<(), CallError> {
    start(args.parent, Some(log_path(context, "supervisor")))?;
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

/// Serves the pages until SIGTERM or SIGINT.
pub(crate) fn ui(context: &Context, parent: Parent) -> Result<(), CallError> {
    start(parent, Some(log_path(context, "ui")))?;
    tell_notes(context);
    let failed = |error: String| CallError::other(error);
    let options =
        storm_ui::Options::from_config(&context.config).map_err(|e| CallError::invalid(e.to_string()))?;
    let token = Token::daemon(&context.secret()?);
    run(|end| async {
        // Who looks at a page is told soon what is wrong; the page asks again by itself.
        let nimbuses = context.patient_nimbuses(Patience { unheard: Duration::ZERO, heard: PAGE_WAITS })?;
        let app = storm_ui::App::new(storm_ui::Shared::new(storm_ui::Nimbus::new(nimbuses, token)), options);
        let server = storm_ui::Server::bind(&app).await.map_err(|e| failed(e.to_string()))?;
        tracing::info!(address = %server.address(), "the pages are served");
        server.serve(app, end).await.map_err(|e| failed(e.to_string()))
    })
}

/// Runs the embedded ZooKeeper server until SIGTERM or SIGINT.
pub(crate) fn dev_zookeeper(args: &DevZookeeper) -> Result<(), CallError> {
    start(args.parent, None)?;
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

/// Ties the process to its parent, and sends its log to stderr and into a file.
fn start(parent: Parent, log: Option<PathBuf>) -> Result<(), CallError> {
    if let Some(parent) = parent.parent {
        let failed = |error: nix::Error| CallError::other(format!("cannot be tied to the parent: {error}"));
        prctl::set_pdeathsig(Signal::SIGTERM).map_err(failed)?;
        if nix::unistd::getppid().as_raw() != parent {
            return Err(CallError::other("the parent has ended already"));
        }
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (file, problem) = match log.map(|path| log_file(&path)) {
        Some(Ok(file)) => (file, None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let plain = || fmt::layer().with_ansi(false).fmt_fields(PlainFields(DefaultFields::new()));
    let to_file = file.map(|file| plain().with_writer(Mutex::new(file)));
    let to_stderr = fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    tracing_subscriber::registry().with(filter).with(to_stderr).with(to_file).init();
    if let Some(error) = problem {
        tracing::warn!(%error, "the log goes to stderr alone: its file cannot be written");
    }
    Ok(())
}

/// Fields of the log file. A span keeps its fields as text, once for each type that formats them: with a type of its
/// own the file does not get those that were coloured for a terminal.
struct PlainFields(DefaultFields);

impl<'a> FormatFields<'a> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'a>, fields: R) -> std::fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

/// Where a daemon's log is: `storm.log.dir`, as the daemons' own options have it, too.
fn log_path(context: &Context, name: &str) -> PathBuf {
    let text = |key: &str| context.config.get_str(key).expect("a text with a default");
    Path::new(text("storm.local.dir")).join(text("storm.log.dir")).join(format!("{name}.log"))
}

/// Opens a log file, unless stderr goes there anyway, as it does under `dev`: nothing is to be written twice.
fn log_file(path: &Path) -> io::Result<Option<RollingFile>> {
    let file = RollingFile::open(path.to_owned(), Limit::default())?;
    let log = fs::metadata(path)?;
    // Where nobody has given us a stderr, it is no file.
    let stderr = io::stderr().as_fd().try_clone_to_owned().and_then(|stderr| File::from(stderr).metadata());
    let is_same = stderr.is_ok_and(|stderr| (stderr.dev(), stderr.ino()) == (log.dev(), log.ino()));
    Ok((!is_same).then_some(file))
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
