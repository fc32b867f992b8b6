use super::*;

fn error(number: usize) -> ErrorReport {
    ErrorReport { message: number.to_string(), ..ErrorReport::default() }
}

fn outgoing() -> Outgoing {
    Outgoing::new(WorkerReport::default())
}

fn errors(report: &WorkerReport) -> Vec<usize> {
    report.errors.iter().map(|error| error.message.parse().unwrap()).collect()
}

#[test]
fn the_newest_errors_are_kept_in_order() {
    let outgoing = outgoing();
    (0..ERRORS + 3).for_each(|number| outgoing.error(error(number)));
    let taken = outgoing.take();
    assert_eq!(errors(&taken), (3..ERRORS + 3).collect::<Vec<_>>());
    // Of what could not be sent and what has come since, too.
    (ERRORS + 3..ERRORS + 5).for_each(|number| outgoing.error(error(number)));
    outgoing.put_back(taken);
    assert_eq!(errors(&outgoing.take()), (5..ERRORS + 5).collect::<Vec<_>>());
    assert!(errors(&outgoing.take()).is_empty());
}

#[test]
fn errors_that_may_not_have_arrived_are_sent_again() {
    let (outgoing, start) = (outgoing(), Instant::now());
    for (number, at) in [(0, 0), (1, 4), (2, 6)] {
        outgoing.error(error(number));
        outgoing.note_sent(start + Duration::from_secs(at), &outgoing.take());
    }
    outgoing.error(error(3));
    outgoing.has_broken(start + Duration::from_secs(8));
    assert_eq!(errors(&outgoing.take()), [1, 2, 3]);
    outgoing.has_broken(start + Duration::from_secs(8));
    assert!(errors(&outgoing.take()).is_empty(), "once");
}

#[test]
fn figures_go_once_and_come_again_only_when_there_are_no_newer_ones() {
    let outgoing = outgoing();
    let set = |text: &'static [u8]| outgoing.update(false, |report| report.figures = text.into());
    set(b"old");
    assert!(outgoing.bare().figures.is_empty());
    let taken = outgoing.take();
    assert_eq!(&taken.figures[..], b"old");
    assert!(outgoing.take().figures.is_empty());
    outgoing.put_back(taken.clone());
    assert_eq!(&outgoing.take().figures[..], b"old");
    set(b"new");
    outgoing.put_back(taken);
    assert_eq!(&outgoing.take().figures[..], b"new");
}

#[test]
fn who_has_not_looked_for_long_does_not_say_that_it_is_quiet() {
    let outgoing = outgoing();
    outgoing.update(true, |report| report.is_quiet = true);
    assert!(outgoing.take().is_quiet);
    let state = outgoing.lock();
    assert!(!state.bare(Instant::now() + STALE).is_quiet);
}
