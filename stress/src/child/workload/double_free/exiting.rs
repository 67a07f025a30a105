//! A thread that owns the block, frees it with the others, and exits.

use std::ffi::c_void;
use std::ptr::with_exposed_provenance_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use drystone_checker::schedule;

use crate::allocators::process::{OpenAllocator, Own};

/// The thread, from its start to its exit.
pub(super) struct Exiting {
    go: Arc<AtomicBool>,
    thread: JoinHandle<bool>,
}

impl Exiting {
    /// Starts it; returns the block that it has allocated.
    pub(super) fn start(allocator: &OpenAllocator, own: Own, size: usize) -> (*mut c_void, Self) {
        let malloc = allocator.calls.malloc;
        let go = Arc::new(AtomicBool::new(false));
        let (sender, address) = mpsc::channel();
        let awaited = Arc::clone(&go);
        let rates = schedule::rates();
        let thread = thread::spawn(move || {
            // It frees once: where it can be overtaken it is overtaken.
            schedule::begin(rates, 0, 0);
            schedule::often(1);
            // SAFETY: malloc takes any size.
            let block = unsafe { malloc(size) };
            // The other end waits for it.
            let _ = sender.send(block.expose_provenance());
            // Acquire: pairs with the release in `free_and_exit`.
            while !awaited.load(Ordering::Acquire) {
                thread::yield_now();
            }
            // SAFETY: nobody uses the block; whether it is live is for the heap to say.
            unsafe { (own.try_free)(block) }.is_ok()
        });
        (with_exposed_provenance_mut(address.recv().unwrap_or(0)), Self { go, thread })
    }

    /// Lets it go, and waits until its exit is over. Whether its free took effect.
    pub(super) fn free_and_exit(self) -> bool {
        // Release: pairs with the acquire above.
        self.go.store(true, Ordering::Release);
        self.thread.join().unwrap_or(false)
    }
}
