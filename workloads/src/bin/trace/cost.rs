//! What the replay takes by itself, of the time that a row of a trace shows.
//!
//! The same loop calls functions that do nothing. Each gives out one and the same block, so that
//! the loop's own stores stay in the first cache: a real allocator's blocks miss it, and that is
//! the allocator's to answer for.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::{addr_of_mut, null_mut};
use std::time::{Duration, Instant};

use anyhow::Result;
use drystone_workloads::calls::Calls;
use drystone_workloads::cli::printing::{Format, Printing};
use drystone_workloads::heap::Heap;
use drystone_workloads::trace::{Script, Trace};
use serde_json::json;

use crate::list::name;
use crate::print::{markdown, table};

/// The version of what `--format json` prints.
const JSON_VERSION: u32 = 1;

/// How long passes over a trace are repeated; and at least so often.
const LONG_ENOUGH: Duration = Duration::from_millis(500);
const PASSES: u32 = 5;

struct Cost {
    name: String,
    /// Calls of a pass, the frees at its end included.
    calls: usize,
    /// Nanoseconds a call.
    replay: f64,
    with_the_c_library: f64,
}

/// What the replay of each trace takes, as it is asked for, ending in a newline.
///
/// # Errors
/// If a trace cannot be read.
pub fn render(files: &[PathBuf], printing: Printing) -> Result<String> {
    let costs = files.iter().map(|file| measure(file)).collect::<Result<Vec<_>>>()?;
    let rows = costs.iter().map(|cost| {
        let share = 100.0 * cost.replay / cost.with_the_c_library;
        [
            cost.name.clone(),
            format!("{:.2} ns", cost.replay),
            format!("{:.2} ns", cost.with_the_c_library),
            format!("{share:.0} %"),
        ]
    });
    let heads = ["trace", "replay alone, a call", "with the C library", "share"];
    let text = match printing.format {
        Format::Json => serde_json::to_string_pretty(&as_json(&costs))?,
        Format::Markdown => markdown(heads, 1, rows),
        Format::Table => table(printing, heads, 1, rows),
    };
    Ok(text + "\n")
}

fn as_json(costs: &[Cost]) -> serde_json::Value {
    let one = |cost: &Cost| {
        json!({
            "name": cost.name,
            "calls": cost.calls,
            "replay_ns": cost.replay,
            "with_the_c_library_ns": cost.with_the_c_library,
        })
    };
    json!({ "version": JSON_VERSION, "traces": costs.iter().map(one).collect::<Vec<_>>() })
}

fn measure(file: &Path) -> Result<Cost> {
    let script = Script::of(&Trace::read(file)?);
    let calls = script.steps.len();
    let replay = fastest(&script, NOTHING);
    let with_the_c_library = fastest(&script, C_LIBRARY);
    Ok(Cost { name: name(file), calls, replay, with_the_c_library })
}

/// Nanoseconds a call in the fastest pass: whatever else the machine does only adds to a pass.
fn fastest(script: &Script, calls: Calls) -> f64 {
    let heap = Heap::opaque(calls);
    let mut blocks = vec![null_mut(); script.slots];
    let (began, mut passes, mut least) = (Instant::now(), 0, Duration::MAX);
    while passes < PASSES || began.elapsed() < LONG_ENOUGH {
        let pass = Instant::now();
        script.replay(heap, &mut blocks);
        least = least.min(pass.elapsed());
        passes += 1;
    }
    least.as_nanos() as f64 / script.steps.len() as f64
}

const C_LIBRARY: Calls = Calls {
    malloc: libc::malloc,
    calloc: libc::calloc,
    realloc: libc::realloc,
    aligned_alloc: libc::aligned_alloc,
    free: libc::free,
    usable_size: None,
};

/// Functions that do nothing, for a caller that writes no more than a block's first byte.
const NOTHING: Calls = Calls {
    malloc: the_block,
    calloc: the_block_of_many,
    realloc: the_same,
    aligned_alloc: the_block_of_many,
    free: nothing,
    usable_size: None,
};

static mut BLOCK: [u8; 64] = [0; 64];

unsafe extern "C" fn the_block(_: usize) -> *mut c_void {
    addr_of_mut!(BLOCK).cast()
}

unsafe extern "C" fn the_block_of_many(_: usize, _: usize) -> *mut c_void {
    addr_of_mut!(BLOCK).cast()
}

unsafe extern "C" fn the_same(block: *mut c_void, _: usize) -> *mut c_void {
    block
}

unsafe extern "C" fn nothing(_: *mut c_void) {}
