//! Who is alive, and when silence is evidence enough to move work. Pure.
//!
//! A supervisor counts as lost only when it *and all its workers* were silent for the whole window,
//! towards a leader that led, had a healthy session and was not itself asleep during all of it.
//! When more than half of the supervisors fall silent together, the fault is more likely here or in
//! the network: then nothing is lost for [`MASS_PAUSE`], and people are told. As they do not report in
//! step, those count for this who were silent for half of the window when the first one is through it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use storm_model::{SupervisorId, Time, TopologyId, WorkerSlot};

/// For how long nothing moves after most supervisors fell silent together.
pub const MASS_PAUSE: Duration = Duration::from_secs(60);
/// So many supervisors at least make "most of them" a statement.
const MASS_AT_LEAST: usize = 3;
/// Failures within a minute after which a slot is given to another supervisor.
pub const FAILURES: u32 = 3;
/// For how long a topology is kept off a supervisor where its worker failed.
pub const KEPT_OFF: Duration = Duration::from_secs(300);

/// What is known of the signs of life.
#[derive(Debug)]
pub struct Liveness {
    window: Duration,
    /// Since when silence counts; `None` while nothing can be concluded from it.
    listening: Option<Time>,
    looked: Time,
    supervisors: BTreeMap<SupervisorId, Time>,
    workers: BTreeMap<WorkerSlot, Time>,
    mass: Option<Mass>,
    failed: BTreeMap<(TopologyId, SupervisorId), Time>,
}

/// Most supervisors are silent, or seem to be.
#[derive(Clone, Copy, Debug)]
struct Mass {
    since: Time,
    /// Whether most of them were silent for the whole window.
    is_certain: bool,
}

/// What silence means at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Supervisors that get nothing new: they do not report.
    pub silent: BTreeSet<SupervisorId>,
    /// Those of them whose work is to be moved.
    pub lost: BTreeSet<SupervisorId>,
    /// Why nothing is moved although supervisors are silent.
    pub pause: Option<String>,
}

impl Liveness {
    /// Nobody has been heard, and nobody listens.
    pub fn new(window: Duration) -> Liveness {
        Liveness {
            window,
            listening: None,
            looked: Time::ZERO,
            supervisors: BTreeMap::new(),
            workers: BTreeMap::new(),
            mass: None,
            failed: BTreeMap::new(),
        }
    }

    /// From now on silence counts: this process leads and its session is healthy.
    pub fn listen(&mut self, now: Time) {
        // Whoever listens already must have looked in time: see `look`.
        if self.listening.is_none() {
            self.listening = Some(now);
            self.looked = now;
        }
    }

    /// Silence says nothing: this process does not lead, or its session is in doubt.
    pub fn stop_listening(&mut self) {
        self.listening = None;
        self.mass = None;
    }

    /// Forgets everybody: what they said was said to a former leader.
    pub fn forget(&mut self) {
        self.stop_listening();
        self.supervisors.clear();
        self.workers.clear();
        self.failed.clear();
    }

    /// A supervisor reported.
    pub fn supervisor_reported(&mut self, at: Time, id: &SupervisorId) {
        let heard = self.supervisors.entry(id.clone()).or_insert(at);
        *heard = at.max(*heard);
    }

    /// A worker reported, itself or through its supervisor.
    pub fn worker_reported(&mut self, at: Time, slot: &WorkerSlot) {
        let heard = self.workers.entry(slot.clone()).or_insert(at);
        *heard = at.max(*heard);
    }

    /// A supervisor said that a topology's worker fails there again and again.
    pub fn slot_failed(&mut self, at: Time, topology: &TopologyId, supervisor: &SupervisorId) {
        self.failed.insert((topology.clone(), supervisor.clone()), at);
    }

    /// A topology may try everywhere again.
    pub fn forgive(&mut self, topology: &TopologyId) {
        self.failed.retain(|(failed, _), _| failed != topology);
    }

    /// Where topologies may not go for a while.
    pub fn kept_off(&mut self, now: Time) -> BTreeSet<(TopologyId, SupervisorId)> {
        self.failed.retain(|_, since| now.since(*since) < KEPT_OFF);
        self.failed.keys().cloned().collect()
    }

    /// Keeps only these supervisors and slots in mind, and who reported within the last window: its node
    /// may be about to come.
    pub fn retain(&mut self, known: &BTreeMap<SupervisorId, Vec<WorkerSlot>>) {
        let (now, window) = (self.looked, self.window);
        self.supervisors.retain(|id, heard| known.contains_key(id) || now.since(*heard) < window);
        self.workers.retain(|slot, _| known.get(&slot.supervisor).is_some_and(|slots| slots.contains(slot)));
    }

    /// Whether nothing was heard for so long.
    fn is_silent(now: Time, listening: Time, heard: Option<&Time>, time: Duration) -> bool {
        let heard = heard.copied().unwrap_or(listening).max(listening);
        now.since(heard) >= time
    }

    /// Whether a supervisor and all its workers were silent for so long.
    fn is_gone(
        &self,
        now: Time,
        listening: Time,
        (id, slots): (&SupervisorId, &Vec<WorkerSlot>),
        time: Duration,
    ) -> bool {
        Self::is_silent(now, listening, self.supervisors.get(id), time)
            && slots.iter().all(|slot| Self::is_silent(now, listening, self.workers.get(slot), time))
    }

    /// Whether a worker has been silent for the window.
    pub fn is_worker_silent(&self, now: Time, slot: &WorkerSlot) -> bool {
        let Some(listening) = self.listening else { return false };
        Self::is_silent(now, listening, self.workers.get(slot), self.window)
    }

    /// Looks at everybody. `known` are the supervisors that are registered or have work, with the
    /// slots of that work.
    pub fn look(&mut self, now: Time, known: &BTreeMap<SupervisorId, Vec<WorkerSlot>>) -> Verdict {
        // Whoever slept (a suspended laptop, a stopped process) heard nobody, but that was its own fault.
        if now.since(self.looked) > self.window / 2 {
            self.listening = self.listening.map(|_| now);
        }
        self.looked = now;
        let Some(listening) = self.listening else { return Verdict::default() };
        let silent: BTreeSet<SupervisorId> = known
            .keys()
            .filter(|id| Self::is_silent(now, listening, self.supervisors.get(*id), self.window))
            .cloned()
            .collect();
        let gone: BTreeSet<SupervisorId> = known
            .iter()
            .filter(|known| self.is_gone(now, listening, *known, self.window))
            .map(|(id, _)| id.clone())
            .collect();
        if gone.is_empty() {
            self.mass = None;
            return Verdict { silent, ..Verdict::default() };
        }
        let going =
            known.iter().filter(|known| self.is_gone(now, listening, *known, self.window / 2)).count();
        let is_most =
            |count: usize| 2 * count > known.len() && (known.len() >= MASS_AT_LEAST || count == known.len());
        match &mut self.mass {
            Some(mass) => mass.is_certain |= is_most(gone.len()),
            None if is_most(going) => self.mass = Some(Mass { since: now, is_certain: is_most(gone.len()) }),
            None => {}
        }
        // The others were only late.
        if !is_most(going) && self.mass.is_some_and(|mass| !mass.is_certain) {
            self.mass = None;
        }
        match self.mass {
            Some(mass) if now.since(mass.since) < MASS_PAUSE => {
                let pause = format!(
                    "{} of {} supervisors fell silent together: nothing is moved for {} s, for the fault may be \
                     in the network",
                    going.max(gone.len()),
                    known.len(),
                    MASS_PAUSE.as_secs()
                );
                Verdict { silent, lost: BTreeSet::new(), pause: Some(pause) }
            }
            _ => Verdict { silent, lost: gone, pause: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(4);

    fn slot(supervisor: &str, port: u16) -> WorkerSlot {
        WorkerSlot { supervisor: supervisor.into(), port }
    }

    fn known(ids: &[&str]) -> BTreeMap<SupervisorId, Vec<WorkerSlot>> {
        ids.iter().map(|id| (SupervisorId::from(*id), vec![slot(id, 6700)])).collect()
    }

    fn at(millis: u64) -> Time {
        Time::from_millis(1_000_000 + millis)
    }

    /// Everybody but `mute` reports each second from `from` to `to`; the last verdict.
    fn run(liveness: &mut Liveness, ids: &[&str], mute: &[&str], (from, to): (u64, u64)) -> Verdict {
        let mut verdict = Verdict::default();
        for second in from..=to {
            for id in ids.iter().filter(|id| !mute.contains(id)) {
                liveness.supervisor_reported(at(second * 1000), &(*id).into());
            }
            verdict = liveness.look(at(second * 1000), &known(ids));
        }
        verdict
    }

    #[test]
    fn one_of_three_is_lost_after_the_window() {
        let ids = ["a", "b", "c"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        assert_eq!(run(&mut liveness, &ids, &[], (0, 10)), Verdict::default());
        assert_eq!(run(&mut liveness, &ids, &["c"], (11, 13)), Verdict::default());
        let verdict = run(&mut liveness, &ids, &["c"], (14, 14));
        assert_eq!(verdict.lost, BTreeSet::from(["c".into()]));
    }

    #[test]
    fn a_supervisor_whose_worker_speaks_is_silent_but_not_lost() {
        let ids = ["a", "b"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        for second in 0..20 {
            liveness.worker_reported(at(second * 1000), &slot("b", 6700));
            let verdict = run(&mut liveness, &ids, &["b"], (second, second));
            assert!(verdict.lost.is_empty());
            assert_eq!(verdict.silent.contains("b"), second >= 4);
        }
    }

    #[test]
    fn when_most_fall_silent_nothing_moves_for_a_minute() {
        let ids = ["a", "b", "c"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &[], (0, 10));
        let verdict = run(&mut liveness, &ids, &["b", "c"], (11, 40));
        assert!(verdict.lost.is_empty());
        assert!(verdict.pause.unwrap().starts_with("2 of 3 supervisors fell silent together"));
        let verdict = run(&mut liveness, &ids, &["b", "c"], (41, 80));
        assert_eq!((verdict.lost.len(), verdict.pause), (2, None));
    }

    #[test]
    fn they_need_not_fall_silent_at_the_same_moment() {
        let ids = ["a", "b", "c", "d"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &[], (0, 10));
        // The last words of b, c and d come one second after the other's.
        run(&mut liveness, &ids, &["b"], (11, 11));
        run(&mut liveness, &ids, &["b", "c"], (12, 12));
        for second in 13..=70 {
            let verdict = run(&mut liveness, &ids, &["b", "c", "d"], (second, second));
            assert!(verdict.lost.is_empty(), "{second}: {verdict:?}");
            assert_eq!(verdict.pause.is_some(), second >= 14);
        }
    }

    #[test]
    fn who_was_only_late_does_not_keep_a_lost_one_from_being_moved() {
        let ids = ["a", "b", "c", "d"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &[], (0, 10));
        run(&mut liveness, &ids, &["b"], (11, 11));
        assert!(run(&mut liveness, &ids, &["b", "c", "d"], (12, 14)).pause.is_some());
        let verdict = run(&mut liveness, &ids, &["b"], (15, 15));
        assert_eq!((verdict.lost.len(), verdict.pause), (1, None));
    }

    #[test]
    fn who_comes_back_ends_the_pause() {
        let ids = ["a", "b", "c"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &["a", "b", "c"], (0, 10));
        assert_eq!(run(&mut liveness, &ids, &[], (11, 11)), Verdict::default());
    }

    #[test]
    fn one_of_two_is_lost_and_two_of_two_are_not() {
        let ids = ["a", "b"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        assert_eq!(run(&mut liveness, &ids, &["b"], (0, 10)).lost.len(), 1);
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        assert!(run(&mut liveness, &ids, &["a", "b"], (0, 10)).pause.is_some());
    }

    #[test]
    fn a_leader_that_slept_waits_for_a_whole_window() {
        let ids = ["a", "b", "c"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &[], (0, 10));
        // It says that it listens before each look.
        liveness.listen(at(3_600_000));
        assert_eq!(liveness.look(at(3_600_000), &known(&ids)), Verdict::default());
        let verdict = run(&mut liveness, &ids, &["c"], (3601, 3603));
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn whoever_does_not_listen_concludes_nothing() {
        let ids = ["a", "b", "c"];
        let mut liveness = Liveness::new(WINDOW);
        liveness.listen(at(0));
        run(&mut liveness, &ids, &[], (0, 2));
        liveness.stop_listening();
        assert_eq!(run(&mut liveness, &ids, &["c"], (3, 30)), Verdict::default());
        liveness.listen(at(30_000));
        assert_eq!(run(&mut liveness, &ids, &["c"], (31, 33)), Verdict::default());
        assert_eq!(run(&mut liveness, &ids, &["c"], (34, 34)).lost.len(), 1);
    }

    proptest! {
        #[test]
        fn nobody_is_lost_who_spoke_within_the_window(
            reports in proptest::collection::vec((0u64..60_000, 0usize..4), 0..200),
        ) {
            let ids = ["a", "b", "c", "d"];
            let mut reports = reports;
            reports.sort_unstable();
            let mut liveness = Liveness::new(WINDOW);
            liveness.listen(at(0));
            let mut last = BTreeMap::new();
            let mut next = reports.into_iter().peekable();
            for tick in (0..60_000).step_by(500) {
                while let Some((time, who)) = next.next_if(|(time, _)| *time <= tick) {
                    liveness.supervisor_reported(at(time), &ids[who].into());
                    last.insert(ids[who], time);
                }
                let verdict = liveness.look(at(tick), &known(&ids));
                prop_assert!(verdict.lost.is_subset(&verdict.silent));
                prop_assert!(verdict.lost.is_empty() || verdict.pause.is_none());
                for id in ids {
                    let heard = last.get(id).copied().unwrap_or(0);
                    prop_assert_eq!(verdict.silent.contains(id), tick - heard >= 4000);
                }
            }
        }
    }
}
