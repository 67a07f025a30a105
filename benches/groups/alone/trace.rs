//! `trace/allocator/program`: what real programs did, replayed.

use std::path::Path;

use criterion::{Criterion, SamplingMode};
use drystone_workloads::committed;
use drystone_workloads::trace::{Script, Trace};

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};

/// One iteration replays every operation of a program's allocation history, in the order in which
/// they happened and on one thread, then frees what the program never freed; each of those calls is
/// an operation. The first byte of every block is written.
///
/// The program's own work is left out: its blocks are not filled, and caches are not disturbed by
/// anything but the allocator and the list of operations (16 bytes each, read in sequence).
///
/// # Panics
///
/// If the traces are not there: the group would pass without having run.
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("trace");
    group.sampling_mode(SamplingMode::Flat);
    let traces = committed::all().unwrap_or_else(|why| panic!("{why}"));
    let of_the_suites = |program: &str| committed::OF_THE_SUITES.contains(&program);
    for (program, file) in traces.iter().filter(|(program, _)| of_the_suites(program)) {
        let script = read(file);
        for allocator in allocators {
            let case = Case { allocator, parameter: program, operations: script.steps.len() };
            measure(
                &mut group,
                case,
                |heap| (heap, vec![std::ptr::null_mut(); script.slots]),
                |bencher, (heap, blocks)| bencher.iter(|| script.replay(*heap, blocks)),
            );
        }
    }
    group.finish();
}

/// Reads a program's trace.
fn read(file: &Path) -> Script {
    Script::of(&Trace::read(file).unwrap_or_else(|why| panic!("{}: {why}", file.display())))
}
