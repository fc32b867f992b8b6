//! What is measured in this process does what it says; nothing is said of speed.

use super::*;
use crate::rows::at_least;

const TINY: Lengths = Lengths {
    fast: Duration::from_millis(50),
    paced: Duration::from_millis(100),
    load: Duration::from_millis(100),
    idle: Duration::from_millis(100),
};

#[test]
fn tuples_go_from_one_worker_to_another_and_acks_come_back() {
    for job in JOBS.iter().filter(|job| job.name.starts_with("line") || job.name.starts_with("far")) {
        let figures = (job.work)(TINY).unwrap();
        assert!(!figures.is_empty());
        for figure in figures {
            assert!(figure.value > 0.0 && figure.value.is_finite(), "{figure:?}");
        }
    }
}

#[test]
fn a_row_is_the_median_of_its_quiet_rounds() {
    let figure =
        |name: &str, value, foreign| Figure::new(name, " s", at_least(1.0, 2.0, 3.0), value, foreign);
    let figures =
        [figure("a", 5.0, 0.0), figure("b", 1.0, 0.0), figure("a", 3.0, 0.0), figure("a", 90.0, 0.5)];
    let rows = rows(&figures);
    assert_eq!(rows.iter().map(|row| (&*row.name, row.median)).collect::<Vec<_>>(), [("a", 4.0), ("b", 1.0)]);
    assert_eq!((rows[0].quiet_rounds, rows[0].min, rows[0].max), (2, 3.0, 5.0));
}

#[test]
fn a_program_that_is_not_there_is_told_with_the_way_out() {
    let message = Error::Missing("target/release/storm-rs".into()).to_string();
    assert!(
        message.starts_with("there is no target/release/storm-rs; build it with `cargo build"),
        "{message}"
    );
}
