//! Before `main`.
//!
//! The heap serves without it: allocations come before it. But a program's fork handlers must find
//! the heap's registered, and the environment is best read while there is one thread.

use crate::heap::HEAP;
use crate::operators;

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    HEAP.prepare();
    operators::decide();
}
