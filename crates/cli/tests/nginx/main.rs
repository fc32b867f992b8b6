//! What stands behind nginx, as `docs/nginx/` configures it: the pages under a path, with users that nginx
//! knows, and several Nimbuses under one name.
//!
//! Each test starts an nginx of its own on free ports of loopback, as whoever runs the tests, with the very file
//! that people copy. Without nginx or openssl they print a line and pass, unless `STORM_TEST_REQUIRE` contains
//! `nginx`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod front;
mod https;
/// What tests of the pages have, too.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../ui/browser.rs"]
mod browser;
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../ui/http.rs"]
mod http;
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../ui/ui.rs"]
mod ui;
/// What tests of clusters have, too.
#[allow(dead_code, unused_imports, reason = "not all of it is needed here")]
#[path = "../cluster"]
mod shared {
    pub(crate) mod kit;
}
use shared::kit;

mod nimbuses;
mod pages;
