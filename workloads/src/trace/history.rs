//! The rules of a history, and what follows from walking it: blocks, threads, peak.

use super::error::{Impossible, Invalid};
use super::op::{Kind, Op};

/// The largest size that a request can have: `PTRDIFF_MAX` bytes.
pub(super) const MAX_SIZE: u64 = isize::MAX as u64;

/// What a walk over a whole history found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub blocks: u32,
    pub threads: u32,
    pub peak_live_bytes: u64,
    /// Live when the history ends.
    pub left_blocks: u32,
    pub left_bytes: u64,
}

/// A history being checked, operation by operation.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Bytes of every block made so far; [`ENDED`] once it has ended.
    sizes: Vec<u64>,
    index: usize,
    threads: u32,
    live_bytes: u64,
    live_blocks: u32,
    peak: u64,
}

/// No live block has this size, for it is over [`MAX_SIZE`].
const ENDED: u64 = u64::MAX;

impl Walk {
    /// Checks one more operation against everything before it.
    pub(super) fn step(&mut self, op: &Op) -> Result<(), Invalid> {
        self.check(op).map_err(|reason| Invalid { index: self.index, reason })?;
        self.index += 1;
        Ok(())
    }

    fn check(&mut self, op: &Op) -> Result<(), Impossible> {
        if op.thread > self.threads {
            return Err(Impossible::UnknownThread { found: op.thread, expected: self.threads });
        }
        if op.thread == self.threads {
            self.threads += 1;
        }
        if let Kind::AlignedAlloc { align, .. } = op.kind
            && !align.is_power_of_two()
        {
            return Err(Impossible::Alignment(align));
        }
        if let Some(block) = op.kind.ended() {
            self.end(block)?;
        }
        match (op.kind.made(), op.kind.size()) {
            (Some(block), Some(size)) => self.birth(block, size as u64),
            _ => Ok(()),
        }
    }

    fn end(&mut self, block: u32) -> Result<(), Impossible> {
        match self.sizes.get_mut(block as usize) {
            Some(size) if *size != ENDED => {
                self.live_bytes -= *size;
                self.live_blocks -= 1;
                *size = ENDED;
                Ok(())
            }
            _ => Err(Impossible::NotLive(block)),
        }
    }

    fn birth(&mut self, block: u32, size: u64) -> Result<(), Impossible> {
        let expected = self.sizes.len() as u32;
        if block != expected {
            return Err(Impossible::OutOfTurn { found: block, expected });
        }
        // Each term is at most PTRDIFF_MAX, so the sum cannot wrap; as both live in one address
        // space the sum has the same bound.
        let live = self.live_bytes + size.min(MAX_SIZE + 1);
        if live > MAX_SIZE {
            return Err(Impossible::Size(live));
        }
        self.sizes.push(size);
        self.live_bytes = live;
        self.live_blocks += 1;
        self.peak = self.peak.max(live);
        Ok(())
    }

    /// Blocks made so far.
    pub(super) fn blocks(&self) -> u32 {
        self.sizes.len() as u32
    }

    /// The sum of all steps.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            blocks: self.blocks(),
            threads: self.threads,
            peak_live_bytes: self.peak,
            left_blocks: self.live_blocks,
            left_bytes: self.live_bytes,
        }
    }
}
