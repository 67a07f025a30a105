//! Calls of a `ListHeap`, a new one for each program.
#![no_main]

use drystone::ListHeap;
use drystone_fuzz::{Program, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: Program| play(&ListHeap::new(), &program));
