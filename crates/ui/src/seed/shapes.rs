//! Topologies as people write them: from a chain of four to a graph with branches that meet again.

use storm_model::{ComponentKind, ComponentSpec, Fields, GroupingSpec, InputSpec, StreamSpec, TopologySpec};

/// A topology's name and what it is made of.
pub(super) struct Shape {
    pub(super) name: &'static str,
    parts: &'static [Part],
}

/// A component: its id, its share of the executors, its streams and what it subscribes to.
struct Part {
    id: &'static str,
    weight: u32,
    outputs: &'static [(&'static str, &'static [&'static str])],
    inputs: &'static [(&'static str, &'static str, Grouping)],
}

enum Grouping {
    Shuffle,
    LocalOrShuffle,
    Fields(&'static [&'static str]),
    PartialKey(&'static [&'static str]),
    All,
    Global,
    None,
    Direct,
    Custom(&'static str),
}
use Grouping::{
    All, Custom, Direct, Fields as ByFields, Global, LocalOrShuffle, None as Any, PartialKey, Shuffle,
};

const fn part(
    id: &'static str,
    weight: u32,
    outputs: &'static [(&'static str, &'static [&'static str])],
    inputs: &'static [(&'static str, &'static str, Grouping)],
) -> Part {
    Part { id, weight, outputs, inputs }
}

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "word-count",
        parts: &[
            part("sentences", 2, &[("default", &["sentence"])], &[]),
            part("split", 3, &[("default", &["word"])], &[("sentences", "default", Shuffle)]),
            part(
                "count",
                4,
                &[("default", &["word", "count"])],
                &[("split", "default", ByFields(&["word"]))],
            ),
            part("report", 1, &[], &[("count", "default", Global)]),
        ],
    },
    Shape {
        name: "fraud-detection",
        parts: &[
            part("payments", 2, &[("default", &["user", "amount", "shop"])], &[]),
            part("logins", 1, &[("default", &["user", "address"])], &[]),
            part(
                "parse-payments",
                2,
                &[("default", &["user", "amount", "shop"]), ("malformed", &["line", "reason"])],
                &[("payments", "default", LocalOrShuffle)],
            ),
            part(
                "parse-logins",
                1,
                &[("default", &["user", "address"])],
                &[("logins", "default", LocalOrShuffle)],
            ),
            part(
                "enrich",
                3,
                &[("default", &["user", "event", "profile"])],
                &[
                    ("parse-payments", "default", ByFields(&["user"])),
                    ("parse-logins", "default", ByFields(&["user"])),
                ],
            ),
            part("rules", 2, &[("default", &["user", "score"])], &[("enrich", "default", Shuffle)]),
            part(
                "model",
                4,
                &[("default", &["user", "score"])],
                &[("enrich", "default", PartialKey(&["user"]))],
            ),
            part("limits", 1, &[("updates", &["rule", "limit"])], &[("parse-payments", "default", Any)]),
            part(
                "decide",
                2,
                &[("alarms", &["user", "reason"]), ("decisions", &["user", "decision"])],
                &[
                    ("rules", "default", ByFields(&["user"])),
                    ("model", "default", ByFields(&["user"])),
                    ("limits", "updates", All),
                ],
            ),
            part("alarms", 1, &[], &[("decide", "alarms", Global)]),
            part(
                "archive",
                2,
                &[],
                &[("decide", "decisions", Shuffle), ("parse-payments", "malformed", Shuffle)],
            ),
        ],
    },
    Shape {
        name: "nightly-report",
        parts: &[
            part("orders", 1, &[("default", &["order"])], &[]),
            part(
                "sum",
                2,
                &[("default", &["country", "sum"])],
                &[("orders", "default", ByFields(&["order"]))],
            ),
            part("write", 1, &[], &[("sum", "default", Global)]),
        ],
    },
    Shape {
        name: "click-sessions",
        parts: &[
            part("clicks", 3, &[("default", &["visitor", "page"])], &[]),
            part("robots", 2, &[("people", &["visitor", "page"])], &[("clicks", "default", Shuffle)]),
            part(
                "sessions",
                4,
                &[("default", &["visitor", "pages"])],
                &[("robots", "people", ByFields(&["visitor"]))],
            ),
            part(
                "top-pages",
                2,
                &[("default", &["page", "rank"])],
                &[("robots", "people", ByFields(&["page"]))],
            ),
            part(
                "store",
                2,
                &[],
                &[("sessions", "default", LocalOrShuffle), ("top-pages", "default", LocalOrShuffle)],
            ),
        ],
    },
    Shape {
        name: "sensor-alerts",
        parts: &[
            part("readings", 2, &[("default", &["sensor", "value"])], &[]),
            part(
                "window",
                3,
                &[("routed", &["sensor", "mean"])],
                &[("readings", "default", Custom("by-region"))],
            ),
            part("threshold", 2, &[("default", &["sensor", "alert"])], &[("window", "routed", Direct)]),
            part("notify", 1, &[], &[("threshold", "default", Global)]),
        ],
    },
];

impl Shape {
    /// The topology with about so many executors; every third component that is not a spout has two
    /// tasks for an executor.
    pub(super) fn spec(&self, executors: u32) -> TopologySpec {
        let weights: u32 = self.parts.iter().map(|part| part.weight).sum();
        let component = |(place, part): (usize, &Part)| {
            let kind = if part.inputs.is_empty() { ComponentKind::Spout } else { ComponentKind::Bolt };
            let executors = (part.weight * executors).div_ceil(weights).max(1);
            let doubled = kind == ComponentKind::Bolt && place % 3 == 2;
            let spec = ComponentSpec {
                kind,
                executors,
                tasks: if doubled { executors * 2 } else { executors },
                tasks_fixed: doubled,
                outputs: part.outputs.iter().map(stream).collect(),
                inputs: part.inputs.iter().map(input).collect(),
                config: Default::default(),
            };
            (part.id.into(), spec)
        };
        let components = self.parts.iter().enumerate().map(component).collect();
        TopologySpec { components, config: Default::default() }
    }
}

fn stream((id, fields): &(&'static str, &'static [&'static str])) -> StreamSpec {
    StreamSpec { id: (*id).into(), fields: Fields::new(*fields), direct: *id == "routed" }
}

fn input((component, stream, grouping): &(&'static str, &'static str, Grouping)) -> InputSpec {
    let grouping = match grouping {
        Shuffle => GroupingSpec::Shuffle,
        LocalOrShuffle => GroupingSpec::LocalOrShuffle,
        ByFields(fields) => GroupingSpec::Fields(Fields::new(*fields)),
        PartialKey(fields) => GroupingSpec::PartialKey(Fields::new(*fields)),
        All => GroupingSpec::All,
        Global => GroupingSpec::Global,
        Any => GroupingSpec::None,
        Direct => GroupingSpec::Direct,
        Custom(name) => GroupingSpec::Custom((*name).to_owned()),
    };
    InputSpec { component: (*component).into(), stream: (*stream).into(), grouping }
}
