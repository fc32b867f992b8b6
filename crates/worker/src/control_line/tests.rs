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
fn a_round_that_is_asked_wakes_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let (outgoing, woken) = (outgoing(), Arc::new(AtomicUsize::new(0)));
    assert_eq!(outgoing.round(), None);
    outgoing.ask_look(7);
    let told = woken.clone();
    outgoing.wake_by(move || {
        told.fetch_add(1, Ordering::SeqCst);
    });
    let after = |round| {
        outgoing.ask_look(round);
        (outgoing.round(), woken.load(Ordering::SeqCst))
    };
    assert_eq!(after(7), (Some(7), 1), "what was asked before was not heard yet");
    assert_eq!(after(9), (Some(9), 2));
    assert_eq!(after(9), (Some(9), 2));
}

#[test]
fn an_older_round_does_not_take_the_place_of_a_newer_one() {
    let outgoing = outgoing();
    let asked = |round| {
        outgoing.ask_look(round);
        outgoing.round()
    };
    let answer = |round| {
        let look = v1::QuietLook { round, ..v1::QuietLook::default() };
        outgoing.update(false, |report| report.quiet_look = Some(look));
    };
    assert_eq!(asked(7), Some(7));
    answer(7);
    assert_eq!(asked(8), Some(8));
    assert_eq!(asked(7), Some(8), "it came by another way");
    assert_eq!(asked(6), Some(8), "the same, and it was never heard");
    // Another leader counts from elsewhere.
    answer(8);
    let far = 3 * ROUNDS;
    assert_eq!(asked(far), Some(far));
    assert_eq!(asked(8), Some(far));
    answer(far);
    assert_eq!(asked(2), Some(2), "and a third one from below");
    assert_eq!(asked(far), Some(2));
    // What was not answered may be asked again: a late one may have come in between.
    assert_eq!(asked(far + ROUNDS), Some(far + ROUNDS));
    assert_eq!(asked(2), Some(2));
}

#[test]
fn levels_of_before_are_taken_back_by_an_old_nimbus_alone() {
    let tuning = |version| v1::Tuning { version, ..v1::Tuning::default() };
    assert!(counts(&tuning(0), 0) && counts(&tuning(3), 0) && counts(&tuning(3), 5));
    assert!(!counts(&tuning(0), 5), "late");
}

#[test]
fn an_older_state_is_not_followed() {
    let (outgoing, mailbox) = (outgoing(), Mailbox::default());
    let state = |status| v1::TopologyState::from(status).into();
    let told = |status, version| {
        post_state(state(status), version, &outgoing, &mailbox);
        match mailbox.take() {
            Some(News::State(status, _)) => Some(status),
            _ => None,
        }
    };
    use storm_model::Status;
    assert_eq!(told(Status::Active, 1), Some(Status::Active));
    assert_eq!(told(Status::Inactive, 2), Some(Status::Inactive));
    // A supervisor that has started again tells what it knew.
    assert_eq!(told(Status::Active, 1), None);
    assert_eq!(told(Status::Inactive, 2), Some(Status::Inactive));
    assert_eq!(told(Status::Active, 0), Some(Status::Active), "of a supervisor that does not count");
    assert_eq!(told(Status::Active, 1), None);
    assert_eq!(told(Status::Active, 3), Some(Status::Active));
}
