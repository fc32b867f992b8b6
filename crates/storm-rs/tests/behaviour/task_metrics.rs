//! Metrics of user code: by task and name, over all lives of the task.

use std::sync::{Arc, Mutex};

use storm_rs::metrics::Counter;
use storm_rs::prelude::*;
use storm_rs::{TaskMetrics, Time};

use crate::kit::*;

/// Counts its tuples; panics on multiples of ten.
struct Counting {
    tuples: Counter,
    /// Where a test looks into what the engine keeps.
    seen: Arc<Mutex<Option<Arc<TaskMetrics>>>>,
}

impl Bolt for Counting {
    fn prepare(&mut self, ctx: &TaskContext) -> Result<(), BoltError> {
        self.tuples = ctx.counter("tuples");
        ctx.gauge("tuples").set(1.0);
        *self.seen.lock().unwrap() = Some(ctx.metrics().clone());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple<'_>, _: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        self.tuples.increment(1);
        assert!(input.get::<i64>("n")? % 10 != 0, "a multiple of ten");
        Ok(())
    }
}

#[test]
fn a_counter_goes_on_after_a_panic_and_a_wrong_kind_is_reported() {
    let seen = Arc::new(Mutex::new(None));
    let of_bolt = seen.clone();
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(15), 1);
    t.set_bolt("counting", move || Counting { tuples: Counter::noop(), seen: of_bolt.clone() }, 1)
        .shuffle_grouping("numbers");
    let mut run = stepped(t.build().unwrap(), settings(), 1);
    assert!(run.run_to_end(Time::from_secs(100)));
    let metrics = seen.lock().unwrap().take().unwrap().collect();
    assert_eq!(format!("{metrics:?}"), r#"[UserMetric { name: "tuples", value: Counter(15) }]"#);
    let errors = run.take_errors();
    let clash = "metric 'tuples' of this task is a counter, not a gauge: give the gauge another name";
    assert_eq!(errors.iter().filter(|e| e.message == clash).count(), 3, "in each life: {errors:?}");
}
