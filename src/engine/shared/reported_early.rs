//! Double frees that were reported before their slab's owner came to see them, so that it does not
//! report them again. Under the span lock.

/// How many there can be. With more, the others wait for the owner.
const ROOM: usize = if cfg!(loom) { 4 } else { 1024 };

/// Addresses of blocks with two marks: each stands for one report that is to come, and is
/// swallowed.
pub struct ReportedEarly {
    addresses: [usize; ROOM],
    count: usize,
}

impl ReportedEarly {
    /// None.
    pub const fn new() -> ReportedEarly {
        ReportedEarly { addresses: [0; ROOM], count: 0 }
    }

    fn all(&self) -> &[usize] {
        &self.addresses[..self.count]
    }

    /// Whether the block at `address` is among them.
    pub fn contains(&self, address: usize) -> bool {
        self.all().contains(&address)
    }

    /// Whether [`add`](Self::add) has no room.
    pub fn is_full(&self) -> bool {
        self.count == ROOM
    }

    /// Notes the block at `address`.
    pub fn add(&mut self, address: usize) {
        debug_assert!(!self.is_full());
        self.addresses[self.count] = address;
        self.count += 1;
    }

    /// Whether the block at `address` is among them; it is not any more.
    pub fn take(&mut self, address: usize) -> bool {
        let place = self.all().iter().position(|&noted| noted == address);
        if let Some(place) = place {
            self.count -= 1;
            self.addresses[place] = self.addresses[self.count];
        }
        place.is_some()
    }

    /// Forgets all.
    #[cfg(not(loom))]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Forgets the blocks among the `bytes` bytes at `start`.
    pub fn forget(&mut self, start: usize, bytes: usize) {
        let mut place = 0;
        while place < self.count {
            let address = self.addresses[place];
            if address.wrapping_sub(start) < bytes {
                self.take(address);
            } else {
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_swallows_one_report() {
        let mut notes = ReportedEarly::new();
        assert!(!notes.take(64), "nothing is noted yet");
        (0..ROOM).for_each(|place| notes.add(64 * place));
        assert!(notes.is_full() && notes.contains(640));
        assert!(notes.take(640) && !notes.take(640), "once");
        notes.forget(0, 64 * 100);
        assert_eq!(notes.count, ROOM - 100);
        assert!(!notes.contains(0) && notes.contains(6400));
    }
}
