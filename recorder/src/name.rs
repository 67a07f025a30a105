//! The recording's file name: `DRYSTONE_TRACE`, made absolute, with the process's number filled in.

use core::ffi::CStr;

use crate::complain::decimal;
use crate::os::{self, Outcome};

/// Recordings land in the folder that the program was started in.
const DEFAULT: &[u8] = b"drystone-trace.%p.raw";

/// A path in place: a NUL-terminated string of at most 4351 bytes.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; 4352],
    used: usize,
}

impl Text {
    /// The empty string.
    pub(crate) const EMPTY: Text = Text { bytes: [0; 4352], used: 0 };

    fn push(&mut self, text: &[u8]) -> Outcome<()> {
        // One byte is left over at the end, and stays zero.
        let end = self.used + text.len();
        let room = self.bytes.get_mut(self.used..end).filter(|_| end < 4352);
        room.ok_or(libc::EINVAL)?.copy_from_slice(text);
        self.used = end;
        Ok(())
    }

    /// The text without its NUL.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// The text for the kernel.
    pub(crate) fn c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// The pattern in the environment, made absolute so that a child that has gone elsewhere writes
/// beside its parent. `None` while the C library is not yet set up; fails with `EINVAL` on an empty
/// or overlong pattern.
pub(crate) fn pattern() -> Option<Outcome<Text>> {
    let value = os::variable(c"DRYSTONE_TRACE").ok()?;
    Some(absolute(value.map_or(DEFAULT, CStr::to_bytes)))
}

fn absolute(pattern: &[u8]) -> Outcome<Text> {
    let mut text = Text::EMPTY;
    match pattern.first() {
        None => return Err(libc::EINVAL),
        Some(b'/') => {}
        Some(_) => {
            let mut buffer = [0; 4096];
            text.push(os::folder(&mut buffer)?)?;
            text.push(b"/")?;
        }
    }
    text.push(pattern)?;
    Ok(text)
}

/// Whether every process gets a name of its own.
pub(crate) fn names_process(pattern: &Text) -> bool {
    pattern.bytes().windows(2).any(|pair| pair == b"%p")
}

/// `pattern` with the process's number for each `%p`, and `.attempt` appended unless it is 0.
pub(crate) fn expand(pattern: &Text, attempt: u32) -> Outcome<Text> {
    let mut digits = [0; 20];
    let mut text = Text::EMPTY;
    let mut rest = pattern.bytes();
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"%p") {
            text.push(decimal(os::process(), &mut digits))?;
            rest = after;
        } else {
            text.push(&[first])?;
            rest = after;
        }
    }
    if attempt > 0 {
        text.push(b".")?;
        text.push(decimal(attempt, &mut digits))?;
    }
    Ok(text)
}
