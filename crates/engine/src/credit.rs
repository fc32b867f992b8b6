//! Credit: the one mechanism of back-pressure. Each executor's inbox has an account; who wants to
//! send a row draws credit first, and the receiver returns it when it takes the row.
//!
//! So rows that are sent always fit: an inbox never holds more than its window. Senders draw in
//! chunks and return what they did not use with every flush.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::sync::{Mutex, MutexGuard};

/// Bytes that an inbox may hold; one larger row goes alone into an empty inbox.
pub const WINDOW_BYTES: i64 = 1 << 20;
/// Most rows drawn at once; as many as a batch holds.
const CHUNK_ROWS: i64 = 1024;
/// Most bytes drawn at once; as many as a batch holds.
const CHUNK_BYTES: i64 = 64 << 10;

/// Credit that was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Rows.
    pub rows: i64,
    /// Bytes.
    pub bytes: i64,
}

/// The account of one inbox. Locked for some nanoseconds per chunk, not per row.
#[derive(Debug)]
pub struct Account {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window_rows: i64,
    out: Grant,
    senders: i64,
    /// The receiver has nothing to do.
    is_idle: bool,
    /// Executors that wait for credit, first come first served.
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    sender: u32,
    /// Size of its next row.
    bytes: i64,
}

impl Account {
    /// An account that `senders` executors draw on. It starts with one row: how fast the receiver
    /// is will be known after the first.
    pub fn new(senders: usize) -> Account {
        let state = State {
            window_rows: 1,
            out: Grant::default(),
            senders: (senders as i64).max(1),
            is_idle: true,
            waiting: VecDeque::new(),
        };
        Account { state: Mutex::new(state) }
    }

    /// Draws credit for at least one row of `bytes` bytes, and some more if there is plenty. With
    /// none left `sender` joins the queue and will be among those that
    /// [`give_back`](Account::give_back) or [`resize`](Account::resize) name; it then draws again.
    pub fn draw(&self, bytes: usize, sender: u32) -> Option<Grant> {
        let bytes = bytes as i64;
        let mut s = self.lock();
        let place = s.waiting.iter().position(|w| w.sender == sender);
        let last = s.waiting.len();
        let grant = s.draw(bytes, place.unwrap_or(last));
        match (grant, place) {
            (Some(_), Some(place)) => drop(s.waiting.remove(place)),
            (None, Some(place)) => s.waiting[place].bytes = bytes,
            (None, None) => s.waiting.push_back(Waiter { sender, bytes }),
            (Some(_), None) => {}
        }
        grant
    }

    /// As [`draw`](Account::draw), for a sender that does not insist: it does not join the queue.
    pub fn try_draw(&self, bytes: usize) -> Option<Grant> {
        let mut s = self.lock();
        let last = s.waiting.len();
        s.draw(bytes as i64, last)
    }

    /// Returns credit: of rows that were taken, or that a sender drew and did not use. Those who
    /// may draw now are appended to `wake`.
    pub fn give_back(&self, grant: Grant, wake: &mut Vec<u32>) {
        self.lock().give_back(grant, wake);
    }

    /// As [`give_back`](Account::give_back), by the receiver, of rows that it took: it has work.
    pub fn take(&self, grant: Grant, wake: &mut Vec<u32>) {
        let mut s = self.lock();
        s.is_idle = false;
        s.give_back(grant, wake);
    }

    /// The receiver has nothing to do: who waits is named as soon as there is credit for it.
    pub fn idle(&self, wake: &mut Vec<u32>) {
        let mut s = self.lock();
        s.is_idle = true;
        s.wake(wake);
    }

    /// Sets the window: how many rows the inbox may hold.
    pub fn resize(&self, rows: i64, wake: &mut Vec<u32>) {
        let mut s = self.lock();
        s.window_rows = rows.max(1);
        s.wake(wake);
    }

    /// How full the inbox is: 0 empty, 1 full (Storm's load of a task).
    pub fn load(&self) -> f64 {
        let s = self.lock();
        let rows = s.out.rows as f64 / s.window_rows as f64;
        rows.max(s.out.bytes as f64 / WINDOW_BYTES as f64).clamp(0.0, 1.0)
    }

    /// Credit that is out: drawn, not yet returned.
    pub fn outstanding(&self) -> Grant {
        self.lock().out
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain arithmetic cannot panic half-way, so a poisoned state is a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// For the sender at this place of the queue: who is before it has the first claim.
    fn draw(&mut self, bytes: i64, place: usize) -> Option<Grant> {
        let rows_left = self.window_rows - self.out.rows - place as i64;
        let bytes_left = WINDOW_BYTES - self.out.bytes;
        if rows_left < 1 {
            return None;
        }
        let first = self.waiting.front();
        if place > 0 && first.is_some_and(|w| w.bytes > bytes_left) {
            // A large row waits for an empty inbox; it would never become empty.
            return None;
        }
        let grant = if bytes <= bytes_left {
            let rows = (rows_left / self.senders).clamp(1, CHUNK_ROWS);
            let chunk = (bytes_left / self.senders).min(CHUNK_BYTES);
            Grant { rows, bytes: chunk.max(bytes) }
        } else if self.out.rows == 0 {
            Grant { rows: 1, bytes }
        } else {
            return None;
        };
        self.out.rows += grant.rows;
        self.out.bytes += grant.bytes;
        Some(grant)
    }

    fn give_back(&mut self, grant: Grant, wake: &mut Vec<u32>) {
        self.out.rows -= grant.rows;
        self.out.bytes -= grant.bytes;
        let out = self.out;
        debug_assert!(out.rows >= 0 && out.bytes >= 0, "more credit came back than was drawn: {out:?}");
        self.wake(wake);
    }

    /// Names those whose turn it is. They keep their places until they have drawn.
    ///
    /// While the receiver has work nobody is named before half of the window is free: a sender woken
    /// for every few rows costs more than the rows. When it has none, what is out may be with
    /// senders that are held up, and nobody waits for them.
    fn wake(&mut self, wake: &mut Vec<u32>) {
        let free = (self.window_rows - self.out.rows).max(0);
        let is_half_free = 2 * free >= self.window_rows && 2 * self.out.bytes <= WINDOW_BYTES;
        if self.waiting.is_empty() || !(self.is_idle || is_half_free) {
            return;
        }
        wake.extend(self.waiting.iter().take(free as usize).map(|w| w.sender));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn starts_with_one_row() {
        let account = Account::new(2);
        assert_eq!(account.draw(50, 1).unwrap().rows, 1);
        assert_eq!(account.draw(50, 2), None);
        let mut wake = vec![];
        account.resize(10, &mut wake);
        assert_eq!(wake, [2]);
        assert_eq!(account.draw(50, 2).unwrap().rows, 4, "a fair share of the 9 that are left");
        account.resize(10, &mut wake);
        assert_eq!(wake, [2], "nobody waits any more");
    }

    #[test]
    fn a_row_larger_than_the_window_goes_alone() {
        let account = Account::new(1);
        account.resize(100, &mut vec![]);
        let big = WINDOW_BYTES as usize * 3;
        let small = account.draw(10, 0).unwrap();
        assert_eq!(account.draw(big, 0), None);
        let mut wake = vec![];
        account.give_back(small, &mut wake);
        assert_eq!(wake, [0]);
        let grant = account.draw(big, 0).unwrap();
        assert_eq!(grant, Grant { rows: 1, bytes: big as i64 });
        assert_eq!(account.draw(10, 0), None, "nothing beside it");
    }

    #[test]
    fn a_window_that_shrinks_stops_draws_until_enough_came_back() {
        let account = Account::new(1);
        account.resize(100, &mut vec![]);
        let grant = account.draw(10, 0).unwrap();
        account.resize(10, &mut vec![]);
        assert_eq!(account.draw(10, 0), None);
        account.give_back(grant, &mut vec![]);
        assert_eq!(account.draw(10, 0).unwrap().rows, 10);
    }

    #[test]
    fn no_more_are_woken_than_rows_are_free() {
        let account = Account::new(4);
        let grant = account.draw(10, 0).unwrap();
        for sender in 1..4 {
            assert_eq!(account.draw(10, sender), None);
        }
        let mut wake = vec![];
        account.give_back(grant, &mut wake);
        assert_eq!(wake, [1], "first come, first served");
    }

    #[test]
    fn who_waits_longest_draws_first() {
        let account = Account::new(3);
        let grant = account.draw(10, 0).unwrap();
        assert_eq!(account.draw(10, 1), None);
        assert_eq!(account.draw(10, 2), None);
        account.give_back(grant, &mut vec![]);
        assert_eq!(account.draw(10, 2), None, "1 was there before");
        assert_eq!(account.try_draw(10), None);
        assert!(account.draw(10, 1).is_some());
    }

    #[test]
    fn who_waits_at_an_idle_receiver_is_named_though_others_hold_most_of_the_window() {
        let account = Account::new(3);
        account.resize(9, &mut vec![]);
        let held = [account.draw(10, 0).unwrap(), account.draw(10, 1).unwrap()];
        assert_eq!(held.iter().map(|g| g.rows).sum::<i64>(), 5, "more than half, by calls that go on");
        let mut taken = Grant::default();
        while let Some(grant) = account.draw(10, 2) {
            taken = Grant { rows: taken.rows + grant.rows, bytes: taken.bytes + grant.bytes };
        }
        let mut wake = vec![];
        account.take(taken, &mut wake);
        assert_eq!(wake, [0; 0], "the receiver has work");
        account.idle(&mut wake);
        assert_eq!(wake, [2]);
    }

    #[test]
    fn small_rows_do_not_starve_a_large_one() {
        let account = Account::new(2);
        account.resize(100, &mut vec![]);
        let small = account.draw(10, 0).unwrap();
        let large = WINDOW_BYTES as usize + 1;
        assert_eq!(account.draw(large, 1), None);
        assert_eq!(account.draw(10, 0), None, "the large one has to get an empty inbox");
        let mut wake = vec![];
        account.give_back(small, &mut wake);
        assert_eq!(wake[0], 1);
        assert!(account.draw(large, 1).is_some());
    }

    proptest! {
        /// Whatever is drawn and returned: the window holds (a lone large row aside), and whoever
        /// was refused is woken once credit is there.
        #[test]
        fn the_window_holds_and_nobody_is_forgotten(
            steps in proptest::collection::vec((0u8..4, 0u32..4, 1usize..200_000), 1..300)
        ) {
            let account = Account::new(4);
            let mut held: Vec<Vec<Grant>> = vec![vec![]; 4];
            let mut refused = std::collections::BTreeSet::new();
            let mut window = 1i64;
            for (what, sender, size) in steps {
                let mut wake = vec![];
                match what {
                    0 | 1 => {
                        match account.draw(size, sender) {
                            Some(grant) => {
                                prop_assert!(grant.rows >= 1 && grant.bytes >= size as i64);
                                let out = account.outstanding();
                                prop_assert!(out.rows <= window);
                                prop_assert!(out.bytes <= WINDOW_BYTES || out.rows == 1);
                                held[sender as usize].push(grant);
                                refused.remove(&sender);
                            }
                            None => { refused.insert(sender); }
                        }
                    }
                    2 => if let Some(grant) = held[sender as usize].pop() {
                        account.give_back(grant, &mut wake);
                    },
                    _ => {
                        window = (size % 1000) as i64 + 1;
                        account.resize(window, &mut wake);
                    }
                }
                // Whoever is woken draws again, as the contract of `draw` says.
                for woken in wake {
                    refused.remove(&woken);
                    match account.draw(1, woken) {
                        Some(grant) => held[woken as usize].push(grant),
                        None => { refused.insert(woken); }
                    }
                }
                let out = account.outstanding();
                let sum: i64 = held.iter().flatten().map(|g| g.rows).sum();
                prop_assert_eq!(out.rows, sum);
                if out.rows == 0 {
                    prop_assert!(refused.is_empty(), "an empty inbox, and {refused:?} wait");
                }
            }
        }
    }
}
