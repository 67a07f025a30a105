//! A stack for threads that are started while calls fail, from the harness's own memory.
//!
//! The C library caches the stacks that it maps, unmaps them when it has too many, and aborts when
//! it can't: a crash that is no allocator's.

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use drystone_harness::memory::MARK;

/// Room for a backtrace too. What nobody touches costs nothing.
const BYTES: usize = 1 << 20;
/// What ends the process if the stack grows beyond its end.
const GUARD: usize = 64 << 10;
const LAYOUT: Layout = match Layout::from_size_align(BYTES, GUARD) {
    Ok(layout) => layout,
    Err(_) => panic!("both are powers of two"),
};

/// One stack, for one thread at a time.
#[derive(Debug)]
pub(super) struct Stack(NonNull<u8>);

impl Stack {
    /// Fresh memory.
    pub(super) fn new() -> Self {
        // SAFETY: the layout has a size.
        let start = NonNull::new(unsafe { alloc::alloc(LAYOUT) });
        let stack = Self(start.unwrap_or_else(|| alloc::handle_alloc_error(LAYOUT)));
        stack.guard(libc::PROT_NONE);
        stack
    }

    fn guard(&self, protection: libc::c_int) {
        // SAFETY: whole pages of this stack's own, which no thread runs on. The mark is what lets
        // it pass.
        let done = unsafe {
            let (call, none) = (libc::SYS_mprotect, 0usize);
            libc::syscall(call, self.0.as_ptr(), GUARD, protection as usize, none, none, MARK)
        };
        assert_eq!(done, 0, "mprotect of a stack: {}", io::Error::last_os_error());
    }

    /// Runs `function` in a thread on this stack, to its end. What `pthread_create` says if it
    /// can't be started.
    ///
    /// # Safety
    /// `function` may be called with `argument` by any thread.
    pub(super) unsafe fn run(
        &mut self,
        function: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> libc::c_int {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        let mut thread = 0;
        // SAFETY: the attributes are writable, set up before they are used, and given back after.
        // The memory is this stack's, which no other thread runs on: each is joined before the
        // exclusive borrow ends. A thread that was started is joined once. Of the function the
        // caller's word.
        unsafe {
            let set = match libc::pthread_attr_init(attributes) {
                0 => libc::pthread_attr_setstack(
                    attributes,
                    self.0.as_ptr().add(GUARD).cast(),
                    BYTES - GUARD,
                ),
                error => return error,
            };
            let started = match set {
                0 => libc::pthread_create(&raw mut thread, attributes, function, argument),
                error => error,
            };
            libc::pthread_attr_destroy(attributes);
            if started == 0 {
                libc::pthread_join(thread, std::ptr::null_mut());
            }
            started
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.guard(libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: allocated with this layout, and no thread runs on it.
        unsafe { alloc::dealloc(self.0.as_ptr(), LAYOUT) };
    }
}
