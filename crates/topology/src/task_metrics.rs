//! What the code of a task measures: counters, gauges and histograms by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, HistogramFn};
use storm_figures::{Distribution, MetricValue, UserMetric};
use storm_model::system::is_system_name;
use thiserror::Error;

/// The metrics of one task; for engines and test kits, which keep one for all lives of the task.
///
/// A name that was asked for before gives the same metric again, so that a new instance of the task
/// goes on counting where the last one stopped. Handles are cheap to clone and work from any thread;
/// a counter or gauge is one atomic number, a histogram takes a lock that nobody holds for long.
#[derive(Default)]
pub struct TaskMetrics {
    by_name: Mutex<BTreeMap<String, Metric>>,
}

enum Metric {
    Counter(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Recorder>),
}

/// Why a task cannot have a metric.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are the words of the message")]
pub enum MetricError {
    /// The name is taken by a metric of another kind.
    #[error("metric '{name}' of this task is a {taken}, not a {wanted}: give the {wanted} another name")]
    OtherKind { name: String, taken: &'static str, wanted: &'static str },
    /// The name is one of the system's.
    #[error("metric '{name}' has a name of the system: begin it with something else than '__'")]
    SystemName { name: String },
    /// The task has as many as a task may have.
    #[error(
        "metric '{name}' is one too many, a task may have {max}: do not make names from data, record the data"
    )]
    TooMany { name: String, max: usize },
}

impl TaskMetrics {
    /// How many metrics a task may have: each is reported with every snapshot.
    pub const MAX: usize = 1_000;

    /// The counter of this name.
    ///
    /// # Errors
    /// When the name is taken by another kind or belongs to the system, or the task has
    /// [`MAX`](Self::MAX) metrics.
    pub fn counter(&self, name: &str) -> Result<Counter, MetricError> {
        let new = || Metric::Counter(Arc::default());
        self.get(name, "counter", new, |metric| match metric {
            Metric::Counter(count) => Some(Counter::from_arc(count.clone())),
            _ => None,
        })
    }

    /// The gauge of this name; 0 until it is set.
    ///
    /// # Errors
    /// As of [`counter`](Self::counter).
    pub fn gauge(&self, name: &str) -> Result<Gauge, MetricError> {
        let new = || Metric::Gauge(Arc::default());
        self.get(name, "gauge", new, |metric| match metric {
            Metric::Gauge(bits) => Some(Gauge::from_arc(bits.clone())),
            _ => None,
        })
    }

    /// The histogram of this name. What is recorded there and is no finite number is left out.
    ///
    /// # Errors
    /// As of [`counter`](Self::counter).
    pub fn histogram(&self, name: &str) -> Result<Histogram, MetricError> {
        let new = || Metric::Histogram(Arc::default());
        self.get(name, "histogram", new, |metric| match metric {
            Metric::Histogram(recorder) => Some(Histogram::from_arc(recorder.clone())),
            _ => None,
        })
    }

    /// What all of them show now, in order of their names. A gauge that shows no finite number is
    /// left out.
    pub fn collect(&self) -> Vec<UserMetric> {
        let shown = |(name, metric): (&String, &Metric)| {
            Some(UserMetric { name: name.clone(), value: metric.value()? })
        };
        lock(&self.by_name).iter().filter_map(shown).collect()
    }

    fn get<H>(
        &self,
        name: &str,
        wanted: &'static str,
        new: impl Fn() -> Metric,
        handle: impl Fn(&Metric) -> Option<H>,
    ) -> Result<H, MetricError> {
        let mut by_name = lock(&self.by_name);
        if !by_name.contains_key(name) {
            let name = name.to_owned();
            if is_system_name(&name) {
                return Err(MetricError::SystemName { name });
            }
            if by_name.len() == Self::MAX {
                return Err(MetricError::TooMany { name, max: Self::MAX });
            }
            by_name.insert(name, new());
        }
        let metric = &by_name[name];
        let taken = metric.kind();
        handle(metric).ok_or_else(|| MetricError::OtherKind { name: name.to_owned(), taken, wanted })
    }
}

impl Metric {
    fn kind(&self) -> &'static str {
        match self {
            Metric::Counter(_) => "counter",
            Metric::Gauge(_) => "gauge",
            Metric::Histogram(_) => "histogram",
        }
    }

    fn value(&self) -> Option<MetricValue> {
        match self {
            Metric::Counter(count) => Some(MetricValue::Counter(count.load(Ordering::Acquire))),
            Metric::Gauge(bits) => {
                let shown = f64::from_bits(bits.load(Ordering::Acquire));
                shown.is_finite().then_some(MetricValue::Gauge(shown))
            }
            Metric::Histogram(recorder) => Some(MetricValue::Histogram(lock(&recorder.0).clone())),
        }
    }
}

impl fmt::Debug for TaskMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.collect()).finish()
    }
}

/// A histogram that any thread may record in.
#[derive(Default)]
struct Recorder(Mutex<Distribution>);

impl HistogramFn for Recorder {
    fn record(&self, value: f64) {
        lock(&self.0).record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        lock(&self.0).record_n(value, count as u64);
    }
}

/// Nothing here panics between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(metrics: &TaskMetrics) -> Vec<(String, MetricValue)> {
        metrics.collect().into_iter().map(|metric| (metric.name, metric.value)).collect()
    }

    #[test]
    fn the_same_name_is_the_same_metric() {
        let metrics = TaskMetrics::default();
        metrics.counter("hits").unwrap().increment(3);
        metrics.counter("hits").unwrap().increment(4);
        let gauge = metrics.gauge("open").unwrap();
        gauge.set(5.0);
        metrics.gauge("open").unwrap().decrement(1.5);
        metrics.histogram("sizes").unwrap().record(1.0);
        metrics.histogram("sizes").unwrap().record_many(2.0, 9);
        let mut sizes = Distribution::default();
        sizes.record(1.0);
        sizes.record_n(2.0, 9);
        assert_eq!(
            collected(&metrics),
            [
                ("hits".to_owned(), MetricValue::Counter(7)),
                ("open".to_owned(), MetricValue::Gauge(3.5)),
                ("sizes".to_owned(), MetricValue::Histogram(sizes)),
            ]
        );
    }

    #[test]
    fn a_name_has_one_kind() {
        let metrics = TaskMetrics::default();
        let kept = metrics.gauge("words").unwrap();
        let error = metrics.counter("words").unwrap_err();
        assert_eq!(
            error.to_string(),
            "metric 'words' of this task is a gauge, not a counter: give the counter another name"
        );
        kept.set(2);
        assert_eq!(collected(&metrics), [("words".to_owned(), MetricValue::Gauge(2.0))]);
    }

    #[test]
    fn names_of_the_system_are_refused() {
        let error = TaskMetrics::default().counter("__emit-count").unwrap_err();
        assert_eq!(error, MetricError::SystemName { name: "__emit-count".into() });
    }

    #[test]
    fn a_name_for_each_key_ends_at_a_limit() {
        let metrics = TaskMetrics::default();
        for i in 0..TaskMetrics::MAX {
            metrics.counter(&format!("user {i}")).unwrap().increment(1);
        }
        let error = metrics.histogram("one more").unwrap_err();
        assert_eq!(error, MetricError::TooMany { name: "one more".into(), max: 1_000 });
        assert!(metrics.counter("user 7").is_ok(), "those that it has stay");
    }

    #[test]
    fn a_gauge_that_shows_no_number_is_left_out() {
        let metrics = TaskMetrics::default();
        let gauge = metrics.gauge("ratio").unwrap();
        gauge.set(f64::NAN);
        assert_eq!(collected(&metrics), []);
        gauge.set(1.0);
        assert_eq!(collected(&metrics).len(), 1);
    }

    #[test]
    fn handles_count_from_any_thread() {
        let metrics = TaskMetrics::default();
        let (hits, sizes) = (metrics.counter("hits").unwrap(), metrics.histogram("sizes").unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..1_000 {
                        hits.increment(1);
                        sizes.record(f64::from(i));
                    }
                });
            }
        });
        let shown = collected(&metrics);
        assert_eq!(shown[0].1, MetricValue::Counter(4_000));
        assert!(matches!(&shown[1].1, MetricValue::Histogram(sizes) if sizes.count() == 4_000));
    }
}
