//! The walk over a heap at rest: every invariant of [`super::state`], or the first that is broken.

use core::ptr;

use super::header::{Block, END_BYTES, HEADER, MIN_BLOCK, Status};
use super::regions::{Kind, Mapping};
use super::state::State;
use crate::stats::Broken;

/// What a walk has counted.
#[derive(Default, PartialEq, Eq)]
struct Counted {
    live_bytes: usize,
    live_blocks: usize,
    free_bytes: usize,
    free_blocks: usize,
    block_mappings: usize,
    regions: usize,
    huge_blocks: usize,
}

impl State {
    /// Walks everything. Takes time in proportion to the number of blocks.
    pub fn check(&mut self) -> Result<(), Broken> {
        let mut counted = Counted::default();
        let mut end = 0;
        for number in 0..self.regions.all().len() {
            let mapping = self.regions.all()[number];
            hold(mapping.start >= end, "mappings are sorted and do not overlap", mapping.start)?;
            end = mapping.end();
            counted.block_mappings += mapping.bytes;
            match mapping.kind {
                Kind::Region => self.walk_region(mapping, &mut counted)?,
                Kind::Huge(block) => {
                    let inside = mapping.start <= block && block < mapping.end();
                    hold(inside, "a huge block lies in its mapping", block)?;
                    counted.huge_blocks += 1;
                    counted.live_blocks += 1;
                    counted.live_bytes += mapping.end() - block;
                }
                Kind::Stranded(_) => {}
            }
        }
        self.walk_lists(&counted)?;
        self.compare(&counted)
    }

    fn walk_region(&self, mapping: Mapping, counted: &mut Counted) -> Result<(), Broken> {
        counted.regions += 1;
        // SAFETY: a region begins with a block.
        let mut block = unsafe { Block::at(ptr::with_exposed_provenance_mut(mapping.start)) };
        let (mut before, mut after_free) = (0, false);
        loop {
            let at = block.address() as usize;
            let (header, _) = self
                .seal
                .read(block)
                .ok_or(Broken { invariant: "a header bears its check value", address: at })?;
            let size = header.size as usize;
            hold(
                header.before as usize == before,
                "a header knows the size of the block before",
                at,
            )?;
            if header.status == Status::END {
                return hold(
                    at + END_BYTES == mapping.end(),
                    "a region ends in its END header",
                    at,
                );
            }
            let fits =
                size >= MIN_BLOCK && size.is_multiple_of(HEADER) && at + size < mapping.end();
            hold(fits, "a block's size is possible", at)?;
            if header.status.is_free() {
                hold(!after_free, "no two free blocks are neighbours", at)?;
                counted.free_bytes += size;
                counted.free_blocks += 1;
            } else {
                hold(header.status == Status::LIVE, "a block is live or free", at)?;
                counted.live_bytes += size - HEADER;
                counted.live_blocks += 1;
            }
            after_free = header.status.is_free();
            before = size;
            block = self.behind(block, size);
        }
    }

    /// Every listed block is free, of its list's size, and linked both ways; and there are as many
    /// as the regions hold, so that each free block is in exactly one list.
    fn walk_lists(&mut self, counted: &Counted) -> Result<(), Broken> {
        let seal = self.seal;
        let Some(index) = &mut self.index else {
            return hold(counted.free_blocks == 0, "a heap without an index has no blocks", 0);
        };
        hold(index.bits_agree(), "the bitmap says which lists are empty", 0)?;
        let (mut listed, mut result) = (0, Ok(()));
        index.for_each_list(|size, head| {
            if result.is_ok() {
                let longest = counted.free_blocks - listed;
                result = walk_list(seal, size, head, longest).map(|length| listed += length);
            }
        });
        result?;
        hold(listed == counted.free_blocks, "every free block is in a list", 0)
    }

    fn compare(&self, counted: &Counted) -> Result<(), Broken> {
        let counts = &self.counts;
        let kept = Counted {
            live_bytes: counts.live_bytes,
            live_blocks: counts.live_blocks,
            free_bytes: counts.free_bytes,
            free_blocks: counts.free_blocks,
            block_mappings: counts.block_mappings,
            regions: counts.regions,
            huge_blocks: counts.huge_blocks,
        };
        hold(kept == *counted, "the counters agree with the blocks", 0)
    }
}

fn walk_list(
    seal: super::header::Seal,
    size: usize,
    head: Block,
    longest: usize,
) -> Result<usize, Broken> {
    let (mut block, mut back, mut length) = (Some(head), None, 0);
    while let Some(here) = block {
        let at = here.address() as usize;
        hold(length < longest, "a free list ends", at)?;
        let (header, links) = seal
            .read(here)
            .ok_or(Broken { invariant: "a listed header bears its check value", address: at })?;
        hold(header.status.is_free(), "a listed block is free", at)?;
        hold(header.size as usize == size, "a listed block has its list's size", at)?;
        hold(links.back == back, "a free list is linked both ways", at)?;
        (back, block) = (block, links.next);
        length += 1;
    }
    Ok(length)
}

fn hold(holds: bool, invariant: &'static str, address: usize) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { invariant, address }) }
}
