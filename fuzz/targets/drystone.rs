//! Calls of `Drystone`.
#![no_main]

use drystone_fuzz::{Production, Program, play};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: Program| play(&Production, &program));
