//! What a stream remembers of its slots: which are full, with blocks of which size, and how many
//! bytes that is.

use rand_pcg::Pcg64;

use crate::sizes::below;

/// The slots of one stream.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Bytes in each slot; meaningless where it is empty.
    sizes: Vec<usize>,
    /// Where each full slot stands in `full`.
    places: Vec<usize>,
    full: Vec<usize>,
    empty: Vec<usize>,
    bytes: usize,
}

impl Table {
    /// `slots` empty slots.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            sizes: vec![0; slots],
            places: vec![0; slots],
            full: Vec::with_capacity(slots),
            empty: (0..slots).rev().collect(),
            bytes: 0,
        }
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.sizes.len()
    }

    /// Bytes in all slots.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes in a full slot.
    pub(super) fn size(&self, slot: usize) -> usize {
        self.sizes[slot]
    }

    /// Whether no slot is empty.
    pub(super) fn is_full(&self) -> bool {
        self.empty.is_empty()
    }

    /// Fills an empty slot, of which there is one.
    pub(super) fn fill(&mut self, size: usize) -> usize {
        let slot = self.empty.pop().expect("a slot is empty");
        self.places[slot] = self.full.len();
        self.full.push(slot);
        self.sizes[slot] = size;
        self.bytes += size;
        slot
    }

    /// Empties a full slot.
    pub(super) fn clear(&mut self, slot: usize) {
        let place = self.places[slot];
        self.full.swap_remove(place);
        if let Some(&moved) = self.full.get(place) {
            self.places[moved] = place;
        }
        self.empty.push(slot);
        self.bytes -= self.sizes[slot];
    }

    /// Gives the block of a full slot another size.
    pub(super) fn resize(&mut self, slot: usize, size: usize) {
        self.bytes = self.bytes - self.sizes[slot] + size;
        self.sizes[slot] = size;
    }

    /// Any full slot, if there is one.
    pub(super) fn any(&self, rng: &mut Pcg64) -> Option<usize> {
        let count = self.full.len();
        (count > 0).then(|| self.full[below(rng, count as u64) as usize])
    }
}
