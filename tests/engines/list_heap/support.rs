//! Shared by these tests: calls that also check the heap, fillings, and an OS that can fail.

use std::cell::Cell;
use std::ptr;

use drystone::internals::{Mmap, Os, Probe};
use drystone::{Found, ListHeap, Misuse};

/// A block's header, in bytes: part of the documented layout.
pub const HEADER: usize = 16;

pub fn sound<O: Os, P: Probe>(heap: &ListHeap<O, P>) {
    heap.check().unwrap();
}

pub fn free<O: Os, P: Probe>(heap: &ListHeap<O, P>, block: *mut u8) {
    // SAFETY: every test frees its live blocks and does not use them afterwards.
    unsafe { heap.try_free(block) }.unwrap();
    sound(heap);
}

pub fn rejected(heap: &ListHeap, block: *mut u8) -> Misuse {
    let before = heap.stats();
    // SAFETY: for a pointer that is not a live block, nothing is asked.
    let misuse = unsafe { heap.try_free(block) }.unwrap_err();
    assert_eq!(misuse.address, block as usize);
    assert_eq!(misuse.found, Found::AtCall);
    let after = heap.stats();
    assert_eq!(after.misuses_at_call, before.misuses_at_call + 1);
    assert_eq!(
        drystone::Stats { misuses_at_call: 0, ..after },
        drystone::Stats { misuses_at_call: 0, ..before }
    );
    sound(heap);
    misuse
}

pub fn fill(block: *mut u8, size: usize, seed: u8) {
    for offset in 0..size {
        // SAFETY: callers pass a live block of at least `size` bytes.
        unsafe { block.add(offset).write(seed.wrapping_add((offset * 7) as u8)) };
    }
}

pub fn filled(block: *mut u8, size: usize, seed: u8) -> bool {
    (0..size).all(|offset| {
        // SAFETY: callers pass a live block of at least `size` bytes.
        unsafe { block.add(offset).read() == seed.wrapping_add((offset * 7) as u8) }
    })
}

pub fn all_zero(block: *mut u8, size: usize) -> bool {
    // SAFETY: callers pass a live block of at least `size` bytes that was allocated zeroed.
    unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == 0)
}

pub fn resize(heap: &ListHeap, block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the tests pass live blocks and go on with what they get.
    let resized = unsafe { heap.try_realloc(block, size) }.unwrap();
    sound(heap);
    resized
}

/// Counts calls and bytes; fails the calls in a range.
#[derive(Debug, Default)]
pub struct FakeOs {
    pub calls: Cell<usize>,
    pub fail_from: Cell<usize>,
    pub fail_to: Cell<usize>,
    pub mapped: Cell<usize>,
}

impl FakeOs {
    fn fails(&self) -> bool {
        let call = self.calls.get();
        self.calls.set(call + 1);
        (self.fail_from.get()..self.fail_to.get()).contains(&call)
    }
}

// SAFETY: passes on what Mmap gives, or fails as the contract allows.
unsafe impl Os for &FakeOs {
    fn map(&self, bytes: usize) -> *mut u8 {
        if self.fails() {
            return ptr::null_mut();
        }
        let start = Mmap.map(bytes);
        if !start.is_null() {
            self.mapped.set(self.mapped.get() + bytes);
        }
        start
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        if self.fails() {
            return false;
        }
        self.mapped.set(self.mapped.get() - bytes);
        // SAFETY: a whole mapping of `Mmap`'s, to which nothing refers any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        if self.fails() {
            return ptr::null_mut();
        }
        // SAFETY: a whole mapping of `Mmap`'s; if it may move, the caller alone refers to it.
        let moved = unsafe { Mmap.remap(start, old, new, may_move) };
        if !moved.is_null() {
            self.mapped.set(self.mapped.get() + new - old);
        }
        moved
    }

    fn reserve(&self, _: usize, _: usize) -> *mut u8 {
        unreachable!("the classic allocator reserves nothing")
    }

    unsafe fn decommit(&self, _: *mut u8, _: usize) -> bool {
        unreachable!("the classic allocator keeps or unmaps whole regions")
    }

    fn entropy(&self) -> u64 {
        42
    }
}
