//! What second frees were reported as.

use std::collections::BTreeMap;

use drystone::{Misuse, MisuseKind};
use drystone_checker::counters::Board;

use crate::child::workload::double_free::rules::{HUGE, Owner, Rules, Style};

/// Which double free it was: its style, its owner, and whether its block was a mapping of its own.
type Case = (Style, Owner, bool);

/// What second frees were reported as.
#[derive(Default)]
pub(super) struct Reported {
    /// The rules of the present double free.
    pub of: Option<Rules>,
    counts: BTreeMap<(&'static str, Option<Case>), u64>,
}

impl Reported {
    /// Counts a report: where it calls the misuse by another name than it is, also in which case.
    pub(super) fn add(&mut self, misuse: Misuse) {
        let by_name = misuse.kind == MisuseKind::DoubleFree;
        let of = self.of.filter(|_| !by_name);
        let of = of.map(|rules| (rules.style, rules.owner, rules.size > HUGE));
        *self.counts.entry((misuse.kind.name(), of)).or_default() += 1;
    }

    /// Adds them to the notes.
    pub(super) fn note(&self, board: &Board) {
        for ((kind, of), times) in &self.counts {
            let of = of.map_or(String::new(), |(style, owner, huge)| {
                let huge = if huge { "a mapping of its own" } else { "of a slab" };
                format!(", {huge}; style {style:?}, owner {owner:?}")
            });
            board.note(&format!("reported as: {kind}{of}"), *times);
        }
    }
}
