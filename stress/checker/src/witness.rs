//! Mutual exclusion: a witness stands in every critical section of a heap and sees who else is
//! there.
//!
//! | `inside` | means |
//! |---|---|
//! | 0 | nobody is inside |
//! | a thread's token | that thread has entered, and not left |
//!
//! An entry that finds a token, another thread's or its own, and an exit that does not find its
//! own, are violations, reported at once. Where the heap says that another thread could interfere,
//! the witness lets the [schedule](crate::schedule) act, so that sections are left in their middle
//! more often than by chance.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sees who is inside one heap's critical sections.
#[derive(Debug, Default)]
pub struct Witness {
    inside: AtomicUsize,
}

thread_local! {
    // Its address is the thread's token. No destructor and a constant start: the heap's code may
    // run in any thread at any time.
    static TOKEN: Cell<u8> = const { Cell::new(0) };
}

/// A thread is, or was, in a critical section with another, or with itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Intrusion {
    /// The thread is inside already.
    #[error("a thread entered that had not left since it entered before")]
    Reentered,
    /// Another thread is inside.
    #[error("a thread entered while another was inside")]
    Met,
    /// Nobody was inside.
    #[error("a thread left that was not inside, or another left for it")]
    NotInside,
    /// Another thread was inside.
    #[error("a thread left while another was inside")]
    LeftAnother,
    /// Somebody is inside though all threads are at rest.
    #[error("a thread entered and never left")]
    NeverLeft,
}

/// Nobody is inside.
const NOBODY: usize = 0;

impl Witness {
    /// A witness who sees nobody.
    pub const fn new() -> Self {
        Self { inside: AtomicUsize::new(NOBODY) }
    }

    /// The calling thread enters.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn enter(&self) -> Result<(), Intrusion> {
        let token = token();
        // AcqRel: pairs with the other swaps. The witness adds no order that the lock does not
        // give: what counts is the value found, and a swap finds the latest.
        match self.inside.swap(token, Ordering::AcqRel) {
            NOBODY => Ok(()),
            found if found == token => Err(Intrusion::Reentered),
            _ => Err(Intrusion::Met),
        }
    }

    /// The calling thread leaves.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn leave(&self) -> Result<(), Intrusion> {
        // AcqRel: as in `enter`.
        match self.inside.swap(NOBODY, Ordering::AcqRel) {
            found if found == token() => Ok(()),
            NOBODY => Err(Intrusion::NotInside),
            _ => Err(Intrusion::LeftAnother),
        }
    }

    /// Whether nobody is inside, as it must be when all threads are at rest.
    ///
    /// # Errors
    /// Somebody is.
    pub fn at_rest(&self) -> Result<(), Intrusion> {
        // Acquire: pairs with the swaps of threads that have come to rest.
        match self.inside.load(Ordering::Acquire) {
            NOBODY => Ok(()),
            _ => Err(Intrusion::NeverLeft),
        }
    }
}

/// A number of the calling thread's own, not 0: the address of a variable of its own.
fn token() -> usize {
    TOKEN.with(|token| std::ptr::from_ref(token).addr())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_second_entry_is_seen_whoever_makes_it() {
        let witness = Witness::new();
        assert_eq!(witness.enter(), Ok(()));
        assert_eq!(witness.at_rest(), Err(Intrusion::NeverLeft));
        let other = thread::scope(|scope| scope.spawn(|| witness.enter()).join().unwrap());
        assert_eq!(other, Err(Intrusion::Met));

        let witness = Witness::new();
        assert_eq!(witness.enter(), Ok(()));
        assert_eq!(witness.enter(), Err(Intrusion::Reentered));
    }

    #[test]
    fn an_exit_must_be_by_the_one_inside() {
        let witness = Witness::new();
        assert_eq!(witness.leave(), Err(Intrusion::NotInside));
        assert_eq!(witness.enter(), Ok(()));
        let other = thread::scope(|scope| scope.spawn(|| witness.leave()).join().unwrap());
        assert_eq!(other, Err(Intrusion::LeftAnother));

        let witness = Witness::new();
        assert_eq!((witness.enter(), witness.leave(), witness.at_rest()), (Ok(()), Ok(()), Ok(())));
    }
}
