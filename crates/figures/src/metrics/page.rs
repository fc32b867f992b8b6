//! Renders the tables of metrics as `docs/metrics.md`.

use std::fmt::Write;

use super::{ALL, DAEMON, Metric, PROCESS};

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

const TOPOLOGIES: &str = "
## Topologies

Each supervisor shows the newest figures of the workers that it hosts, so sums over all supervisors \
are those of the topology.
";

const DAEMONS: &str = "
## Daemons

What concerns the cluster as a whole, the Nimbus that leads shows alone; the others are without it.
";

const PROCESSES: &str = "
## Processes

Every daemon shows what its process uses, under the names that Prometheus has given to that.
";

const PROMETHEUS: &str = "
## Prometheus

Every daemon shows its metrics at `/metrics`, as plain text or as OpenMetrics, whichever the client accepts.

| daemon | key of the port | default |
|---|---|---|
| Nimbus | `nimbus.metrics.port` | 9627 |
| supervisor | `supervisor.metrics.port` | 9628 |
| pages and REST | `ui.port` | 8080 |

They listen on `storm.bind.address` (the pages on `ui.host`): 127.0.0.1 unless told otherwise.
0 switches those of Nimbus and supervisors off.
Where a default port is taken, the daemon says so in its log and goes on without; \
a port that was asked for has to be free.
Several supervisors on one machine need a port each; \
`storm-rs dev` chooses them and prints the address of Nimbus' metrics.

In `prometheus.yml`:

```yaml
scrape_configs:
  - job_name: storm
    scrape_interval: 15s
    static_configs:
      - targets: ['nimbus-1:9627', 'nimbus-2:9627']
      - targets: ['worker-1:9628', 'worker-2:9628', 'worker-3:9628']
rule_files:
  - alerts.yml
```

[alerts.yml](alerts.yml) has rules for what somebody should look at, and \
[grafana/storm-rs.json](grafana/storm-rs.json) is a dashboard for Grafana; \
both expect the job to be called `storm`.

Histograms of times have two limits for each power of ten from 1 µs to 30 s, \
those of your own code one from a millionth to a billion.
Quantiles from them are estimates between two limits; those on the pages are exact to a sixteenth.

`storm_capacity_ratio` covers the ten minutes before a scrape, as far as scrapes have seen them.
Of an executor that is older than that it appears with the second scrape after a start of its supervisor.
";

/// The documentation of every metric in Markdown.
pub fn docs() -> String {
    let mut page = HEAD.to_owned() + TOPOLOGIES;
    page += "\n| shown as | metric | kind | in Storm | labels | meaning |\n|---|---|---|---|---|---|\n";
    for metric @ Metric { title, name, storm, kind, help, .. } in ALL {
        let storm = storm.map(|storm| format!("`{storm}`")).unwrap_or_default();
        let (kind, labels) = (kind.word(), labels(metric));
        row(&mut page, format_args!("{title} | `{name}` | {kind} | {storm} | {labels} | {help}"));
    }
    for (head, table) in [(DAEMONS, DAEMON), (PROCESSES, PROCESS)] {
        page += head;
        page += "\n| metric | kind | labels | meaning |\n|---|---|---|---|\n";
        for metric @ Metric { name, kind, help, .. } in table {
            let (kind, labels) = (kind.word(), labels(metric));
            row(&mut page, format_args!("`{name}` | {kind} | {labels} | {help}"));
        }
    }
    page + PROMETHEUS
}

fn labels(metric: &Metric) -> String {
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    labels.join(" ")
}

fn row(page: &mut String, cells: std::fmt::Arguments<'_>) {
    writeln!(page, "| {cells} |").expect("writing to a string cannot fail");
}
