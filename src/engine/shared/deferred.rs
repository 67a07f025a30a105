//! Deferred misuses, which wait to be told: in the order in which they were found, as many as there
//! are. Under the span lock.

use core::mem::MaybeUninit;
use core::ptr;

use crate::misuse::Misuse;

/// How many there is room for at first.
const FIRST: usize = 8;

/// How many are told at a time.
pub const BATCH: usize = 8;

/// A queue that is emptied before it is filled again, mostly.
///
/// ```text
/// next <= count <= FIRST + more        waiting = count - next
/// ```
pub struct Deferred {
    few: [MaybeUninit<Misuse>; FIRST],
    /// Where they are once there were more than those: memory for ever, or null.
    many: *mut MaybeUninit<Misuse>,
    /// For how many more than [`FIRST`] there is room: an empty queue is all zero, and costs no
    /// room in a file.
    more: usize,
    /// The first that is not told, and how many there are with the told ones before it.
    next: usize,
    count: usize,
}

impl Deferred {
    /// None.
    pub const fn new() -> Deferred {
        Deferred {
            few: [const { MaybeUninit::zeroed() }; FIRST],
            many: ptr::null_mut(),
            more: 0,
            next: 0,
            count: 0,
        }
    }

    /// Forgets those that wait.
    #[cfg(not(loom))]
    pub fn forget(&mut self) {
        (self.next, self.count) = (0, 0);
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.next == self.count
    }

    /// Whether [`push`](Self::push) has no room.
    pub fn is_full(&self) -> bool {
        self.count == self.room()
    }

    /// Bytes that [`move_to`](Self::move_to) needs: twice the room there is.
    pub fn bytes_of_more(&self) -> usize {
        2 * self.room() * size_of::<Misuse>()
    }

    /// Goes on in `place`, with more room.
    ///
    /// # Safety
    /// `place` has [`bytes_of_more`](Self::bytes_of_more) bytes that nobody else ever uses, aligned
    /// for a `Misuse`.
    pub unsafe fn move_to(&mut self, place: *mut MaybeUninit<Misuse>) {
        // SAFETY: both hold `count` elements, and do not overlap.
        unsafe { ptr::copy_nonoverlapping(self.place(), place, self.count) };
        self.many = place;
        self.more += self.room();
    }

    /// Adds one, if there is room.
    pub fn push(&mut self, misuse: Misuse) {
        if !self.is_full() {
            // SAFETY: below the room.
            unsafe { self.place().add(self.count).write(MaybeUninit::new(misuse)) };
            self.count += 1;
        }
    }

    /// Takes the first [`BATCH`], or what there is.
    pub fn take(&mut self) -> [Option<Misuse>; BATCH] {
        let batch = core::array::from_fn(|_| {
            (self.next < self.count).then(|| {
                self.next += 1;
                // SAFETY: below the count: written by `push`.
                unsafe { (*self.place().add(self.next - 1)).assume_init() }
            })
        });
        if self.is_empty() {
            (self.next, self.count) = (0, 0);
        }
        batch
    }

    fn room(&self) -> usize {
        FIRST + self.more
    }

    fn place(&mut self) -> *mut MaybeUninit<Misuse> {
        if self.many.is_null() { self.few.as_mut_ptr() } else { self.many }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::misuse::{BlockState, Found, MisuseKind};

    #[test]
    fn all_come_out_once_and_in_order() {
        let misuse = |address| Misuse {
            kind: MisuseKind::DoubleFree,
            address,
            size: None,
            state: BlockState::Free,
            found: Found::Late,
        };
        let mut deferred = Deferred::new();
        let (mut pushed, mut taken) = (0, 0);
        for round in 1..40 {
            for _ in 0..round {
                if deferred.is_full() {
                    let place = vec![0u64; deferred.bytes_of_more() / 8].leak().as_mut_ptr();
                    // SAFETY: memory of that size, for ever.
                    unsafe { deferred.move_to(place.cast()) };
                }
                deferred.push(misuse(pushed));
                pushed += 1;
            }
            for misuse in deferred.take().into_iter().flatten() {
                assert_eq!(misuse.address, taken);
                taken += 1;
            }
        }
        while !deferred.is_empty() {
            for misuse in deferred.take().into_iter().flatten() {
                assert_eq!(misuse.address, taken);
                taken += 1;
            }
        }
        assert_eq!(taken, pushed);
    }
}
