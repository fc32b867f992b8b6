//! `topology.debug`: every emit is a line of the log.

use std::io::Write;
use std::sync::{Arc, Mutex};

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
