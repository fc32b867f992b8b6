//! Waiting for what other processes do: by looking again and again, never without end, and not beyond
//! Ctrl-C.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::error::Error;

/// Whatever a cluster does has been done by then, on however busy a machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(90);

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and termination signals end what is waited for, so that what was started is ended.
pub(super) fn heed_signals() -> Result<(), Error> {
    let set = ctrlc::set_handler(|| IS_INTERRUPTED.store(true, Ordering::Relaxed));
    set.map_err(|error| Error::Io { doing: "cannot handle signals", source: io::Error::other(error) })
}

/// Whether it was Ctrl-C.
pub(super) fn check() -> Result<(), Error> {
    if IS_INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Looks every `look` until something is seen.
pub(super) fn until<T>(
    what: &str,
    look: Duration,
    mut see: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let begin = Instant::now();
    loop {
        check()?;
        if let Some(seen) = see()? {
            return Ok(seen);
        }
        if begin.elapsed() > DEADLINE {
            return Err(Error::Late { what: what.to_owned(), within: DEADLINE, detail: String::new() });
        }
        thread::park_timeout(look);
    }
}

/// Lets time pass.
pub(super) fn pass(time: Duration) -> Result<(), Error> {
    let begin = Instant::now();
    while let Some(left) = time.checked_sub(begin.elapsed()) {
        check()?;
        thread::park_timeout(left.min(Duration::from_millis(100)));
    }
    Ok(())
}
