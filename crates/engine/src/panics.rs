//! Panics of user code: caught per call, with message and place.
//!
//! A hook around the process' own takes note of the place while user code runs on an executor, and
//! keeps those panics off stderr: they are reported with component and task. Panics elsewhere go
//! to the hook that was there before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use storm_topology::ComponentError;

thread_local! {
    static IN_USER_CODE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic of user code.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panic {
    /// What it said.
    pub(crate) message: String,
    /// File, line and column.
    pub(crate) place: String,
}

impl std::fmt::Display for Panic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked at {}: {}", self.place, self.message)
    }
}

impl std::error::Error for Panic {}

/// Runs user code; a panic in it comes back as an error.
#[inline]
pub(crate) fn guard<R>(user_code: impl FnOnce() -> R) -> Result<R, Panic> {
    let outer = IN_USER_CODE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(user_code));
    IN_USER_CODE.set(outer);
    result.map_err(|payload| note(&payload))
}

/// What an error and its causes say. Its `Display` is user code, too.
pub(crate) fn text_of(error: &ComponentError) -> String {
    guard(|| error.chain()).unwrap_or_else(|panic| format!("an error that could not be written out: {panic}"))
}

/// Runs user code whose panic nobody can use, such as the destructor of an instance that has
/// panicked before.
pub(crate) fn forgive(user_code: impl FnOnce()) {
    if let Err(panic) = guard(user_code) {
        tracing::debug!(%panic, "panic while a task was taken down");
    }
}

/// Drops things of users, each for itself: two destructors that panic in one unwinding would abort
/// the process.
pub(crate) fn forgive_drops<T>(things: impl Iterator<Item = T>) {
    things.for_each(|thing| forgive(|| drop(thing)));
}

#[cold]
fn note(payload: &Box<dyn Any + Send>) -> Panic {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
    Panic {
        message: message.unwrap_or_else(|| "a payload that is not text".to_owned()),
        place: PLACE.take().unwrap_or_else(|| "an unknown place".to_owned()),
    }
}

/// Installs the hook, once per process.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if IN_USER_CODE.get() {
                let place = info.location().map(|l| format!("{}:{}:{}", l.file(), l.line(), l.column()));
                PLACE.set(place);
            } else {
                before(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_place_are_kept() {
        install_hook();
        let panic = guard(|| panic!("number {}", 7)).unwrap_err();
        assert_eq!(panic.message, "number 7");
        assert!(panic.place.contains("panics.rs:"), "{}", panic.place);
        assert_eq!(guard(|| 5), Ok(5));
    }
}
