//! How a topology went lately: a point for every few seconds, for sparklines.

mod recorder;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latency::Latency;
pub(crate) use recorder::{Gain, Recorder, recent, trend};

/// The last 30 minutes of a topology, in spans that are over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Time between two points.
    pub span: Duration,
    /// Oldest first. One where nothing was reported is there all the same.
    pub points: Vec<TrendPoint>,
}

/// What happened in one span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrendPoint {
    /// Tuples that spouts emitted.
    pub emitted: u64,
    /// Rows that all components sent.
    pub transferred: u64,
    /// Trees acked.
    pub acked: u64,
    /// Trees failed.
    pub failed: u64,
    /// Trees pending at its end.
    pub pending: u64,
    /// Median of the complete latency; none where nothing was acked.
    pub p50: Option<Duration>,
    /// Its 99th percentile.
    pub p99: Option<Duration>,
}

impl Trend {
    /// Points that a trend has: 30 minutes.
    pub const POINTS: usize = 180;
    /// Time between two points.
    pub const SPAN: Duration = Duration::from_secs(10);
}

/// The last ten minutes of a topology, to within a point of its trend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// Tuples that spouts emitted.
    pub emitted: u64,
    /// Rows that all components sent.
    pub transferred: u64,
    /// Trees acked.
    pub acked: u64,
    /// Trees failed.
    pub failed: u64,
    /// Trees pending now.
    pub pending: u64,
    /// From the emit of a root to the ack of its tree.
    pub complete_latency: Latency,
    /// Tuples that spouts emitted a second in each minute of the trend, oldest first.
    pub rates: Vec<f64>,
}

impl Recent {
    /// Time that a rate is over.
    pub const RATE_SPAN: Duration = Duration::from_secs(60);
}
