//! What workers report, as metrics.

use storm_figures::metrics::{self, Metric};
use storm_figures::{ExecutorSnapshot, MetricValue, Snapshot, TaskSnapshot};
use storm_model::ComponentKind;

use crate::capacities::Capacities;
use crate::page::Page;

impl Page {
    /// Adds what workers reported, each with the name of its topology. Of a task that stands in several
    /// reports the last one counts.
    ///
    /// It has all of [`metrics::ALL`] but [`metrics::ERRORS`], which no snapshot has.
    pub fn topologies<'a>(
        &mut self,
        reports: impl IntoIterator<Item = (&'a str, &'a Snapshot)>,
        capacities: &mut Capacities,
    ) {
        for (topology, snapshot) in reports {
            for executor in &snapshot.executors {
                self.executor(topology, executor);
                if executor.kind == ComponentKind::Bolt
                    && let Some(capacity) = capacities.observe(topology, executor)
                {
                    let name = executor.executor.to_string();
                    self.number(
                        &metrics::CAPACITY,
                        &[topology, executor.component.as_str(), &name],
                        capacity,
                    );
                }
            }
        }
        capacities.end_round();
    }

    fn executor(&mut self, topology: &str, executor: &ExecutorSnapshot) {
        let name = executor.executor.to_string();
        let labels = [topology, executor.component.as_str(), name.as_str()];
        self.number(&metrics::UPTIME, &labels, executor.uptime.as_secs_f64());
        self.number(&metrics::BUSY, &labels, executor.busy.as_secs_f64());
        match executor.kind {
            ComponentKind::Spout => self.count(&metrics::LATE_ACKS, &labels, executor.late_acks),
            ComponentKind::Bolt => {
                let (window, used) = (executor.window_rows.max(0) as f64, executor.credit_out.max(0) as f64);
                self.count(&metrics::DROPPED, &labels, executor.dropped);
                self.latency(&metrics::QUEUE_LATENCY, &labels, &executor.queue_latency);
                self.number(&metrics::QUEUE_WINDOW, &labels, window);
                self.number(&metrics::QUEUE_USED, &labels, used);
                self.number(&metrics::QUEUE_FILL, &labels, used / window.max(1.0));
            }
        }
        for task in &executor.tasks {
            self.task(topology, executor, task);
        }
    }

    fn task(&mut self, topology: &str, executor: &ExecutorSnapshot, task: &TaskSnapshot) {
        let (component, id) = (executor.component.as_str(), task.task.to_string());
        let labels = [topology, component, id.as_str()];
        self.count(&metrics::LIVES, &labels, task.incarnation);
        match executor.kind {
            ComponentKind::Spout => {
                self.count(&metrics::TRACKED, &labels, task.tracked);
                self.count(&metrics::LOST, &labels, task.lost);
                self.count(&metrics::REPLAYED, &labels, task.replayed);
                self.count(&metrics::PENDING, &labels, task.pending);
            }
            ComponentKind::Bolt => {
                let oldest = task.oldest_retained_ns as f64 / 1e9;
                self.count(&metrics::RETAINED, &labels, task.retained);
                self.number(&metrics::OLDEST_RETAINED, &labels, oldest);
            }
        }
        for stream in &task.streams {
            let name = stream.stream.as_str();
            let labels = [topology, component, &id, name];
            self.count(&metrics::EMITTED, &labels, stream.emitted);
            self.count(&metrics::TRANSFERRED, &labels, stream.transferred());
            if executor.kind == ComponentKind::Spout {
                let with_source = [topology, component, &id, "", name];
                self.count(&metrics::ACKED, &with_source, stream.acked);
                self.count(&metrics::FAILED, &with_source, stream.failed);
                self.latency(&metrics::COMPLETE_LATENCY, &labels, &stream.complete_latency);
            }
        }
        for input in &task.inputs {
            let labels = [topology, component, &id, input.component.as_str(), input.stream.as_str()];
            self.count(&metrics::EXECUTED, &labels, input.executed);
            self.count(&metrics::ACKED, &labels, input.acked);
            self.count(&metrics::FAILED, &labels, input.failed);
            self.latency(&metrics::EXECUTE_LATENCY, &labels, &input.execute_latency);
            self.latency(&metrics::PROCESS_LATENCY, &labels, &input.process_latency);
        }
        for metric in &task.metrics {
            let labels = [topology, component, &id, metric.name.as_str()];
            match &metric.value {
                MetricValue::Counter(count) => self.count(&metrics::USER_COUNTER, &labels, *count),
                MetricValue::Gauge(number) => self.number(&metrics::USER_GAUGE, &labels, *number),
                MetricValue::Histogram(numbers) => {
                    self.distribution(&metrics::USER_HISTOGRAM, &labels, numbers);
                }
            }
        }
    }

    /// Adds an amount for each of the states that there are, so that none is missing.
    pub fn by_state<'a>(
        &mut self,
        metric: &'static Metric,
        states: impl IntoIterator<Item = &'a str>,
        amount: impl Fn(&str) -> usize,
    ) {
        for state in states {
            self.number(metric, &[state], amount(state) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use storm_figures::{Distribution, EdgeCount, InputCount, Latency, StreamCount, UserMetric};
    use storm_model::{ExecutorId, TaskId};

    use super::*;
    use crate::page::Format;

    fn latency() -> Latency {
        let mut latency = Latency::default();
        latency.record(Duration::from_millis(2));
        latency
    }

    fn executor(component: &str, kind: ComponentKind, id: u32) -> ExecutorSnapshot {
        let task = TaskId(id);
        let stream = StreamCount {
            emitted: 10,
            acked: 4,
            failed: 1,
            edges: vec![EdgeCount { component: "count".into(), transferred: 20 }],
            complete_latency: latency(),
            ..StreamCount::new("default".into())
        };
        let input = InputCount {
            component: "lines".into(),
            stream: "default".into(),
            executed: 30_000,
            acked: 29_999,
            failed: 1,
            execute_latency: latency(),
            process_latency: latency(),
        };
        let mut numbers = Distribution::default();
        numbers.record(5.0);
        let metric = |name: &str, value| UserMetric { name: name.to_owned(), value };
        ExecutorSnapshot {
            tasks: vec![TaskSnapshot {
                streams: vec![stream],
                inputs: if kind == ComponentKind::Bolt { vec![input] } else { vec![] },
                tracked: 10,
                pending: 5,
                metrics: vec![
                    metric("hits", MetricValue::Counter(3)),
                    metric("depth", MetricValue::Gauge(1.5)),
                    metric("sizes", MetricValue::Histogram(numbers)),
                ],
                ..TaskSnapshot::new(task)
            }],
            queue_latency: latency(),
            window_rows: 100,
            credit_out: 50,
            uptime: Duration::from_secs(120),
            busy: Duration::from_secs(70),
            ..ExecutorSnapshot::new(component.into(), kind, ExecutorId { first: task, last: task })
        }
    }

    fn words() -> Snapshot {
        let lines = executor("lines", ComponentKind::Spout, 1);
        Snapshot { executors: vec![lines, executor("count", ComponentKind::Bolt, 2)] }
    }

    #[test]
    fn every_metric_of_the_table_but_one_is_there_with_its_labels() {
        let mut page = Page::default();
        page.topologies([("words", &words())], &mut Capacities::default());
        let text = page.text(Format::Plain);
        for metric in metrics::ALL.iter().filter(|metric| **metric != metrics::ERRORS) {
            let is_its = |line: &&str| {
                let rest = line.strip_prefix(metric.name);
                rest.is_some_and(|rest| rest.starts_with(['{', '_']))
            };
            let sample = text.lines().find(is_its).unwrap_or_else(|| panic!("no {}:\n{text}", metric.name));
            let labels = sample.split('{').nth(1).unwrap();
            assert!(metric.labels.iter().all(|label| labels.contains(&format!("{label}=\""))), "{sample}");
        }
    }

    #[test]
    fn values_are_those_of_the_report() {
        let mut page = Page::default();
        page.topologies([("words", &words())], &mut Capacities::default());
        let text = page.text(Format::Plain);
        for line in [
            r#"storm_acked_tuples_total{topology="words",component="lines",task="1",source="",stream="default"} 4"#,
            r#"storm_executed_tuples_total{topology="words",component="count",task="2",source="lines",stream="default"} 30000"#,
            r#"storm_transferred_tuples_total{topology="words",component="count",task="2",stream="default"} 20"#,
            r#"storm_queue_fill_ratio{topology="words",component="count",executor="[2-2]"} 0.5"#,
            // 30,000 × 2 ms are 60 s of 120 s.
            r#"storm_capacity_ratio{topology="words",component="count",executor="[2-2]"} 0.5"#,
            r#"storm_user_gauge_value{topology="words",component="lines",task="1",metric="depth"} 1.5"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line}:\n{text}");
        }
    }

    #[test]
    fn a_task_that_two_workers_report_stands_there_once() {
        let (old, mut new) = (words(), words());
        new.executors[0].tasks[0].pending = 6;
        let mut page = Page::default();
        page.topologies([("words", &old), ("words", &new)], &mut Capacities::default());
        let text = page.text(Format::Plain);
        let pending: Vec<_> = text.lines().filter(|line| line.starts_with("storm_pending_tuples")).collect();
        assert_eq!(pending, [r#"storm_pending_tuples{topology="words",component="lines",task="1"} 6.0"#]);
    }
}
