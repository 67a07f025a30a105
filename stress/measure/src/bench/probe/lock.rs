//! How often our own library has taken its span lock: it says so itself, to whoever asks. Others do
//! not.

use std::ffi::{c_char, c_void};
use std::mem;

use serde_json::Value;

/// `drystone_stats` of `drystone.h`.
type Stats = unsafe extern "C" fn(*mut c_char, usize) -> usize;

/// Counts from here on.
pub(crate) struct Watch {
    stats: Stats,
    before: u64,
    /// What one question adds to the count.
    question: u64,
}

impl Watch {
    /// `None` where the library that serves has no such count.
    pub(crate) fn begin() -> Option<Watch> {
        // SAFETY: the name is a C string.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"drystone_stats".as_ptr()) };
        if found.is_null() {
            return None;
        }
        // SAFETY: a function of that name has that signature: it is ours alone.
        let stats = unsafe { mem::transmute::<*mut c_void, Stats>(found) };
        let first = taken(stats);
        let before = taken(stats);
        Some(Watch { stats, before, question: before - first })
    }

    /// How often the lock was taken since, except by the questions.
    pub(crate) fn end(self) -> u64 {
        taken(self.stats) - self.before - self.question
    }
}

fn taken(stats: Stats) -> u64 {
    let mut text = vec![0u8; 64 << 10];
    // SAFETY: as many bytes as are named.
    let length = unsafe { stats(text.as_mut_ptr().cast(), text.len()) };
    let text = text.get(..length).expect("every class's figures take less");
    let figures: Value = serde_json::from_slice(text).expect("the figures are JSON");
    figures["layers"]["locked"].as_u64().expect("the lock is among the layers' figures")
}
