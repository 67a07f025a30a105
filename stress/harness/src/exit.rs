//! Exit codes, the same for the tool and for its children.

/// All is well.
pub const FINE: u8 = 0;
/// An allocator gave a wrong answer.
pub const FOUND: u8 = 1;
/// Wrong usage, or the tool failed; also a run that did no work.
pub const FAILED: u8 = 2;

/// Stopped from outside before the end, and nothing found so far: that says nothing.
pub const INTERRUPTED: u8 = 3;

/// Ends the process without its exit handlers, which may call the allocator.
pub fn now(code: u8) -> ! {
    // SAFETY: `_exit` takes any status and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

/// What a child ends with when the harness itself is at fault. An allocator may end it so too: the
/// child's last message tells.
pub const PANICKED: u8 = 101;
