use proptest::prelude::*;
use storm_model::{ComponentKind, ExecutorId};

use super::*;
use crate::figures::Figures;
use crate::history::History;
use crate::portable::BadPortable;
use crate::snapshot::ExecutorSnapshot;
use crate::snapshot::tests::{bolt, spout};
use crate::window::Window;

/// Long after the zero of the clock: what is older has a time as well.
fn at(secs: u64) -> Time {
    Time::from_secs(1_000_000 + secs)
}

fn life(number: u64, restarts: u64) -> Incarnation {
    Incarnation { number, restarts }
}

fn with_uptime(mut executor: ExecutorSnapshot, secs: u64) -> Snapshot {
    executor.uptime = Duration::from_secs(secs);
    Snapshot { executors: vec![executor] }
}

fn figures(keepers: &Keepers<u8>, secs: u64, component: &str, window: Window) -> Figures {
    keepers.report(at(secs)).component(component).unwrap().figures[window].clone()
}

fn carried(keeper: &Keeper, from: u64, to: u64) -> Keeper {
    Keeper::from_portable(at(to), &keeper.to_portable(at(from))).unwrap()
}

#[test]
fn a_task_that_moves_keeps_its_sums_and_is_shown_once() {
    let mut keepers = Keepers::default();
    keepers.observe(at(10), &1, life(1, 0), 10, &with_uptime(spout(1, 100, 90), 10));
    keepers.observe(at(20), &2, life(2, 0), 5, &with_uptime(spout(1, 30, 10), 5));
    // The last words of the former home come late.
    keepers.observe(at(21), &1, life(1, 0), 14, &with_uptime(spout(1, 120, 119), 14));
    let report = keepers.report(at(21));
    let spout = report.component("spout").unwrap();
    assert_eq!((spout.figures.all_time.emitted, spout.figures.all_time.acked), (150, 129));
    assert_eq!((spout.gauges.pending, spout.executors.len(), spout.tasks.len()), (20, 1, 1));
    assert_eq!(spout.executors[0].uptime, Duration::from_secs(5));
    assert_eq!(keepers.recent(at(21)).pending, 20);
    assert_eq!((keepers.recent(at(21)).emitted, keepers.recent(at(21)).acked), (150, 129));
}

#[test]
fn what_was_pending_stays_in_the_trend_when_older_figures_are_joined() {
    let mut kept = Keeper::default();
    kept.observe_life(at(5), life(1, 0), 5, &with_uptime(spout(1, 100, 90), 5));
    let kept = carried(&kept, 6, 6);
    let mut keepers = Keepers::default();
    for (secs, acked) in [(6, 90), (15, 95), (25, 97), (32, 98)] {
        keepers.observe(at(secs), &1, life(1, 0), secs, &with_uptime(spout(1, 100, acked), secs));
    }
    let pending = |keepers: &Keepers<u8>| {
        let points = keepers.trend(at(53)).points;
        points[points.len() - 5..].iter().map(|point| point.pending).collect::<Vec<_>>()
    };
    let before = pending(&keepers);
    assert_eq!(before, [10, 5, 3, 2, 2]);
    for _ in 0..2 {
        keepers.join(at(53), &1, carried(&kept, 53, 53));
        assert_eq!(pending(&keepers), before);
    }
}

#[test]
fn a_copy_stays_as_it_was() {
    let mut keepers = Keepers::default();
    keepers.observe(at(5), &1, life(1, 0), 5, &with_uptime(spout(1, 100, 90), 5));
    let copy = keepers.clone();
    keepers.observe(at(15), &1, life(1, 0), 15, &with_uptime(spout(1, 300, 200), 15));
    let emitted = |keepers: &Keepers<u8>| figures(keepers, 15, "spout", Window::AllTime).emitted;
    assert_eq!((emitted(&copy), emitted(&keepers)), (100, 300));
    assert_eq!((copy.recent(at(15)).pending, keepers.recent(at(15)).pending), (10, 100));
}

#[test]
fn a_later_life_begins_at_nothing_however_far_it_is() {
    let mut keeper = Keeper::default();
    keeper.observe_life(at(10), life(1, 0), 9, &with_uptime(spout(1, 100, 90), 9));
    keeper.observe_life(at(90), life(1, 1), 60, &with_uptime(spout(1, 150, 150), 60));
    let emitted = |keeper: &Keeper| keeper.report(at(90)).components[0].figures.all_time.emitted;
    assert_eq!(emitted(&keeper), 250);
    keeper.observe_life(at(91), life(1, 0), 70, &with_uptime(spout(1, 500, 150), 70));
    keeper.observe_life(at(91), life(1, 1), 59, &with_uptime(spout(1, 149, 149), 59));
    assert_eq!(emitted(&keeper), 250, "what is late does not count");
}

#[test]
fn what_was_kept_is_joined_before_or_after_and_once() {
    let mut source = Keeper::default();
    source.observe_life(at(10), life(1, 0), 10, &with_uptime(spout(1, 100, 90), 10));
    source.observe_life(at(20), life(1, 1), 5, &with_uptime(spout(1, 50, 50), 5));
    let kept = source.to_portable(at(20));
    let read = |secs| Keeper::from_portable(at(secs), &kept).unwrap();
    let news = with_uptime(spout(1, 60, 55), 8);

    let mut before = Keepers::default();
    before.join(at(22), &1, read(22));
    before.observe(at(23), &1, life(1, 1), 8, &news);
    let mut after = Keepers::default();
    after.observe(at(21), &1, life(1, 1), 6, &with_uptime(spout(1, 55, 50), 6));
    after.observe(at(23), &1, life(1, 1), 8, &news);
    assert_eq!(figures(&after, 23, "spout", Window::AllTime).emitted, 60);
    after.join(at(23), &1, read(23));
    for _ in 0..2 {
        for keepers in [&before, &after] {
            for window in Window::ALL {
                let spout = figures(keepers, 23, "spout", window);
                assert_eq!((spout.emitted, spout.acked, spout.complete_latency.count()), (160, 145, 145));
            }
            assert_eq!(keepers.recent(at(23)).emitted, 160);
            assert_eq!(keepers.recent(at(23)).pending, 5);
        }
        after.join(at(23), &1, read(23));
    }
    // One that had heard more than what is brought.
    let old = {
        let mut old = Keeper::default();
        old.observe_life(at(10), life(1, 0), 10, &with_uptime(spout(1, 100, 90), 10));
        old.to_portable(at(10))
    };
    let mut late = Keepers::default();
    late.observe(at(21), &1, life(1, 1), 6, &with_uptime(spout(1, 55, 50), 6));
    late.join(at(23), &1, Keeper::from_portable(at(23), &old).unwrap());
    assert_eq!(figures(&late, 23, "spout", Window::AllTime).emitted, 155);
}

#[test]
fn windows_go_on_from_the_age_that_figures_have() {
    let mut source = Keeper::default();
    for minute in 1..=30 {
        let snapshot = with_uptime(bolt(1, &[minute * 60]), minute * 60);
        source.observe_life(at(minute * 60), life(1, 0), minute * 60_000, &snapshot);
    }
    let read = carried(&source, 1_800, 99_000);
    let executed =
        |after: u64, window| read.report(at(99_000 + after)).components[0].figures[window].executed;
    assert_eq!(executed(0, Window::TenMinutes), 600);
    assert_eq!(executed(300, Window::TenMinutes), 300);
    assert_eq!(executed(0, Window::OneDay), 1_800);
    assert_eq!(executed(100_000, Window::OneDay), 0);
    assert_eq!(executed(100_000, Window::AllTime), 1_800);
}

#[test]
fn bytes_are_compact_and_bad_ones_an_error() {
    let mut keeper = Keeper::default();
    for minute in 1..=2_000 {
        let snapshot = with_uptime(bolt(1, &[minute * 60_000]), minute * 60);
        keeper.observe_life(at(minute * 60), life(1, 0), minute * 60_000, &snapshot);
    }
    let bytes = keeper.to_portable(at(120_000));
    assert!(bytes.len() < 5_000, "{}", bytes.len());
    assert!(matches!(Keeper::from_portable(at(0), b""), Err(BadPortable::Damaged)));
    assert!(matches!(
        Keeper::from_portable(at(0), b"storm-figures\x07\0\0\0\0\0\0\0\0"),
        Err(BadPortable::Damaged)
    ));
    for at_byte in (0..bytes.len()).step_by(37) {
        let mut bad = bytes.clone();
        bad[at_byte] ^= 0x55;
        assert!(Keeper::from_portable(at(0), &bad).is_err());
        assert!(Keeper::from_portable(at(0), &bytes[..at_byte]).is_err());
    }
    let too_early = Keeper::from_portable(Time::ZERO, &bytes).unwrap();
    assert_eq!(too_early.report(Time::ZERO).components[0].figures.all_time.executed, 120_000_000);
}

/// What a supervisor hears of a worker.
#[derive(Clone, Debug)]
struct Heard {
    secs: u64,
    source: u8,
    life: Incarnation,
    uptime: u64,
    counts: [u64; 3],
}

/// Three tasks of one spout executor work, are started again and move between two supervisors.
fn story() -> impl Strategy<Value = Vec<Heard>> {
    prop::collection::vec((0u8..10, 1u64..30, prop::array::uniform3(0u64..50)), 1..60).prop_map(|steps| {
        let (mut now, mut started, mut life, mut source) = (0, 0, life(1, 0), 1);
        let mut counts = [0; 3];
        let step = |(event, secs, gained): (u8, u64, [u64; 3])| {
            now += secs;
            if event < 2 {
                (counts, started) = ([0; 3], now);
                if event == 0 {
                    life.restarts += 1;
                } else {
                    life = Incarnation { number: life.number + 1, restarts: 0 };
                    source = 3 - source;
                }
            }
            counts.iter_mut().zip(gained).for_each(|(count, gained)| *count += gained);
            Heard { secs: now, source, life, uptime: now - started, counts }
        };
        steps.into_iter().map(step).collect()
    })
}

fn snapshot(heard: &Heard) -> Snapshot {
    let executors = (1..).zip(heard.counts).map(|(task, count)| ExecutorSnapshot {
        uptime: Duration::from_secs(heard.uptime),
        executor: ExecutorId { first: TaskId(task), last: TaskId(task) },
        ..spout(task, count, count)
    });
    Snapshot { executors: executors.collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A leader that has heard everything, and one that came in the middle and is told by each supervisor at
    /// some moment, perhaps twice, what that has kept through a restart of its own.
    #[test]
    fn a_new_leader_knows_what_the_old_one_did(
        story in story(),
        elected in 0usize..60,
        told in prop::collection::vec((0usize..60, 1u8..3), 2..5),
        restarted in 0usize..60,
    ) {
        let mut old = Keepers::default();
        let mut new = Keepers::default();
        let mut sources = [Keeper::default(), Keeper::default()];
        let mut has_told = [false; 2];
        let mut one = Keeper::default();
        for (index, heard) in story.iter().enumerate() {
            let (now, of) = (at(heard.secs), usize::from(heard.source - 1));
            let snapshot = snapshot(heard);
            sources[of].observe_life(now, heard.life, heard.uptime * 1_000, &snapshot);
            if index == restarted {
                sources = sources.map(|source| carried(&source, heard.secs, heard.secs));
            }
            one.observe_life(now, heard.life, heard.uptime * 1_000, &snapshot);
            old.observe(now, &heard.source, heard.life, heard.uptime * 1_000, &snapshot);
            if index >= elected {
                new.observe(now, &heard.source, heard.life, heard.uptime * 1_000, &snapshot);
            }
            for (_, source) in told.iter().filter(|(when, _)| *when == index && *when >= elected) {
                let of = usize::from(source - 1);
                new.join(now, source, carried(&sources[of], heard.secs, heard.secs));
                has_told[of] = true;
            }
        }
        let last = story.last().unwrap();
        for (source, of) in [(1, 0), (2, 1)] {
            if !has_told[of] {
                new.join(at(last.secs), &source, carried(&sources[of], last.secs, last.secs));
            }
        }
        // Whoever lives reports again.
        let now = at(last.secs);
        new.observe(now, &last.source, last.life, last.uptime * 1_000, &snapshot(last));
        for keepers in [&old, &new] {
            let figures = &keepers.report(now).components[0];
            let Figures { emitted, transferred, executed, acked, failed, .. } = figures.figures.all_time;
            let counts = Counts { emitted, transferred, executed, acked, failed, pending: figures.gauges.pending };
            prop_assert_eq!(keepers.counts(), [(figures.component.clone(), counts)].into());
        }
        let all = |report: TopologyFigures| report.components[0].clone();
        let (one, old, new) = (all(one.report(now)), all(old.report(now)), all(new.report(now)));
        for component in [&old, &new] {
            prop_assert_eq!(component.figures.all_time.emitted, one.figures.all_time.emitted);
            prop_assert_eq!(&component.figures.all_time.complete_latency, &one.figures.all_time.complete_latency);
            for (task, of_one) in component.tasks.iter().zip(&one.tasks) {
                prop_assert_eq!(task.figures.all_time.emitted, of_one.figures.all_time.emitted);
                // The story is shorter than these.
                prop_assert_eq!(task.figures.one_day.acked, of_one.figures.one_day.acked);
                prop_assert_eq!(task.figures.three_hours.acked, of_one.figures.three_hours.acked);
            }
            // To within a bucket and the longest pause.
            let most = story.iter().filter(|heard| heard.secs + 600 + 2 * 32 + 60 > last.secs);
            let most: u64 = most.map(|heard| heard.counts.iter().sum::<u64>()).sum();
            prop_assert!(component.figures.ten_minutes.emitted <= most);
            prop_assert_eq!(component.executors.len(), one.executors.len());
            prop_assert_eq!(component.kind, ComponentKind::Spout);
        }
    }

    /// With the checksum that nobody finds by trying. See also the fuzz target.
    #[test]
    fn figures_with_wrong_bytes_are_refused_or_harmless(
        story in story(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut keeper = Keeper::default();
        for heard in &story {
            keeper.observe_life(at(heard.secs), heard.life, heard.uptime * 1_000, &snapshot(heard));
        }
        let now = at(story.last().unwrap().secs);
        let mut bytes = keeper.to_portable(now);
        bytes.truncate(bytes.len() - 8);
        let frame = b"storm-figures\x01".len();
        for (index, byte) in wrong {
            let at = frame + index.index(bytes.len() - frame);
            bytes[at] = byte;
        }
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
        bytes.extend_from_slice(&sum.to_le_bytes());
        if let Ok(read) = Keeper::from_portable(now, &bytes) {
            drop((read.report(now), read.trend(now)));
            let again = read.to_portable(now);
            let mut twice = Keeper::from_portable(now, &again).unwrap();
            prop_assert_eq!(again, twice.to_portable(now));
            twice.join(now, read.clone());
            keeper.join(now, read);
            keeper.tidy(now + Duration::from_secs(86_400));
            drop((keeper.report(now), twice.report(now)));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, number: u64) {
        drop(Keeper::from_portable(at(0), &bytes));
        // With the frame of good ones around them.
        let mut writer = crate::portable::Writer::new();
        writer.number(number % 4);
        bytes.iter().for_each(|byte| writer.number((*byte).into()));
        drop(Keeper::from_portable(at(0), &writer.finish()));
        drop(History::<u64>::read(at(0), &mut crate::portable::Reader::over(&bytes)));
    }
}
