//! The functions that a thread is in, as far as the words of its stack tell.
//!
//! A stack is copied here, and read when a line is written: words that point behind a call, into
//! code, are return addresses. So nothing here waits for a lock, loads a library or needs a frame
//! pointer, on any stack that a program makes for itself. A function that has returned may have
//! left its address, and stand among the others.

use core::hint::black_box;

use crate::errno;
use crate::os::PAGE;
use crate::sync::{AtomicPtr, Ordering};

/// Words that are kept of a stack.
const WORDS: usize = 256;

/// The innermost words of a stack.
pub struct Stack {
    words: [usize; WORDS],
    count: usize,
}

impl Stack {
    /// Makes it one word.
    pub fn only(&mut self, word: usize) {
        (self.words[0], self.count) = (word, 1);
    }

    /// Makes it the calling thread's stack, whose innermost word is at `top`, with `first` before
    /// it, if that is not 0. `top` can be read. In its place: a copy on the stack would be all that
    /// it sees.
    pub fn fill(&mut self, first: usize, top: usize) {
        self.count = 0;
        if first != 0 {
            self.words[0] = first;
            self.count = 1;
        }
        let mut address = top.next_multiple_of(size_of::<usize>());
        let mut end = (address & !(PAGE - 1)) + PAGE;
        while self.count < WORDS {
            if address == end {
                if !is_on_this_stack(address) || !is_readable(address) {
                    break;
                }
                end += PAGE;
            }
            let word = core::ptr::with_exposed_provenance::<usize>(address);
            // SAFETY: an aligned word of the page that `top` is in, which can be read, or of one
            // that was asked about. Others may write it: then it is any number.
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

/// Whether `address`, a little further out than this function's part of the stack, is on the same
/// stack, unless the program has moved its environment. That of the first thread ends above the
/// environment, that of another above the words of the thread itself. A stack that a program has
/// made for itself may end anywhere: of such a one a page is enough.
fn is_on_this_stack(address: usize) -> bool {
    const FAR: usize = 128 << 10;
    unsafe extern "C" {
        /// The C library's, on the first thread's stack unless the program has changed it.
        safe static environ: AtomicPtr<*const libc::c_char>;
    }
    // Relaxed: only a place.
    let first = environ.load(Ordering::Relaxed).addr();
    // SAFETY: takes nothing; it is the thread's own place, in the C library's part of its stack.
    let other = unsafe { libc::pthread_self() } as usize;
    let is_before = |end: usize| end.wrapping_sub(address) < FAR;
    is_before(first) || is_before(other)
}

/// Whether the word at `address` can be read. The kernel reads a set of signals there before it
/// says that it knows no such change of them; nothing is changed. In a sandbox that forbids the
/// call, nothing can be read.
pub fn is_readable(address: usize) -> bool {
    const NO_CHANGE: libc::c_long = -1;
    let (none, bytes) = (0_usize, size_of::<u64>());
    errno::kept(|| {
        // SAFETY: the kernel reads 8 bytes at `address`, or says EFAULT; it changes nothing.
        let failed =
            unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NO_CHANGE, address, none, bytes) };
        failed == -1 && errno::get() == libc::EINVAL
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
        let mut stack = Stack { words: [0; WORDS], count: 0 };
        inner(&mut stack);
        let near = stack.words().iter().filter(|word| word.abs_diff(code) < 1 << 16).count();
        assert!(near > 0, "{:x?}", stack.words());
    }

    #[test]
    fn a_stack_ends_where_memory_does() {
        let start = Mmap.reserve_guarded(STEP, PAGE);
        let top = start.expose_provenance() + STEP - 80;
        let mut stack = Stack { words: [0; WORDS], count: 0 };
        stack.fill(0, top);
        assert_eq!(stack.words(), [0; 10]);
        stack.fill(7, top);
        assert_eq!(stack.words(), [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // Of a stack that is not the thread's own, a page at most.
        stack.fill(0, top - PAGE);
        assert_eq!(stack.words(), [0; 10]);
        assert!(!is_readable(start.addr() + STEP) && is_readable(start.addr()));
        errno::kept(|| {
            errno::set(libc::EINVAL);
            assert!(!is_readable(0));
        });
        // SAFETY: reserved above, and not used again.
        unsafe { Mmap.unmap_guarded(start, STEP) };
    }
}
