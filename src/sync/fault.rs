//! Faults that loom's twins plant in the shipping code, one at a time: a model proves something
//! only if it fails when what it is about is broken. Outside loom `planted` is a constant, and no
//! code is left of it.

use core::sync::atomic::Ordering;

/// What can be broken, by the function it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing.
    None,
    /// `Entry::mark` loads and stores where it must exchange.
    MarkStored,
    /// `Entry::mark` does not look whether the block is live.
    MarkBlind,
    /// `Entry::mark` loads both bytes relaxed.
    MarkAcquiresNothing,
    /// `Entry::mark` exchanges or stores relaxed.
    MarkReleasesNothing,
    /// `Slab::mark` has no fence between its exchange and its look at the flag.
    MarkUnfenced,
    /// `Slab::mark` asks only before the exchange's look where the slab starts, not after it.
    MarkElsewhere,
    /// `Slab::mark` asks where the slab starts without the fence before the question.
    MarkAsksEarly,
    /// `Slab::mark` has no fence between raising the flag and its caller's look at the owner.
    FlagUnfenced,
    /// `Slab::mark` leaves the flag as it is, and does not count a biased freer's mark.
    MarkUnflagged,
    /// `Slab::mark` counts a biased freer's mark before it is set.
    CountEarly,
    /// `Slab::is_biased_to` says so of everybody.
    AllBiased,
    /// `Slab::mark` does not look behind another's mark for the biased freer's.
    PairUnseen,
    /// `Slab::judge_pairs` has no fence between the count and the marks.
    JudgeUnfenced,
    /// `Entry::was_freed_twice` believes that both marks are of one life.
    PairAcrossLives,
    /// `OwnedSlab::sweep` reports a mark before it clears it.
    ReportedFirst,
    /// `Shared::defer` reports again what was reported before the owner saw it.
    ReportedTwice,
    /// `shared::grace_is_over` believes that no biased freer is at a mark.
    LifeEarly,
    /// `Owner::at_mark` has no fence between its word and the looks of the mark.
    MarkUnannounced,
    /// `Engine::visit` looks at no slab that has ended.
    EndUnseen,
    /// `Heap::advance_epoch` has no fence between the count and the free that comes next.
    EpochUnfenced,
    /// `OwnedSlab::retire` reads its biased freer's count without the fence before.
    EndUnfenced,
    /// `OwnedSlab::retire` only looks whether there is a biased freer.
    EndUnclaimed,
    /// `Entry::clear` clears relaxed.
    TakeBackRelaxed,
    /// `Entry::clear` and `Entry::bump` do not count.
    Uncounted,
    /// `Entry::bump` loads and stores where it must exchange.
    BumpStored,
    /// `Entry::marks` loads relaxed.
    SeenRelaxed,
    /// `OwnedSlab::pop` does not look at the marks.
    PopBlind,
    /// `OwnedSlab::free` does not look at the marks.
    FreeBlind,
    /// `OwnedSlab::sweep` clears the flag without the fence after it.
    SweepUnfenced,
    /// `Engine::sweep` and `sweep_locked` believe that no mark crossed them.
    SweepSure,
    /// `OwnedSlab::sweep` tells nobody of what was freed twice.
    SweepSilent,
    /// `OwnedSlab::start_at` has no fence between the start and the entries of its life.
    StartUnfenced,
    /// `Engine::abandon_slab` does not look at an abandoned slab for marks that came last.
    ReleaseBlind,
    /// `Engine::after_mark` does not look whether the owner left the slab meanwhile.
    OwnerUnseen,
    /// `Shared::reclaim` believes what its caller saw without the lock.
    ReclaimBlind,
}

/// The planted one. One process plants one fault, before its model begins.
#[cfg(loom)]
static PLANTED: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Plants `fault` from here on.
#[cfg(loom)]
pub fn plant(fault: Fault) {
    PLANTED.store(fault as u8, Ordering::Relaxed);
}

/// Whether `fault` is planted.
#[cfg(loom)]
pub(crate) fn planted(fault: Fault) -> bool {
    PLANTED.load(Ordering::Relaxed) == fault as u8
}

/// The variable that leaves the fence of `Owner::at_mark` away: to the hardware it is none.
#[cfg(loom)]
pub const LIGHT: &str = "DRYSTONE_LOOM_LIGHT";

/// Never outside loom.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}

/// Faults that a full fence before a mark would hide, as models have one for the half of one.
#[cfg(loom)]
const HIDDEN: &[Fault] = &[Fault::EpochUnfenced, Fault::MarkReleasesNothing];

/// Whether a fault is planted that a full fence before a mark would hide.
#[cfg(loom)]
pub(crate) fn is_hidden_by_a_fence() -> bool {
    static LIGHT_ALONE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    HIDDEN.iter().any(|&fault| planted(fault))
        || *LIGHT_ALONE.get_or_init(|| std::env::var_os(LIGHT).is_some())
}

/// None outside loom, where that fence is for the compiler alone.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn is_hidden_by_a_fence() -> bool {
    false
}

/// `ordering`, or relaxed where `fault` is planted.
#[inline(always)]
pub(crate) fn unless(fault: Fault, ordering: Ordering) -> Ordering {
    if planted(fault) { Ordering::Relaxed } else { ordering }
}
