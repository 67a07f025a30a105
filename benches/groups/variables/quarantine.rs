//! `quarantine/drystone/bytes`: what it costs that freed blocks wait.

use criterion::Criterion;

use super::child::{self, Variable};
use crate::allocators::{Allocator, drystone};

/// What the allocator reads.
pub const VARIABLE: Variable = Variable { name: "DRYSTONE_QUARANTINE", is_on: drystone::waits };

/// Bytes that may wait: none, which is the child without a quarantine, and two sizes.
const BYTES: [(&str, &str); 3] = [("0", "0"), ("64K", "64K"), ("16M", "16M")];

/// See [`child::bench`].
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    child::bench(criterion, allocators, ("quarantine", VARIABLE), &BYTES);
}
