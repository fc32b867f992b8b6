//! Every behaviour once more, with executors that share two threads (`topology.executor.threads`):
//! no promise may depend on a thread per executor.

#![allow(clippy::unwrap_used, clippy::type_complexity, unreachable_pub, reason = "helpers of tests")]

#[path = "behaviour/main.rs"]
mod behaviour;

use behaviour::{async_bolts, kit};
