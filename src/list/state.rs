//! The heap's state, which the lock protects, and the steps that all operations on it share. The
//! operations stand in files of their own above this one.
//!
//! Invariants, which `check` walks:
//!
//! ```text
//! region.bytes          = sum of its blocks' sizes + END_BYTES
//! block.before          = size of the block before it, 0 for the region's first
//! index                 = the free blocks of all regions; no two of them are neighbours
//! counts.free_bytes     = sum of the free blocks' sizes, headers included
//! counts.live_bytes     = sum of the live blocks' sizes, without headers, + those of huge blocks
//! counts.block_mappings = sum of the mappings' bytes = regions + huge blocks + stranded ones
//! ```
//!
//! A header that does not bear its check value is never followed. It is noted as a misuse found
//! late, and the heap goes on without the blocks that it led to.

use core::ptr;

use super::header::{Block, END_BYTES, Header, Links, MAX_BLOCK, Seal, Status};
use super::index::{Index, Tables};
use super::regions::{Kind, Mapping, Regions};
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};
use crate::os::{Os, PAGE};

/// Blocks larger than this, header included, get a mapping of their own.
pub const HUGE: usize = 512 << 10;
/// The first region's size. Each one after is twice as large, up to [`LAST_REGION`].
pub const FIRST_REGION: usize = 256 << 10;
/// The largest region.
pub const LAST_REGION: usize = MAX_BLOCK;

const _: () = assert!(HUGE + END_BYTES <= LAST_REGION);

/// What a heap takes as given: its OS, its probe, its limit.
#[derive(Debug)]
pub struct Ground<O, P> {
    pub os: O,
    pub probe: P,
    /// The most bytes that regions and huge blocks may take up.
    pub limit: usize,
}

#[derive(Debug)]
pub struct State {
    pub(super) seal: Seal,
    /// Mapped at the first allocation.
    pub(super) index: Option<Index>,
    pub(super) regions: Regions,
    pub(super) counts: Counts,
    /// Misuses found late that no sweep has handed over, oldest first.
    deferred: [Option<Misuse>; DEFERRED],
    /// Address of the one wholly free region that is kept, or 0.
    pub(super) spare: usize,
}

/// Running totals. Meanings as in [`crate::Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub live_bytes: usize,
    pub live_blocks: usize,
    pub free_bytes: usize,
    pub free_blocks: usize,
    /// Bytes of regions and huge mappings, without the heap's own tables.
    pub block_mappings: usize,
    pub regions: usize,
    pub huge_blocks: usize,
    pub misuses_at_call: u64,
    pub misuses_late: u64,
}

/// How many misuses found late are kept for the next sweep; further ones are only counted.
const DEFERRED: usize = 8;

// SAFETY: the raw pointers inside are to mappings that this state alone owns; no thread's identity
// is tied to them.
unsafe impl Send for State {}

impl State {
    pub const fn new() -> State {
        State {
            seal: Seal::new(0),
            index: None,
            regions: Regions::new(),
            counts: Counts {
                live_bytes: 0,
                live_blocks: 0,
                free_bytes: 0,
                free_blocks: 0,
                block_mappings: 0,
                regions: 0,
                huge_blocks: 0,
                misuses_at_call: 0,
                misuses_late: 0,
            },
            deferred: [None; DEFERRED],
            spare: 0,
        }
    }

    // ---- Lists and neighbours ------------------------------------------------------------------

    /// The block, or the region's end, behind `block` of `size` bytes.
    pub(super) fn behind(&self, block: Block, size: usize) -> Block {
        // SAFETY: sizes come from believed headers, whose blocks are followed by another or by END.
        unsafe { Block::at(block.address().add(size)) }
    }

    /// Puts a free block into the list of its size, and counts it.
    pub(super) fn list(&mut self, block: Block, size: usize, before: usize, status: Status) {
        let Some(index) = &mut self.index else { return };
        self.counts.free_bytes += size;
        self.counts.free_blocks += 1;
        if let Err(head) = index.push(self.seal, block, size, before, status) {
            self.note_corrupt(head);
        }
    }

    /// Takes a free block out of its list, and no longer counts it.
    pub(super) fn unlist(&mut self, block: Block, header: Header, links: Links) {
        let Some(index) = &mut self.index else { return };
        self.counts.free_bytes -= header.size as usize;
        self.counts.free_blocks -= 1;
        if let Err(neighbour) = index.unlink(self.seal, block, header.size as usize, links) {
            self.note_corrupt(neighbour);
        }
    }

    /// Writes into the header behind `block` that the block has `size` bytes.
    pub(super) fn set_before(&mut self, block: Block, size: usize) {
        let next = self.behind(block, size);
        match self.seal.read_in_row(next) {
            Some((header, links)) => {
                self.seal.write_linked(next, header.size as usize, size, header.status, links);
            }
            None => self.note_corrupt(next),
        }
    }

    // ---- Misuses found late --------------------------------------------------------------------

    /// Notes, for the next sweep, that the header of `block` does not bear its check value.
    #[cold]
    pub(super) fn note_corrupt(&mut self, block: Block) {
        let address = block.payload() as usize;
        if self.deferred.iter().flatten().any(|known| known.address == address) {
            return; // an operation can come by a header more than once
        }
        self.counts.misuses_late += 1;
        let misuse = Misuse {
            kind: MisuseKind::CorruptHeader,
            address,
            size: None,
            state: BlockState::Unknown,
            found: Found::Late,
        };
        if let Some(place) = self.deferred.iter_mut().find(|place| place.is_none()) {
            *place = Some(misuse);
        }
    }

    /// Whether [`Self::take_deferred`] has something to take.
    pub fn has_deferred(&self) -> bool {
        self.deferred[0].is_some()
    }

    /// Takes the misuses that were found late and not handed over yet.
    pub fn take_deferred(&mut self) -> [Option<Misuse>; DEFERRED] {
        core::mem::replace(&mut self.deferred, [None; DEFERRED])
    }

    // ---- The whole -----------------------------------------------------------------------------

    /// Bytes of the heap's own tables.
    pub fn table_bytes(&self) -> usize {
        self.regions.table_bytes() + if self.index.is_some() { TABLES_BYTES } else { 0 }
    }

    /// Gives everything back, live blocks included.
    pub fn release_all(&mut self, os: &impl Os) {
        for mapping in self.regions.all() {
            let start = ptr::with_exposed_provenance_mut(mapping.start);
            // SAFETY: the whole mapping; the heap ceases to be, and its blocks with it. If the OS
            // fails, it leaks; there is nobody to report it to.
            unsafe { os.unmap(start, mapping.bytes) };
        }
        self.regions.release_table(os);
        if let Some(index) = self.index.take() {
            // SAFETY: the whole of the tables' mapping; the index is gone.
            unsafe { os.unmap(index.into_tables().cast(), TABLES_BYTES) };
        }
        *self = State::new();
    }
}

/// Bytes of the index's mapping.
pub const TABLES_BYTES: usize = size_of::<Tables>().next_multiple_of(PAGE);

/// The address of a mapping's one block; of a region, which has many, its first.
pub fn huge_block(mapping: &Mapping) -> usize {
    match mapping.kind {
        Kind::Huge(block) | Kind::Stranded(block) => block,
        Kind::Region => mapping.start,
    }
}
