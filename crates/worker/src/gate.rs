//! Which workers may talk to this one: those that the newest assignment lists.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use storm_messaging::{Gate, Hello, Refusal, Verdict};
use storm_model::{Assignment, Incarnation, WorkerSlot};

use crate::mailbox::{Mailbox, News};

/// A slot as text, as it stands in handshakes.
pub(crate) fn slot_text(slot: &WorkerSlot) -> String {
    slot.to_string()
}

/// What the gate knows.
#[derive(Default)]
struct Known {
    version: u64,
    /// Number by slot.
    numbers: BTreeMap<String, u64>,
    /// The newest lives that have shown themselves.
    lives: BTreeMap<String, Incarnation>,
}

/// The gate of this worker; asked by messaging's threads.
pub(crate) struct Doorkeeper {
    known: RwLock<Known>,
    mailbox: Arc<Mailbox>,
}

impl Doorkeeper {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Doorkeeper {
        Doorkeeper { known: RwLock::default(), mailbox }
    }

    /// From now on those of this assignment may talk.
    pub(crate) fn follow(&self, assignment: &Assignment) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.version = assignment.version;
        known.numbers = assignment.workers.iter().map(|w| (slot_text(&w.slot), w.number)).collect();
        let Known { numbers, lives, .. } = &mut *known;
        lives.retain(|slot, life| numbers.get(slot) == Some(&life.number));
    }
}

impl Known {
    /// Pure: may this worker talk? The third: does it know of a newer assignment?
    fn judge(&mut self, slot: &str, life: Incarnation, version: u64) -> Verdict {
        let is_ahead = version > self.version;
        match self.numbers.get(slot) {
            Some(number) if *number == life.number => {
                let newest = self.lives.entry(slot.to_owned()).or_insert(life);
                if life < *newest {
                    return Verdict::Refuse(Refusal::Replaced { newest: *newest });
                }
                *newest = life;
                Verdict::Accept
            }
            _ if is_ahead => Verdict::Refuse(Refusal::NotYetKnown),
            Some(number) => {
                let newest = Incarnation { number: *number, restarts: 0 };
                // A number that was given later than ours is in an assignment that we do not know.
                let is_older = life.number < *number;
                Verdict::Refuse(if is_older { Refusal::Replaced { newest } } else { Refusal::NotYetKnown })
            }
            None => {
                let text = format!("assignment {} does not list it", self.version);
                Verdict::Refuse(Refusal::Other(text))
            }
        }
    }
}

impl Gate for Doorkeeper {
    fn assignment_version(&self) -> u64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).version
    }

    fn judge(&self, hello: &Hello) -> Verdict {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let verdict = known.judge(&hello.from.slot, hello.from.incarnation, hello.assignment_version);
        drop(known);
        if verdict == Verdict::Refuse(Refusal::NotYetKnown) {
            self.mailbox.post(News::Stale { by: hello.from.slot.clone(), refusal: None });
        }
        verdict
    }

    fn refused(&self, by: &Hello, refusal: &Refusal) {
        if !matches!(refusal, Refusal::NotYetKnown | Refusal::OtherSession) {
            self.mailbox.post(News::Stale { by: by.from.slot.clone(), refusal: Some(refusal.clone()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known { version: 5, numbers: [("a:1".to_owned(), 3)].into(), lives: BTreeMap::new() }
    }

    fn life(number: u64, restarts: u64) -> Incarnation {
        Incarnation { number, restarts }
    }

    #[test]
    fn the_listed_life_may_talk_and_no_former_one() {
        let mut known = known();
        assert_eq!(known.judge("a:1", life(3, 0), 5), Verdict::Accept);
        assert_eq!(known.judge("a:1", life(3, 2), 5), Verdict::Accept);
        let replaced = |newest| Verdict::Refuse(Refusal::Replaced { newest });
        assert_eq!(known.judge("a:1", life(3, 1), 5), replaced(life(3, 2)));
        assert_eq!(known.judge("a:1", life(2, 9), 4), replaced(life(3, 0)));
    }

    #[test]
    fn who_knows_more_waits_until_we_have_caught_up() {
        let mut known = known();
        assert_eq!(known.judge("a:1", life(6, 0), 6), Verdict::Refuse(Refusal::NotYetKnown));
        assert_eq!(known.judge("b:1", life(6, 0), 6), Verdict::Refuse(Refusal::NotYetKnown));
        assert!(matches!(known.judge("b:1", life(2, 0), 5), Verdict::Refuse(Refusal::Other(_))));
    }
}
