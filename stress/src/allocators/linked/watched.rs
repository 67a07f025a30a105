//! The witness of a heap's critical sections, where the heap takes it as its probe.

use drystone::internals::Probe;
use drystone_checker::schedule;
use drystone_checker::violation::{self, Kind};
use drystone_checker::witness::Witness;

/// What a heap is given, so that its witness can be asked from outside.
#[derive(Clone, Copy, Debug)]
pub struct Watched(pub &'static Witness);

impl Probe for Watched {
    #[inline]
    fn enter(&self) {
        if let Err(wrong) = self.0.enter() {
            violation::raise(Kind::Exclusion, "one thread at a time in a critical section", wrong);
        }
    }

    #[inline]
    fn leave(&self) {
        if let Err(wrong) = self.0.leave() {
            violation::raise(Kind::Exclusion, "one thread at a time in a critical section", wrong);
        }
    }

    #[inline]
    fn pause(&self) {
        schedule::at_pause();
    }
}
