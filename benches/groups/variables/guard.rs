//! `guard/drystone/blocks`: what it costs that one block of so many is guarded.

use criterion::Criterion;

use super::child::{self, Variable};
use crate::allocators::{Allocator, drystone};

/// What the allocator reads.
pub const VARIABLE: Variable = Variable { name: "DRYSTONE_GUARD", is_on: drystone::guards };

/// Blocks of which one is guarded: none, which is the child without guarded samples, and two rates.
const BLOCKS: [(&str, &str); 3] = [("0", "0"), ("5000", "1/5000"), ("500", "1/500")];

/// See [`child::bench`].
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    child::bench(criterion, allocators, ("guard", VARIABLE), &BLOCKS);
}
