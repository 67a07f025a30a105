//! What is done in one double free: the pattern, the size, and how many threads.

use drystone_workloads::sizes::below;
use rand_pcg::Pcg64;

/// How the pointer comes to be freed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// At once.
    Immediate,
    /// With a free of another block of the size between.
    Interleaved,
    /// With many blocks freed between, more than caches of recent frees remember.
    AfterOthers,
    /// By another thread, after the first.
    OtherThread,
    /// Both after the thread that allocated it has exited.
    OwnerExited,
    /// By several threads at once, the owner among them.
    Race,
}

impl Pattern {
    /// All of them.
    pub(super) const ALL: [Pattern; 6] = [
        Pattern::Immediate,
        Pattern::Interleaved,
        Pattern::AfterOthers,
        Pattern::OtherThread,
        Pattern::OwnerExited,
        Pattern::Race,
    ];

    /// As it is printed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pattern::Immediate => "immediate",
            Pattern::Interleaved => "interleaved",
            Pattern::AfterOthers => "after many others",
            Pattern::OtherThread => "by another thread",
            Pattern::OwnerExited => "owner exited",
            Pattern::Race => "race",
        }
    }
}

/// Bytes of the blocks: small classes, a page, above most thresholds for mappings.
const SIZES: [usize; 6] = [24, 64, 400, 4096, 40_000, 1 << 20];

/// The rules of one double free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How.
    pub pattern: Pattern,
    /// Bytes of the block.
    pub size: usize,
    /// Threads of a race.
    pub threads: usize,
}

impl Rules {
    /// The next ones of `rng`.
    pub(super) fn draw(rng: &mut Pcg64, threads: usize) -> Self {
        let pattern = Pattern::ALL[below(rng, Pattern::ALL.len() as u64) as usize];
        let size = SIZES[below(rng, SIZES.len() as u64) as usize];
        Self { pattern, size, threads: threads.max(2) }
    }
}
