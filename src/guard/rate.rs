//! Which allocation is guarded next: one in N, at random, so that no pattern of a program misses
//! all of them.
//!
//! The fast paths count nothing. A call that they had no block for stands for as many allocations
//! as they have blocks after it. Where blocks go round on the fast paths alone, a slab's frees are
//! counted by its owner, N at a time. When a block is due, each thread goes the slow way until one
//! has allocated.
//!
//! A guarded block takes five system calls. So where N is [`RARE`] or more, and two blocks come
//! within [`APART`] milliseconds, N is doubled. Time halves it again.
//!
//! The first [`EARLY`] calls are the runtime's: Rust's looks whether SIGSEGV has a handler,
//! allocates, and installs its own.

use crate::os::{Mmap, Os, PAGE};
use crate::sync::{AtomicU32, AtomicUsize, Ordering, RelaxedWord};

/// Calls that are never guarded.
const EARLY: u32 = 16;

/// Blocks that are counted one by one.
pub const READY: usize = 64;

/// From this N on, the cost is bounded.
const RARE: u32 = 1000;

/// Milliseconds between two guarded blocks then, of a clock that may go in steps of 4.
const APART: usize = 4;
/// After so many without one, N is halved: well above the clock's steps, or it would swing.
const LONG: usize = 4 * APART;
/// Doublings of N at most.
const MOST: usize = 10;

/// Counts down to the next. Relaxed throughout: it is an estimate, and a count may be lost where
/// two threads count at once. Whether one is due is asked again under the lock.
pub struct Rate {
    /// 0: none.
    one_in: AtomicU32,
    early: AtomicU32,
    /// Allocations until the next.
    left: AtomicUsize,
    seed: AtomicUsize,
    /// Doublings of N now.
    doubled: RelaxedWord,
    /// When the last one came, in milliseconds.
    last: RelaxedWord,
    /// When time last halved N.
    halved: RelaxedWord,
}

impl Rate {
    /// Never.
    pub const fn new() -> Rate {
        Rate {
            one_in: AtomicU32::new(0),
            early: AtomicU32::new(EARLY),
            left: AtomicUsize::new(0),
            seed: AtomicUsize::new(0),
            doubled: RelaxedWord::new(),
            last: RelaxedWord::new(),
            halved: RelaxedWord::new(),
        }
    }

    /// One in `one_in`, from the first on. Before there are threads.
    pub fn set(&self, one_in: u32) {
        self.seed.store(Mmap.entropy() as usize, Ordering::Relaxed);
        self.one_in.store(one_in, Ordering::Relaxed);
        self.draw();
    }

    /// Whether the next allocation is to be guarded.
    pub fn is_due(&self) -> bool {
        self.one_in.load(Ordering::Relaxed) != 0
            && self.left.load(Ordering::Relaxed) == 0
            && self.early.load(Ordering::Relaxed) == 0
    }

    /// Frees of a slab's owner that are counted at once.
    pub fn frees(&self) -> usize {
        (self.one_in.load(Ordering::Relaxed) as usize).clamp(64, 1 << 30)
    }

    /// Counts a call for `size` bytes, and the blocks that the fast paths have after it: none where
    /// they are not taken; as many as are `ready`, which are counted up to [`READY`]; or a page of
    /// them.
    pub fn called(&self, size: usize, ready: Option<usize>) {
        self.passed(
            1 + match ready {
                None => 0,
                Some(ready @ 0..READY) => ready,
                Some(_) => READY.max(PAGE / size.max(16)),
            },
        );
    }

    /// Counts a call, and with it so many allocations.
    pub fn passed(&self, blocks: usize) {
        if self.doubled.is_set() {
            self.halve();
        }
        let early = self.early.load(Ordering::Relaxed);
        if early > 0 {
            self.early.store(early - 1, Ordering::Relaxed);
        }
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(blocks), Ordering::Relaxed);
    }

    /// One was, or there was no slot for it: the next comes in its turn.
    pub fn sampled(&self) {
        if self.one_in.load(Ordering::Relaxed) >= RARE {
            let now = Mmap.milliseconds() as usize;
            let doubled = self.doubled.get();
            let apart = now.wrapping_sub(self.last.get());
            self.last.put(now);
            self.doubled.put(adapted(doubled, apart));
        }
        self.draw();
    }

    /// Halves N, and what is left of it, if no block was guarded for a while: it was doubled when
    /// the program allocated more than now.
    #[cold]
    fn halve(&self) {
        let now = Mmap.milliseconds() as usize;
        if now.wrapping_sub(self.last.get().max(self.halved.get())) >= LONG {
            self.halved.put(now);
            self.doubled.put(self.doubled.get().saturating_sub(1));
            self.left.store(self.left.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }

    /// Draws how many are not guarded until the next: 0 to 2N − 2, N − 1 on average.
    fn draw(&self) {
        let one_in = (self.one_in.load(Ordering::Relaxed) as usize) << self.doubled.get();
        let most = 2 * one_in;
        self.left.store(self.random() % most.saturating_sub(1).max(1), Ordering::Relaxed);
    }

    /// A random number.
    pub fn random(&self) -> usize {
        // Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
        let mut z = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed) as u64;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) as usize
    }
}

/// Doublings of N, after two came so many milliseconds apart.
fn adapted(doubled: usize, apart: usize) -> usize {
    match apart {
        0..APART => (doubled + 1).min(MOST),
        LONG.. => doubled.saturating_sub(1),
        _ => doubled,
    }
}

/// N of `1/N`; 0 for nothing, and for `0`. `None` for all else.
pub fn one_in(text: &[u8]) -> Option<u32> {
    match text {
        b"" | b"0" => Some(0),
        b"1" => Some(1),
        [b'1', b'/', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            core::str::from_utf8(digits).ok()?.parse().ok().filter(|&one_in| one_in > 0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_in_so_many() {
        for (text, rate) in [("", 0), ("0", 0), ("1", 1), ("1/1", 1), ("1/5000", 5000)] {
            assert_eq!(one_in(text.as_bytes()), Some(rate), "{text}");
        }
        for text in ["2", "1/", "1/0", "1/-5", "1/+5", "2/5", "0.1", "5000", "1/99999999999"] {
            assert_eq!(one_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn as_many_are_due_as_the_rate_says() {
        let rate = Rate::new();
        rate.set(100);
        (0..EARLY).for_each(|_| rate.called(PAGE, None));
        let mut due = 0;
        for _ in 0..100_000 {
            if rate.is_due() {
                rate.sampled();
                due += 1;
            } else {
                rate.called(PAGE, None);
            }
        }
        assert!((900..1100).contains(&due), "{due} of 100,000 at one in 100");
    }

    #[test]
    fn one_that_comes_too_often_comes_half_as_often() {
        assert_eq!(adapted(0, 0), 1);
        assert_eq!(adapted(3, APART), 3);
        assert_eq!(adapted(MOST, 1), MOST);
        assert_eq!((adapted(3, LONG), adapted(0, 1000)), (2, 0));
    }

    #[test]
    fn nothing_is_due_when_it_is_off_or_early() {
        let rate = Rate::new();
        (0..EARLY).for_each(|_| rate.called(PAGE, None));
        assert!(!rate.is_due(), "off");
        let rate = Rate::new();
        rate.set(1);
        for _ in 0..EARLY {
            assert!(!rate.is_due());
            rate.called(PAGE, None);
        }
        assert!(rate.is_due());
    }

    #[test]
    fn a_call_stands_for_the_blocks_that_come_with_it() {
        let rate = Rate::new();
        rate.set(1);
        let most = Some(READY);
        for (size, ready, blocks) in [
            (16, None, 1),
            (16, Some(0), 1),
            (16, Some(7), 8),
            (16, most, 257),
            (0, most, 257),
            (1001, Some(5), 6),
            (1001, most, 65),
        ] {
            rate.left.store(1000, Ordering::Relaxed);
            rate.called(size, ready);
            assert_eq!(1000 - rate.left.load(Ordering::Relaxed), blocks, "{size} {ready:?}");
        }
    }

    #[test]
    fn time_halves_a_rate_that_a_burst_has_left() {
        let rate = Rate::new();
        rate.set(RARE);
        rate.doubled.put(3);
        rate.left.store(1 << 20, Ordering::Relaxed);
        rate.last.put(Mmap.milliseconds() as usize);
        rate.called(16, None);
        assert_eq!(rate.doubled.get(), 3, "it has just been");
        rate.last.put(0);
        rate.called(16, None);
        rate.called(16, None);
        assert_eq!(rate.doubled.get(), 2, "once in a while");
        assert_eq!(rate.left.load(Ordering::Relaxed), (1 << 19) - 3);
    }
}
