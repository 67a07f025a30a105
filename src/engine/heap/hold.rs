//! How long something that lies idle is held before it goes back.
//!
//! A thread that has ended its work and one that is about to begin it anew look the same. But where
//! something went back and was needed soon after, that was too early: the thread took the lock for
//! it, and faulted pages in again. So the next is held twice as long. After some time it is not.

/// Doublings at most. 32 threads that go eight times through 64 classes, 256 KiB in each, and then
/// idle, keep 75 MiB, 64 if nothing is held longer; with two doublings it is 86, with six 228.
const MOST: u8 = 1;

/// The bit that says: something went back, and time has not halved since.
const WENT: u8 = 1 << 7;

/// For how many turns something is held: one at first.
///
/// | bits | mean |
/// |---|---|
/// | 0 to 6 | doublings |
/// | 7 | something went back, and was not needed yet |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(u8);

impl Hold {
    /// One turn.
    pub const SHORT: Hold = Hold(0);

    /// Turns.
    pub fn turns(self) -> u8 {
        1 << (self.0 & !WENT)
    }

    /// Something goes back.
    pub fn went(&mut self) {
        self.0 |= WENT;
    }

    /// A slab of the class is needed. Returns whether one went back too early.
    pub fn needed(&mut self) -> bool {
        let early = self.0 & WENT != 0;
        if early {
            self.0 = ((self.0 & !WENT) + 1).min(MOST);
        }
        early
    }

    /// Some time has passed.
    pub fn halve(&mut self) {
        self.0 = (self.0 & !WENT).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_too_early_is_held_longer_and_time_forgets_it() {
        let mut hold = Hold::SHORT;
        assert!(!hold.needed(), "nothing went back");
        assert_eq!(hold.turns(), 1);
        for turns in [2, 2] {
            hold.went();
            assert!(hold.needed() && !hold.needed());
            assert_eq!(hold.turns(), turns);
        }
        for turns in [1, 1] {
            hold.went();
            hold.halve();
            assert_eq!(hold.turns(), turns);
        }
        assert_eq!(hold, Hold::SHORT);
    }
}
