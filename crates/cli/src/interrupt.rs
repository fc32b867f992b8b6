//! Ctrl-C and its like: a command that is told to end takes along what it has started.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that ask a command to end.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Waits until this process is told to end, and gives the exit code that shells expect then. Signals that are
/// ignored since the start of the process, as in the background of a script or under `nohup`, stay so.
///
/// # Errors
/// When signals cannot be handled.
pub(crate) async fn told_to_end() -> io::Result<u8> {
    let ignored = ignored();
    let handler = |of: Signal| match ignored & (1 << (of as u32 - 1)) {
        0 => signal(SignalKind::from_raw(of as i32)).map(Some),
        _ => Ok(None),
    };
    let [mut interrupt, mut terminate, mut hang_up] =
        [handler(SIGNALS[0])?, handler(SIGNALS[1])?, handler(SIGNALS[2])?];
    let told = async |handler: &mut Option<tokio::signal::unix::Signal>| match handler {
        Some(handler) => drop(handler.recv().await),
        None => std::future::pending().await,
    };
    let by = tokio::select! {
        () = told(&mut interrupt) => SIGNALS[0],
        () = told(&mut terminate) => SIGNALS[1],
        () = told(&mut hang_up) => SIGNALS[2],
    };
    Ok(128 + by as u8)
}

/// The signals that are ignored, as a mask: bit 0 is signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
