//! A figure of one round, and what is wanted of it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::rows::Wanted;

/// What a job has found in one round.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Of which row.
    pub(super) name: String,
    /// What stands behind the value.
    pub(super) unit: &'static str,
    /// What is wanted of the row.
    pub(super) wanted: Option<Wanted>,
    pub(super) value: f64,
    /// Share of the machine's CPU time that others used meanwhile.
    pub(super) foreign: f64,
}

impl Figure {
    pub(super) fn new(
        name: impl Into<String>,
        unit: &'static str,
        wanted: Option<Wanted>,
        value: f64,
        foreign: f64,
    ) -> Figure {
        Figure { name: name.into(), unit, wanted, value, foreign }
    }

    /// A time, in seconds.
    pub(super) fn secs(
        name: impl Into<String>,
        wanted: Option<Wanted>,
        time: Duration,
        foreign: f64,
    ) -> Figure {
        Figure::new(name, " s", wanted, time.as_secs_f64(), foreign)
    }

    pub(super) fn to_json(&self) -> Json {
        json!({ "row": self.name, "unit": self.unit, "value": self.value, "foreign": self.foreign })
    }
}

/// That much is required, and that much is the target; or more.
pub(super) const fn at_least(required: f64, target: f64) -> Option<Wanted> {
    Some(Wanted { is_more_better: true, required: Some(required), target: Some(target), stretch: None })
}

/// That much is required, and that much is the target; or less.
pub(super) const fn at_most(required: f64, target: f64) -> Option<Wanted> {
    Some(Wanted { is_more_better: false, required: Some(required), target: Some(target), stretch: None })
}
