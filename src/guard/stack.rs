//! The functions that a thread is in, as far as the words of its stack tell.
//!
//! A stack is copied here, and read when a line is written: words that point behind a call, into
//! code, are return addresses. So nothing here waits for a lock, loads a library or needs a frame
//! pointer, on any stack that a program makes for itself. A function that has returned may have
//! left its address, and stand among the others.

use core::hint::black_box;

use crate::errno;
use crate::os::PAGE;

/// Words that are kept of a stack.
const WORDS: usize = 256;

/// The innermost words of a stack.
#[derive(Clone, Copy)]
pub struct Stack {
    words: [usize; WORDS],
    count: usize,
}

impl Stack {
    /// No word.
    pub const NONE: Stack = Stack { words: [0; WORDS], count: 0 };

    /// Makes it the stack whose innermost word is at `top`, with `first` before it, if that is not
    /// 0. In its place: a copy on the stack would be all that it sees.
    pub fn fill(&mut self, first: usize, top: usize) {
        self.count = 0;
        if first != 0 {
            self.words[0] = first;
            self.count = 1;
        }
        let mut address = top.next_multiple_of(size_of::<usize>());
        // The page of `top` is the stack's. Whether there is one behind it only the kernel knows.
        let mut end = (address & !(PAGE - 1)) + PAGE;
        while self.count < WORDS {
            if address == end {
                if !is_readable(address) {
                    break;
                }
                end += PAGE;
            }
            let word = core::ptr::with_exposed_provenance::<usize>(address);
            // SAFETY: an aligned word of a page that can be read. Others may write it: then it is
            // any number.
            self.words[self.count] = unsafe { word.read_volatile() };
            self.count += 1;
            address += size_of::<usize>();
        }
    }

    /// The words, the innermost first.
    pub fn words(&self) -> &[usize] {
        &self.words[..self.count]
    }
}

/// Where the calling function's part of the stack is, nearly.
#[inline(always)]
pub fn top() -> usize {
    let here = 0_usize;
    (&raw const *black_box(&here)).expose_provenance()
}

/// Whether the word at `address` can be read: the kernel reads a set of signals before it looks
/// what is to be done with it, which here is nothing that it knows. No sandbox forbids the call.
fn is_readable(address: usize) -> bool {
    errno::kept(|| {
        // SAFETY: the kernel reads 8 bytes at `address`, or says EFAULT; it changes nothing.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, -1, address, 0, 8) };
        errno::get() != libc::EFAULT
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::{Mmap, Os, STEP};

    #[test]
    fn the_callers_are_among_the_words() {
        #[inline(never)]
        fn inner(stack: &mut Stack) {
            stack.fill(0, top());
        }
        let code = inner as *const () as usize;
        let mut stack = Stack::NONE;
        inner(&mut stack);
        let near = stack.words().iter().filter(|word| word.abs_diff(code) < 1 << 16).count();
        assert!(near > 0 && stack.words().len() == WORDS);
    }

    #[test]
    fn a_stack_ends_where_memory_does() {
        let start = Mmap.reserve_guarded(STEP, PAGE);
        let top = start.expose_provenance() + STEP - 80;
        let mut stack = Stack::NONE;
        stack.fill(0, top);
        assert_eq!(stack.words(), [0; 10]);
        stack.fill(7, top);
        assert_eq!(stack.words(), [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(!is_readable(start.addr() + STEP) && is_readable(start.addr()));
        // SAFETY: reserved above, and not used again.
        unsafe { Mmap.unmap_guarded(start, STEP) };
    }
}
