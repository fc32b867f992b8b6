//! The web pages and the REST interface of a cluster.
//!
//! Modules in reading order: what is configured; what is shown, and whom it is asked of; who may do
//! what; what machines read; what people read.

pub mod options;
pub mod view;
pub mod source;
pub mod seed;
pub mod shared;
pub mod app;
pub mod guard;
pub mod rest;
mod draw;
pub mod pages;
pub mod serve;

pub use app::App;
pub use options::{Authentication, Options, OptionsError};
pub use serve::{Server, UiError, router};
pub use shared::Shared;
pub use source::{Nimbus, Source};
pub use view::{ClusterView, TopologyView};
