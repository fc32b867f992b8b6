//! `topology.debug`: every emit is a line of the log. Sampling: a share of the emits goes to a sink.

use std::io::Write;
use std::sync::{Arc, Mutex};

use storm_rs::Time;
use storm_rs::engine::{EventSink, SampledTuple, Settings};
use storm_rs::prelude::*;
use tracing_subscriber::fmt::MakeWriter;

use crate::kit::*;

/// Log lines, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// The lines of the log that a run to the end writes. All of it runs on this thread.
fn logged(build: impl Fn(&mut TopologyBuilder)) -> Vec<String> {
    let mut t = TopologyBuilder::new();
    build(&mut t);
    let mut topology = t.build().unwrap();
    let settings = configured(&mut topology, &[]);
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(lines.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || complete(topology, settings, 1));
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().filter(|l| l.contains("emit")).map(|l| l.trim().to_owned()).collect()
}

fn three(t: &mut TopologyBuilder, spout_debug: bool, bolt_debug: bool) {
    t.set_spout("numbers", || Numbers::new(2), 1).debug(spout_debug);
    t.set_bolt("pass", pass(), 1).debug(bolt_debug).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&log()), 2).all_grouping("pass");
}

#[test]
fn each_emit_of_a_component_in_debug_is_logged_with_task_stream_targets_and_values() {
    let mut lines = logged(|t| three(t, true, true));
    lines.sort();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    // Tasks: numbers 1, pass 2, sink 3 and 4.
    for (line, (component, task, to, n)) in lines.iter().zip([
        ("numbers", 1, "[2]", 0),
        ("numbers", 1, "[2]", 1),
        ("pass", 2, "[3, 4]", 0),
        ("pass", 2, "[3, 4]", 1),
    ]) {
        let expected = format!("component={component} task={task} stream=default to={to} values=Int({n})");
        assert!(line.starts_with("INFO emit "), "{line}");
        assert!(line.contains(&expected), "{line} has not: {expected}");
    }
}

#[test]
fn debug_holds_for_its_component_alone() {
    let lines = logged(|t| three(t, false, true));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines.iter().all(|l| l.contains("component=pass")), "{lines:#?}");
}

#[test]
fn debug_of_the_topology_holds_where_a_component_does_not_say_otherwise() {
    let lines = logged(|t| {
        t.config("topology.debug", true);
        t.set_spout("numbers", || Numbers::new(2), 1);
        t.set_bolt("pass", pass(), 1).debug(false).shuffle_grouping("numbers");
    });
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines.iter().all(|l| l.contains("component=numbers")), "{lines:#?}");
}

#[test]
fn without_debug_no_emit_is_logged() {
    assert_eq!(logged(|t| three(t, false, false)), [""; 0]);
}

/// Sampled tuples, kept: component, message id, values.
#[derive(Debug, Default)]
struct Sampled(Mutex<Vec<(String, String, String)>>);

impl EventSink for Sampled {
    fn take(&self, tuple: SampledTuple<'_>) {
        let SampledTuple { component, message_id, values, .. } = tuple;
        self.0.lock().unwrap().push((component.to_string(), message_id, values));
    }
}

#[test]
fn sampling_begins_and_ends_while_it_runs_and_shows_which_tuples_belong_together() {
    let mut t = TopologyBuilder::new();
    t.set_spout("numbers", || Numbers::new(1000), 1);
    t.set_bolt("pass", pass(), 1).shuffle_grouping("numbers");
    t.set_bolt("sink", sink(&log()), 2).all_grouping("pass");
    // Nobody receives what it emits.
    t.set_bolt("last", pass(), 1).shuffle_grouping("pass");
    let mut topology = t.build().unwrap();
    let sampled = Arc::new(Sampled::default());
    let mut settings = Settings { events: Some(sampled.clone()), ..configured(&mut topology, &[]) };
    settings.components.get_mut("numbers").unwrap().max_spout_pending = 10;
    let mut run = stepped(topology, settings, 1);
    let executed = |run: &mut storm_rs::engine::stepped::Stepped| run.snapshot().spouts(|task| task.tracked);
    run.run_until(Time::from_millis(1));
    assert!(sampled.0.lock().unwrap().is_empty());
    let before = executed(&mut run);
    assert!(before < 1000, "the rest comes later");
    run.sample(|component| if component == "sink" { 0.0 } else { 100.0 });
    assert!(run.run_to_end(Time::from_secs(60)));
    run.sample(|_| 0.0);
    let all = std::mem::take(&mut *sampled.0.lock().unwrap());
    let of = |component: &str, value: &str| {
        all.iter().find(|(of, _, values)| of == component && values == value).map(|(_, id, _)| id.as_str())
    };
    let (spouts, passed, last) = (of("numbers", "[999]"), of("pass", "[999]"), of("last", "[999]"));
    assert!(spouts.is_some_and(|id| id.starts_with("2:") && id.len() == 18), "{spouts:?}");
    assert_eq!((passed, last), (spouts, Some("")));
    let count = |component: &str| all.iter().filter(|(of, ..)| of == component).count() as u64;
    assert!(count("numbers") <= 1000 - before && count("numbers") > 0, "{before} were emitted before");
    assert!(count("pass") >= count("numbers") && count("pass") < 1000);
    run.stop();
}
