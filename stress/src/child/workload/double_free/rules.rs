//! What is done in one double free: whose block it is, how large, and who frees it how often.

use drystone_checker::counters::Count;
use drystone_workloads::sizes::{LogUniform, below};
use rand_pcg::Pcg64;

/// Blocks above it, in bytes, are mappings of their own.
pub(super) const HUGE: usize = 1 << 20;

/// Blocks around the one that is freed twice: its neighbours are live, free, or merge with it.
pub(super) const NEIGHBOURS: usize = 48;

/// Who the block's owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// One of those who free it.
    In,
    /// Not among those who free it.
    Out,
    /// A thread that has exited.
    Exited,
    /// A thread that frees it with the others, in the place of the worker that started it, and
    /// exits.
    Exiting,
}

/// How the block is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Style {
    /// Each frees once, all at once.
    Race,
    /// Each frees twice, all at once.
    RaceTwice,
    /// Each frees, and asks at once for a block of the same size.
    Reuse,
    /// Each frees and asks several times in a row, and frees what it got: the block comes back to
    /// who freed it before (A-B-A).
    ReuseAgain,
    /// Each resizes the block, all at once.
    Resize,
    /// One frees, then the others: every second free must be reported by the call.
    Ordered,
    /// As before, and between the two the heap gives back what memory it can.
    OrderedAfterTrim,
}

impl Style {
    /// Whether its workers allocate, so that the block may be reused.
    pub(super) fn allocates(self) -> bool {
        matches!(self, Style::Reuse | Style::ReuseAgain | Style::Resize)
    }

    /// Whether one frees before the others.
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Style::Ordered | Style::OrderedAfterTrim)
    }
}

/// The rules of one double free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Bytes of the block.
    pub size: usize,
    /// The worker that allocates it.
    pub allocating: usize,
    /// Whose it is.
    pub owner: Owner,
    /// How it is freed.
    pub style: Style,
    /// Bytes that a [`Style::Resize`] asks for.
    pub resized: usize,
    /// Which neighbour is freed or made anew before.
    pub neighbour: usize,
    /// Bytes of the new neighbour.
    pub neighbour_size: usize,
}

impl Rules {
    /// The next rules of the stream that all `workers` workers draw from.
    pub(super) fn draw(rng: &mut Pcg64, workers: usize) -> Self {
        let sizes = LogUniform::MEBIBYTE;
        let size = match below(rng, 32) {
            0 => HUGE + 1 + below(rng, 8 << 20) as usize,
            1..8 => sizes.draw(rng),
            _ => LogUniform::KIBIBYTE.draw(rng),
        };
        let owner = match below(rng, 64) {
            0 => Owner::Exited,
            1..5 => Owner::Exiting,
            // Two at least must be left to free it.
            5..24 if workers >= 3 => Owner::Out,
            _ => Owner::In,
        };
        let style = match below(rng, 32) {
            _ if owner == Owner::Exiting => Style::Race,
            0..11 => Style::Race,
            11..16 => Style::RaceTwice,
            16..21 => Style::Reuse,
            21..24 => Style::ReuseAgain,
            24..27 => Style::Resize,
            27..30 => Style::Ordered,
            _ => Style::OrderedAfterTrim,
        };
        Self {
            size,
            allocating: below(rng, workers as u64) as usize,
            owner,
            style,
            // Not 0, which is a free.
            resized: 1 + size / 4 * below(rng, 9) as usize,
            neighbour: below(rng, NEIGHBOURS as u64) as usize,
            neighbour_size: LogUniform { octaves: 14 }.draw(rng),
        }
    }

    /// Whether a worker is among those who free the block.
    pub(super) fn takes_part(self, worker: usize) -> bool {
        worker != self.allocating || matches!(self.owner, Owner::In | Owner::Exited)
    }

    /// Where one frees before the others, that one.
    pub(super) fn first(self, workers: usize) -> usize {
        if self.owner == Owner::Out { (self.allocating + 1) % workers } else { self.allocating }
    }

    /// Where a report that was deferred, and came before anybody swept, was made.
    pub(super) fn place_before_sweeps(self) -> Count {
        match (self.owner, self.style.allocates()) {
            (Owner::Exiting, _) => Count::AtExit,
            (_, true) => Count::AtReuse,
            (_, false) => Count::AtSweep,
        }
    }
}
