//! The functions that a thread is in.

use core::ffi::c_void;
use core::ptr;

use crate::errno;

/// Functions that are kept of a stack.
const DEPTH: usize = 24;

/// Return addresses, the innermost first.
#[derive(Clone, Copy)]
pub struct Stack {
    frames: [*mut c_void; DEPTH],
    depth: usize,
}

impl Stack {
    /// No function.
    pub const NONE: Stack = Stack { frames: [ptr::null_mut(); DEPTH], depth: 0 };

    /// The calling thread's. Empty where the C library can't unwind.
    #[inline(never)]
    pub fn here() -> Stack {
        let mut stack = Stack::NONE;
        stack.depth = errno::kept(|| unwind(&mut stack.frames));
        stack
    }

    /// The part from `instruction` on: without the functions that a signal's handler is in. All of
    /// it where that is not among them.
    pub fn since(&self, instruction: usize) -> Stack {
        let mut since = *self;
        let frames = &self.frames[..self.depth];
        if let Some(first) = frames.iter().position(|frame| frame.addr() == instruction) {
            since.frames.rotate_left(first);
            since.depth -= first;
        }
        since
    }

    /// Writes a line for each function to stderr: its file and its place there, as the C library
    /// names them.
    pub fn write(&self) {
        errno::kept(|| write(&self.frames[..self.depth]));
    }
}

/// Has the C library find its unwinder: the first call loads a library, which allocates.
pub fn prepare() {
    Stack::here();
}

#[cfg(target_env = "gnu")]
fn unwind(frames: &mut [*mut c_void]) -> usize {
    // SAFETY: there is room for as many addresses.
    let found = unsafe { libc::backtrace(frames.as_mut_ptr(), frames.len() as i32) };
    usize::try_from(found).unwrap_or(0)
}

#[cfg(target_env = "gnu")]
fn write(frames: &[*mut c_void]) {
    // SAFETY: as many addresses; it writes to the file, and allocates nothing.
    unsafe { libc::backtrace_symbols_fd(frames.as_ptr(), frames.len() as i32, libc::STDERR_FILENO) }
}

/// musl has no `backtrace`.
#[cfg(not(target_env = "gnu"))]
fn unwind(_: &mut [*mut c_void]) -> usize {
    0
}

#[cfg(not(target_env = "gnu"))]
fn write(_: &[*mut c_void]) {}
