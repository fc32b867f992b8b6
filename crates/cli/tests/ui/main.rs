//! The web UI as people and programs use it: in a browser, on a cluster that runs.
//!
//! Each test has a cluster and a browser of its own. Pictures of the pages are left in
//! `target/screenshots/live-*.png`. Without chromium or chromedriver, what needs a browser prints a line and
//! passes, unless `STORM_TEST_REQUIRE` contains `chromium`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod browser;
mod http;
/// What tests of clusters have, too.
#[allow(dead_code, unused_imports, reason = "not all of it is needed here")]
#[path = "../cluster"]
mod shared {
    pub(crate) mod kit;
}
use shared::kit;

mod ui;
mod pages;
mod actions;
mod rest;
mod logs;
mod plain;
mod away;
mod tuning;
mod script;
