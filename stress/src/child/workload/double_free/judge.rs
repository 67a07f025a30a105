//! Worker 0 between two double frees, while all others wait: adds up what all did, and judges it.

use std::sync::atomic::{AtomicU64, Ordering};

use drystone_checker::checked::{Block, Checked};
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation::{self, Kind};

use crate::child::workload::double_free::rules::{NEIGHBOURS, Owner, Rules, Style};
use crate::child::workload::double_free::shared::{Deeds, Shared, free_held};

/// What the workers did in all in one double free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    frees: u64,
    effective: u64,
    /// Allocations of the block, and frees of them that the judge added.
    allocations: u64,
    added: u64,
    /// Deferred reports that came before anybody swept.
    early: u64,
}

/// Worker 0 between two double frees: all others wait at the barrier.
pub(super) struct Judge<'a, 'b> {
    shared: &'b Shared<'a>,
    neighbours: Vec<Block>,
    /// Deferred reports before this double free.
    deferred: u64,
}

impl<'a, 'b> Judge<'a, 'b> {
    /// For one round.
    pub(super) fn new(shared: &'b Shared<'a>) -> Self {
        Self { shared, neighbours: Vec::new(), deferred: (shared.own.deferred_reports)() }
    }

    /// Frees a neighbour, if there are enough, and makes one anew.
    pub(super) fn move_neighbour(&mut self, checked: &mut Checked<'_>, rules: Rules) {
        if self.neighbours.len() == NEIGHBOURS {
            let block = self.neighbours.swap_remove(rules.neighbour);
            checked.free(block);
        }
        let block = checked.malloc(rules.neighbour_size);
        self.neighbours.push(block);
    }

    /// Frees all neighbours.
    pub(super) fn free_neighbours(self, checked: &mut Checked<'_>) {
        self.neighbours.into_iter().for_each(|block| checked.free(block));
    }

    /// Before the sweeps: counts, and frees what was allocated anew.
    pub(super) fn add_up(&self, checked: &Checked<'_>, rules: Rules) -> Sums {
        checked.row().doing(Doing::Judging);
        let shared = self.shared;
        // Relaxed throughout: the barrier has ordered it all.
        let sum = |count: fn(&Deeds) -> &AtomicU64| -> u64 {
            shared.deeds.iter().map(|deeds| count(deeds).load(Ordering::Relaxed)).sum()
        };
        let early = (shared.own.deferred_reports)() - self.deferred;
        let again = sum(|deeds| &deeds.again);
        let mut sums = Sums {
            frees: sum(|deeds| &deeds.frees),
            effective: sum(|deeds| &deeds.effective),
            allocations: 1 + again,
            added: 0,
            early,
        };
        if rules.style.allocates() {
            self.free_reused(rules, &mut sums);
        }
        sums
    }

    /// Frees what the workers got anew: the block as often as it was allocated, others once.
    fn free_reused(&self, rules: Rules, sums: &mut Sums) {
        let shared = self.shared;
        let block = shared.block.load(Ordering::Relaxed);
        let workers = shared.deeds.iter().zip(0..).filter(|(_, worker)| rules.takes_part(*worker));
        for (deeds, worker) in workers {
            let reused = deeds.reused.load(Ordering::Relaxed);
            if reused == block {
                sums.allocations += 1;
                // SAFETY: the block is held by a worker that makes no use of it; whether it is
                // live still is for the heap to say.
                sums.added += u64::from(unsafe { (shared.own.try_free)(reused) }.is_ok());
            } else if !reused.is_null() || rules.style != Style::Resize {
                // Nobody but its one holder has freed this one. A resize that was reported gave
                // none.
                free_held(shared.own, worker, reused, rules);
            }
        }
    }

    /// After the sweeps: the sums, and the heap. `number` is that of the double free, from 1.
    pub(super) fn judge(&mut self, checked: &Checked<'_>, rules: Rules, number: u64, sums: Sums) {
        let total = (self.shared.own.deferred_reports)();
        let deferred = total - self.deferred;
        self.deferred = total;
        judge_sums(rules, sums, deferred);
        self.count(checked, rules, sums, deferred);
        self.judge_heap(checked, number);
    }

    fn count(&self, checked: &Checked<'_>, rules: Rules, sums: Sums, deferred: u64) {
        let row = checked.row();
        let Sums { frees, effective, early, .. } = sums;
        row.add(Count::DoubleFreeRounds, 1);
        row.add(Count::DoubleFrees, frees - 1);
        row.add(Count::AtCall, frees - effective);
        row.add(Count::Deferred, deferred);
        row.add(rules.place_before_sweeps(), early);
        row.add(Count::AtSweep, deferred - early);
        // What took effect beyond the first was of a block that was reused; else `judge` had
        // raised.
        row.add(Count::RacedWithReuse, effective.saturating_sub(1 + deferred));
        // Relaxed: the barrier has ordered it.
        if self.shared.raced.swap(false, Ordering::Relaxed) {
            row.add(Count::DoubleFreeRoundsRaced, 1);
        }
        let won = |deeds: &Deeds| deeds.effective.load(Ordering::Relaxed) > 0;
        if let Style::Race | Style::RaceTwice = rules.style
            && rules.owner == Owner::In
        {
            let winner = match won(&self.shared.deeds[rules.allocating]) {
                true => Count::OwnerWon,
                false => Count::OtherWon,
            };
            row.add(winner, 1);
        }
    }

    fn judge_heap(&self, checked: &Checked<'_>, number: u64) {
        let held = (self.shared.own.held)();
        if held.live_blocks != self.neighbours.len() {
            violation::raise(
                Kind::Sums,
                &format!("{} live blocks after the double free", self.neighbours.len()),
                format!("{}", held.live_blocks),
            );
        }
        if number.is_multiple_of(64) {
            if let Err(broken) = (self.shared.own.check)() {
                let expected = "every invariant to hold after a double free";
                violation::raise(Kind::BrokenHeap, expected, broken);
            }
            checked.row().add(Count::HeapChecks, 1);
        }
    }
}

/// Frees that took effect, less those reported later, equal allocations; in ordered styles every
/// free except one is reported by its call.
fn judge_sums(rules: Rules, sums: Sums, deferred: u64) {
    let ordered = rules.style.is_ordered();
    let allowed = if ordered { 0 } else { deferred };
    let effective = sums.effective + sums.added;
    let stood = effective.saturating_sub(allowed);
    if stood == sums.allocations {
        return;
    }
    let kind = match stood > sums.allocations || (ordered && deferred > 0) {
        true => Kind::DoubleFreeMissed,
        false => Kind::FreeRejected,
    };
    violation::raise(
        kind,
        &format!(
            "as many frees to take effect, less deferred reports, as allocations of the block: {}",
            sums.allocations
        ),
        format!(
            "of {} frees {} were reported by the call, {deferred} later; of the judge's own {} \
             took effect ({rules:?})",
            sums.frees,
            sums.frees - sums.effective,
            sums.added
        ),
    );
}
