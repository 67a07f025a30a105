//! A block that a check can use without touching memory that is not its own.
//!
//! A [`Block`] is what a function of the allocator returned: if the allocator is sound, nobody else
//! has it, and its requested bytes may be read and written. If it is not, the process is a child
//! that exists to show it.

use std::ptr;

use drystone_workloads::errno;

use crate::child::functions::{Functions, Way};
use crate::outcome::{Checked, Wrong, expect, fail};

/// A block of the allocator. Dropping one leaks it: only [`Block::free`] frees.
#[derive(Debug)]
pub struct Block {
    pub(super) at: *mut u8,
    pub(super) size: usize,
    pub(super) functions: &'static Functions,
}

// SAFETY: the memory is the block's alone, and any thread may use and free it.
unsafe impl Send for Block {}

impl Block {
    /// Where it begins.
    pub fn address(&self) -> usize {
        self.at.addr()
    }

    /// The pointer.
    pub fn pointer(&self) -> *mut u8 {
        self.at
    }

    /// Bytes that were asked for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Fills all of it with the stream of `seed`.
    pub fn fill(&mut self, seed: u64) {
        self.fill_to(self.size, seed);
    }

    /// Fills the first `length` bytes, which may be more than were asked for if the allocator says
    /// that they are usable.
    pub fn fill_to(&mut self, length: usize, seed: u64) {
        for at in (0..length).step_by(8) {
            let bytes = stream(seed, at).to_ne_bytes();
            let count = (length - at).min(8);
            // SAFETY: within `length` bytes, which are usable (see the function's head).
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(at), count) };
        }
    }

    /// Fails unless the first `length` bytes hold the stream of `seed`.
    pub fn holds_to(&self, length: usize, seed: u64) -> Checked {
        match self.differs(length, seed) {
            None => Ok(()),
            Some(at) => fail(
                format!("the {length} bytes that were written"),
                format!("another byte at offset {at} of a block of {} bytes", self.size),
            ),
        }
    }

    /// Fails unless all of it holds the stream of `seed`.
    pub fn holds(&self, seed: u64) -> Checked {
        self.holds_to(self.size, seed)
    }

    /// The first offset below `length` that does not hold the stream of `seed`. Allocates nothing.
    pub fn differs(&self, length: usize, seed: u64) -> Option<usize> {
        for at in (0..length).step_by(8) {
            let mut bytes = [0u8; 8];
            let count = (length - at).min(8);
            // SAFETY: within `length` bytes, which were filled.
            unsafe { ptr::copy_nonoverlapping(self.at.add(at), bytes.as_mut_ptr(), count) };
            if bytes[..count] != stream(seed, at).to_ne_bytes()[..count] {
                return Some(at);
            }
        }
        None
    }

    /// The first offset that is not zero. For blocks of `calloc`.
    pub fn not_zero(&self) -> Option<usize> {
        for at in (0..self.size).step_by(8) {
            let mut bytes = [0u8; 8];
            let count = (self.size - at).min(8);
            // SAFETY: within the block, whose bytes calloc has written, or the system.
            unsafe { ptr::copy_nonoverlapping(self.at.add(at), bytes.as_mut_ptr(), count) };
            if bytes != [0; 8] {
                return Some(at);
            }
        }
        None
    }

    /// `malloc_usable_size`
    ///
    /// # Errors
    /// The allocator does not define it.
    pub fn usable_size(&self) -> Result<usize, Wrong> {
        let function = self.functions.usable_size.ok_or(Wrong::NotOffered("malloc_usable_size"))?;
        // SAFETY: the block is live.
        Ok(unsafe { function(self.at.cast()) })
    }

    /// `realloc`: the new block, or the old one if that failed.
    ///
    /// # Errors
    /// The old block.
    pub fn realloc(self, size: usize) -> Result<Block, Block> {
        // SAFETY: the block is live, and its pointer is not used again unless the call fails.
        let at = unsafe { (self.functions.realloc)(self.at.cast(), size) };
        if at.is_null() {
            Err(self)
        } else {
            Ok(Block { at: at.cast(), size, functions: self.functions })
        }
    }

    /// `realloc`, which must not fail.
    ///
    /// # Errors
    /// The answer is null.
    pub fn resized(self, size: usize) -> Result<Block, Wrong> {
        let old = self.size;
        match self.realloc(size) {
            Ok(block) => Ok(block),
            Err(_) => fail(
                format!("a block of {old} bytes resized to {size}"),
                format!("null, errno {}", errno::get()),
            ),
        }
    }

    /// `reallocarray`: likewise.
    ///
    /// # Errors
    /// The allocator does not define it; within, the old block.
    pub fn reallocarray(self, count: usize, size: usize) -> Result<Result<Block, Block>, Wrong> {
        let function = self.functions.reallocarray.ok_or(Wrong::NotOffered("reallocarray"))?;
        // SAFETY: the block is live, and its pointer is not used again unless the call fails.
        let at = unsafe { function(self.at.cast(), count, size) };
        let size = count.saturating_mul(size);
        Ok(if at.is_null() {
            Err(self)
        } else {
            Ok(Block { at: at.cast(), size, functions: self.functions })
        })
    }

    /// `free`
    pub fn free(self) {
        // SAFETY: the block is live and its pointer is not used again.
        unsafe { (self.functions.free)(self.at.cast()) }
    }

    /// `free_sized` with the right size.
    ///
    /// # Errors
    /// The allocator does not define it.
    pub fn free_sized(self) -> Checked {
        let function = self.functions.free_sized.ok_or(Wrong::NotOffered("free_sized"))?;
        // SAFETY: the block is live and its pointer is not used again.
        unsafe { function(self.at.cast(), self.size) }
        Ok(())
    }

    /// `free_aligned_sized` with the right size and `align`.
    ///
    /// # Errors
    /// The allocator does not define it.
    pub fn free_aligned_sized(self, align: usize) -> Checked {
        let function = self.functions.free_aligned_sized;
        let function = function.ok_or(Wrong::NotOffered("free_aligned_sized"))?;
        // SAFETY: the block is live and its pointer is not used again.
        unsafe { function(self.at.cast(), align, self.size) }
        Ok(())
    }

    /// Fails unless its address is a multiple of `align`.
    pub fn aligned(&self, align: usize, way: Way) -> Checked {
        expect(
            self.address().is_multiple_of(align),
            || format!("{} of {} bytes aligned to {align}", way.name(), self.size),
            || format!("{:#x}", self.address()),
        )
    }
}

/// Eight bytes of a stream that differs between seeds and places (splitmix64, Steele et al. 2014).
fn stream(seed: u64, at: usize) -> u64 {
    let mut word = seed.wrapping_add((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
