//! `trace/allocator/program`: what real programs did, replayed.

use std::fs;
use std::path::{Path, PathBuf};

use criterion::{Criterion, SamplingMode};
use drystone_workloads::trace::{Script, Trace};

use crate::allocators::Allocator;
use crate::groups::case::{Case, measure};

/// Where the recorded programs are.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/workloads/traces");

/// One iteration replays every operation of a program's allocation history, in the order in which
/// they happened and on one thread, then frees what the program never freed; each of those calls is
/// an operation. The first byte of every block is written.
///
/// The program's own work is left out: its blocks are not filled, and caches are not disturbed by
/// anything but the allocator and the list of operations (16 bytes each, read in sequence).
pub fn bench(criterion: &mut Criterion, allocators: &[Allocator]) {
    let mut group = criterion.benchmark_group("trace");
    group.sampling_mode(SamplingMode::Flat);
    for file in files() {
        let script = read(&file);
        let program = file.file_stem().expect("a file has a name").to_string_lossy();
        for allocator in allocators {
            let case =
                Case { allocator, parameter: program.as_ref(), operations: script.steps.len() };
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

/// The trace files, in alphabetical order.
///
/// # Panics
///
/// If there are none: the group would pass without having run.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(DIRECTORY).unwrap_or_else(|why| panic!("{DIRECTORY}: {why}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap_or_else(|why| panic!("{DIRECTORY}: {why}")).path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "trace"))
        .collect();
    assert!(!files.is_empty(), "{DIRECTORY} holds no *.trace: check out the whole repository");
    files.sort();
    files
}

/// Reads a program's trace.
fn read(file: &Path) -> Script {
    Script::of(&Trace::read(file).unwrap_or_else(|why| panic!("{}: {why}", file.display())))
}
