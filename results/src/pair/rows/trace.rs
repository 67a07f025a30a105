//! Recorded programs: both sides replay the same pieces, in lockstep.

use std::ffi::c_void;
use std::fs::File;
use std::hint::black_box;
use std::io::BufReader;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Context, Result};
use drystone_workloads::calls::Calls;
use drystone_workloads::trace::{Script, ScriptStep};

use super::super::clock::{Spent, Whose, time};
use super::load::{Load, touched};

struct Replay {
    calls: Calls,
    script: Script,
    slots: Vec<*mut c_void>,
    at: usize,
}

/// Reads the script that the parent wrote.
///
/// # Errors
/// If it is not there, or no script.
pub fn read(path: &Path) -> Result<Script> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot open the script {shown}"))?;
    let script = Script::read_from(&mut BufReader::with_capacity(1 << 16, file));
    script.with_context(|| format!("{shown} is no script"))
}

/// The script from its beginning, over and over.
pub fn make(calls: Calls, script: Script) -> Box<dyn Load> {
    let slots = vec![null_mut(); script.slots];
    Box::new(Replay { calls, script, slots, at: 0 })
}

impl Load for Replay {
    /// Stops at the script's end, and begins again with the next slice: so both sides' slices of a
    /// pair are the same piece.
    fn run(&mut self, n: u64) -> Spent {
        let calls = black_box(self.calls);
        let end = self.script.steps.len().min(self.at + n as usize);
        let steps = &self.script.steps[self.at..end];
        self.at = if end == self.script.steps.len() { 0 } else { end };
        let slots = &mut self.slots;
        time(Whose::Thread, steps.len() as u64, || {
            for step in steps {
                play(calls, slots, step);
            }
        })
    }
}

#[inline(always)]
fn play(calls: Calls, slots: &mut [*mut c_void], step: &ScriptStep) {
    // SAFETY: a script frees and resizes only what lives in its slot (see `Script`), and starts
    // with empty slots; its alignments are powers of two; any size may be asked for.
    unsafe {
        match *step {
            ScriptStep::Malloc { slot, size } => {
                slots[slot as usize] = written((calls.malloc)(size as usize), size);
            }
            ScriptStep::Calloc { slot, size } => {
                slots[slot as usize] = written((calls.calloc)(1, size as usize), size);
            }
            ScriptStep::AlignedAlloc { slot, size, align } => {
                let block = (calls.aligned_alloc)(align as usize, size as usize);
                slots[slot as usize] = written(block, size);
            }
            ScriptStep::Realloc { slot, size } => {
                let block = (calls.realloc)(slots[slot as usize], size as usize);
                slots[slot as usize] = written(block, size);
            }
            ScriptStep::Free { slot } => {
                (calls.free)(std::mem::replace(&mut slots[slot as usize], null_mut()));
            }
        }
    }
}

/// As `touched`, but a program may ask for nothing, and be given nothing.
#[inline(always)]
fn written(block: *mut c_void, size: u32) -> *mut c_void {
    if size == 0 { block } else { touched(block) }
}

impl Drop for Replay {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            // SAFETY: what is in a slot is live; free takes null.
            unsafe { (self.calls.free)(std::mem::replace(slot, null_mut())) };
        }
    }
}
