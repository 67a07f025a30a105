//! Double frees that were told before their slab's owner came to see them, so that it need not tell
//! them again. Under the span lock.

/// How many there can be. With more, the others wait for the owner.
const ROOM: usize = if cfg!(loom) { 4 } else { 1024 };

/// Addresses of blocks with two marks: each stands for one report that is to come, and is
/// swallowed.
pub struct Told {
    addresses: [usize; ROOM],
    count: usize,
}

impl Told {
    /// None.
    pub const fn new() -> Told {
        Told { addresses: [0; ROOM], count: 0 }
    }

    fn all(&self) -> &[usize] {
        &self.addresses[..self.count]
    }

    /// Whether it is told of the block at `address`.
    pub fn contains(&self, address: usize) -> bool {
        self.all().contains(&address)
    }

    /// Whether [`add`](Self::add) has no room.
    pub fn is_full(&self) -> bool {
        self.count == ROOM
    }

    /// Notes that it is told of the block at `address`.
    pub fn add(&mut self, address: usize) {
        debug_assert!(!self.is_full());
        self.addresses[self.count] = address;
        self.count += 1;
    }

    /// Whether it is told of the block at `address`: then that is over.
    pub fn take(&mut self, address: usize) -> bool {
        let place = self.all().iter().position(|&told| told == address);
        if let Some(place) = place {
            self.count -= 1;
            self.addresses[place] = self.addresses[self.count];
        }
        place.is_some()
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
        let mut told = Told::new();
        assert!(!told.take(64), "nothing is told yet");
        (0..ROOM).for_each(|place| told.add(64 * place));
        assert!(told.is_full() && told.contains(640));
        assert!(told.take(640) && !told.take(640), "once");
        told.forget(0, 64 * 100);
        assert_eq!(told.count, ROOM - 100);
        assert!(!told.contains(0) && told.contains(6400));
    }
}
