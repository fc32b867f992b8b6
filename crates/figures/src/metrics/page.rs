//! Renders the table of metrics as `docs/metrics.md`.

use std::fmt::Write;

use super::{ALL, Metric};

const HEAD: &str = "\
# Metrics

Figures have Storm's names where Storm has them; the pages and the REST interface show them under those.
The second column has their names for Prometheus, the first what tables show.
Counts are exact, not sampled; times are histograms, so that there are quantiles beside Storm's averages.

Counters and histograms begin again when their executor starts anew, on this worker or on another.
The windows that are shown to people (10 minutes, 3 hours, 1 day, all time) go on over that.

Labels: `executor` is the range of its tasks, as `[3-4]`.
`source` is the component that an input comes from; with a spout it is empty, and `stream` is its own.
`metric` is the name that your code gave to `counter`, `gauge` or `histogram` of its `TaskContext`.
";

/// The documentation of every metric in Markdown.
pub fn docs() -> String {
    let mut page = HEAD.to_owned();
    page += "\n| shown as | metric | kind | in Storm | labels | meaning |\n|---|---|---|---|---|---|\n";
    for Metric { title, name, storm, kind, labels, help, .. } in ALL {
        let kind = kind.word();
        let storm = storm.map(|storm| format!("`{storm}`")).unwrap_or_default();
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(" ");
        writeln!(page, "| {title} | `{name}` | {kind} | {storm} | {labels} | {help} |")
            .expect("writing to a string cannot fail");
    }
    page
}
