//! The allocator that serves this process, and all that a check may ask of it.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr;

use drystone_workloads::errno;

use crate::child::block::Block;
use crate::child::functions::{Functions, ServeError, Way};
use crate::outcome::{Checked, Wrong, fail};

/// The allocator.
#[derive(Debug)]
pub struct Heap {
    /// The object that `malloc` is of.
    pub served_by: PathBuf,
    /// The library that checks load, where there is one.
    pub fixture: Option<PathBuf>,
    functions: Functions,
}

/// What `posix_memalign` answers.
#[derive(Debug)]
pub struct Memaligned {
    /// What it returned.
    pub result: i32,
    /// What `*memptr` holds after.
    pub memptr: *mut c_void,
    /// `errno` after, 0 before.
    pub errno: i32,
}

/// What `*memptr` holds before.
pub const UNTOUCHED: *mut c_void = ptr::without_provenance_mut(0x5a5a_5a50);

impl Heap {
    /// The allocator that serves this process; `fixture` is the library that checks load.
    ///
    /// # Errors
    /// `malloc` is not of `library`, or its nearest kin are of another object.
    pub fn open(library: Option<&Path>, fixture: Option<PathBuf>) -> Result<Heap, ServeError> {
        let (functions, served_by) = Functions::of_this_process(library)?;
        Ok(Heap { served_by, fixture, functions })
    }

    /// Whether the allocator defines the function of a way.
    pub fn offers(&self, way: Way) -> bool {
        self.functions.offers(way)
    }

    /// One of each way that the allocator offers.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        Way::ALL.into_iter().filter(|way| self.functions.offers(*way))
    }

    /// The address of `malloc`.
    pub fn malloc_address(&self) -> usize {
        self.functions.malloc as usize
    }

    /// A block, or none if the request failed.
    ///
    /// # Errors
    /// The allocator does not define the function.
    pub fn request(&'static self, way: Way, size: usize) -> Result<Option<Block>, Wrong> {
        let not_offered = Wrong::NotOffered(way.name());
        // SAFETY: these functions take any numbers.
        let at = unsafe {
            match way {
                Way::Malloc => (self.functions.malloc)(size),
                Way::Calloc => (self.functions.calloc)(1, size),
                Way::Realloc => (self.functions.realloc)(ptr::null_mut(), size),
                Way::Reallocarray => {
                    self.functions.reallocarray.ok_or(not_offered)?(ptr::null_mut(), 1, size)
                }
                Way::AlignedAlloc(align) => {
                    self.functions.aligned_alloc.ok_or(not_offered)?(align, size)
                }
                Way::Memalign(align) => self.functions.memalign.ok_or(not_offered)?(align, size),
                Way::Valloc => self.functions.valloc.ok_or(not_offered)?(size),
                Way::Pvalloc => self.functions.pvalloc.ok_or(not_offered)?(size),
                Way::PosixMemalign(align) => {
                    let answer = self.posix_memalign(align, size)?;
                    if answer.result == 0 { answer.memptr } else { ptr::null_mut() }
                }
            }
        };
        Ok((!at.is_null()).then_some(Block { at: at.cast(), size, functions: &self.functions }))
    }

    /// A block; a failure is an answer that is not expected.
    ///
    /// # Errors
    /// As [`Heap::request`], and where the answer is null.
    pub fn get(&'static self, way: Way, size: usize) -> Result<Block, Wrong> {
        match self.request(way, size)? {
            Some(block) => Ok(block),
            None => fail(
                format!("{size} bytes from {}", way.name()),
                format!("null, errno {}", errno::get()),
            ),
        }
    }

    /// `malloc(size)`, which must not fail.
    ///
    /// # Errors
    /// The answer is null.
    pub fn malloc(&'static self, size: usize) -> Result<Block, Wrong> {
        self.get(Way::Malloc, size)
    }

    /// `malloc(size)`, which may fail.
    pub fn try_malloc(&'static self, size: usize) -> Option<Block> {
        // SAFETY: malloc takes any number.
        let at = unsafe { (self.functions.malloc)(size) };
        (!at.is_null()).then_some(Block { at: at.cast(), size, functions: &self.functions })
    }

    /// `calloc(count, size)`, which may fail.
    pub fn calloc(&'static self, count: usize, size: usize) -> Option<Block> {
        // SAFETY: calloc takes any numbers.
        let at = unsafe { (self.functions.calloc)(count, size) };
        let size = count.saturating_mul(size);
        (!at.is_null()).then_some(Block { at: at.cast(), size, functions: &self.functions })
    }

    /// `posix_memalign` with `*memptr` at [`UNTOUCHED`] and `errno` at 0.
    ///
    /// # Errors
    /// The allocator does not define it.
    pub fn posix_memalign(&self, align: usize, size: usize) -> Result<Memaligned, Wrong> {
        let function = self.functions.posix_memalign.ok_or(Wrong::NotOffered("posix_memalign"))?;
        let mut memptr = UNTOUCHED;
        errno::set(0);
        // SAFETY: `memptr` is writable; the numbers may be any.
        let result = unsafe { function(&raw mut memptr, align, size) };
        Ok(Memaligned { result, memptr, errno: errno::get() })
    }

    /// `free(NULL)`
    pub fn free_null(&self) {
        // SAFETY: to free null is right.
        unsafe { (self.functions.free)(ptr::null_mut()) }
    }

    /// `malloc_usable_size(NULL)`
    ///
    /// # Errors
    /// The allocator does not define it.
    pub fn usable_size_of_null(&self) -> Result<usize, Wrong> {
        let function = self.functions.usable_size.ok_or(Wrong::NotOffered("malloc_usable_size"))?;
        // SAFETY: null is an argument that the function answers.
        Ok(unsafe { function(ptr::null_mut()) })
    }

    /// A pointer that came from this heap by another way (`strdup`, a library), as a block.
    ///
    /// # Safety
    /// It is live, `size` bytes long at least, and nobody else's.
    pub unsafe fn wrap(&'static self, at: *mut u8, size: usize) -> Block {
        Block { at, size, functions: &self.functions }
    }

    /// `free`, for whom the pointer is all that matters.
    ///
    /// # Safety
    /// It is a live block of this heap, or the process is there to see what comes of it.
    pub unsafe fn free(&self, at: *mut u8) {
        // SAFETY: a live block of this heap, or this process is there to see what comes of it.
        unsafe { (self.functions.free)(at.cast()) }
    }

    /// `realloc`, likewise.
    ///
    /// # Safety
    /// As [`Heap::free`].
    pub unsafe fn realloc(&self, at: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: a live block of this heap, or this process is there to see what comes of it.
        unsafe { (self.functions.realloc)(at.cast(), size).cast() }
    }

    /// `free_sized`, likewise.
    ///
    /// # Safety
    /// As [`Heap::free`].
    ///
    /// # Errors
    /// The allocator does not define it.
    pub unsafe fn free_sized(&self, at: *mut u8, size: usize) -> Checked {
        let function = self.functions.free_sized.ok_or(Wrong::NotOffered("free_sized"))?;
        // SAFETY: a live block of this heap, or this process is there to see what comes of it.
        unsafe { function(at.cast(), size) }
        Ok(())
    }
}
