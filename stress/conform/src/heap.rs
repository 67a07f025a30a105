//! The subject's functions, and blocks that a check can use without touching memory that is not its own.
//!
//! A [`Block`] is what a function of the subject returned: if the subject is sound, nobody else has it, and
//! its requested bytes may be read and written. If it is not, the process is a child that exists to show it.

use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::mem::transmute;
use std::path::{Path, PathBuf};
use std::ptr;

use drystone_harness::library::{Symbol, resolve};
use drystone_workloads::errno;

use crate::outcome::{Checked, Wrong, expect, fail};

/// `malloc(size)`, `valloc(size)`
type OfSize = unsafe extern "C" fn(usize) -> *mut c_void;
/// `calloc(count, size)`, `aligned_alloc(alignment, size)`
type OfTwo = unsafe extern "C" fn(usize, usize) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
type Reallocarray = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
type PosixMemalign = unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> i32;
type Free = unsafe extern "C" fn(*mut c_void);
type FreeSized = unsafe extern "C" fn(*mut c_void, usize);
type FreeAlignedSized = unsafe extern "C" fn(*mut c_void, usize, usize);
type UsableSize = unsafe extern "C" fn(*mut c_void) -> usize;

/// The subject. Functions that it does not define are none, even where the C library has them.
pub struct Heap {
    /// The object that `malloc` is of.
    pub served_by: PathBuf,
    /// The library to load, where there is one.
    pub loaded: Option<PathBuf>,
    malloc: OfSize,
    calloc: OfTwo,
    realloc: Realloc,
    free: Free,
    aligned_alloc: Option<OfTwo>,
    memalign: Option<OfTwo>,
    posix_memalign: Option<PosixMemalign>,
    valloc: Option<OfSize>,
    pvalloc: Option<OfSize>,
    reallocarray: Option<Reallocarray>,
    usable_size: Option<UsableSize>,
    free_sized: Option<FreeSized>,
    free_aligned_sized: Option<FreeAlignedSized>,
}

/// A function that allocates, with its alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `malloc(size)`
    Malloc,
    /// `calloc(1, size)`
    Calloc,
    /// `realloc(NULL, size)`
    Realloc,
    /// `reallocarray(NULL, 1, size)`
    Reallocarray,
    /// `aligned_alloc(alignment, size)`
    AlignedAlloc(usize),
    /// `posix_memalign(&block, alignment, size)`
    PosixMemalign(usize),
    /// `memalign(alignment, size)`
    Memalign(usize),
    /// `valloc(size)`
    Valloc,
    /// `pvalloc(size)`
    Pvalloc,
}

impl Way {
    /// One of each, aligned to 64 where that is asked for.
    pub const ALL: [Way; 9] = [
        Way::Malloc,
        Way::Calloc,
        Way::Realloc,
        Way::Reallocarray,
        Way::AlignedAlloc(64),
        Way::PosixMemalign(64),
        Way::Memalign(64),
        Way::Valloc,
        Way::Pvalloc,
    ];

    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Way::Malloc => "malloc",
            Way::Calloc => "calloc",
            Way::Realloc => "realloc",
            Way::Reallocarray => "reallocarray",
            Way::AlignedAlloc(_) => "aligned_alloc",
            Way::PosixMemalign(_) => "posix_memalign",
            Way::Memalign(_) => "memalign",
            Way::Valloc => "valloc",
            Way::Pvalloc => "pvalloc",
        }
    }
}

/// Bytes of the system's pages.
pub fn page() -> usize {
    // SAFETY: getauxval takes a number and cannot fail; every Linux kernel passes AT_PAGESZ.
    unsafe { libc::getauxval(libc::AT_PAGESZ) as usize }
}

/// What `posix_memalign` answers.
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
    /// The functions that serve this process.
    ///
    /// # Errors
    /// A sentence: `malloc` is not of `library`, or its nearest kin are of another object.
    pub fn open(library: Option<&Path>, loaded: Option<PathBuf>) -> Result<Heap, String> {
        let malloc = resolve(c"malloc")?;
        serves(&malloc, library)?;
        let needed = |name: &CStr| {
            let symbol = resolve(name)?;
            if symbol.object == malloc.object {
                return Ok(symbol.address);
            }
            Err(format!(
                "malloc is of {}, and {} of {}: a block of one would meet the free of the other",
                malloc.object.display(),
                name.to_string_lossy(),
                symbol.object.display()
            ))
        };
        let offered = |name: &CStr| needed(name).ok();
        // SAFETY: each address is that of the C library's function of that name, or of one that took its
        // place, and so has that function's signature.
        let heap = unsafe {
            Heap {
                served_by: malloc.object.clone(),
                loaded,
                malloc: transmute::<*mut c_void, OfSize>(malloc.address),
                calloc: transmute::<*mut c_void, OfTwo>(needed(c"calloc")?),
                realloc: transmute::<*mut c_void, Realloc>(needed(c"realloc")?),
                free: transmute::<*mut c_void, Free>(needed(c"free")?),
                aligned_alloc: offered(c"aligned_alloc")
                    .map(|address| transmute::<*mut c_void, OfTwo>(address)),
                memalign: offered(c"memalign")
                    .map(|address| transmute::<*mut c_void, OfTwo>(address)),
                posix_memalign: offered(c"posix_memalign")
                    .map(|address| transmute::<*mut c_void, PosixMemalign>(address)),
                valloc: offered(c"valloc").map(|address| transmute::<*mut c_void, OfSize>(address)),
                pvalloc: offered(c"pvalloc")
                    .map(|address| transmute::<*mut c_void, OfSize>(address)),
                reallocarray: offered(c"reallocarray")
                    .map(|address| transmute::<*mut c_void, Reallocarray>(address)),
                usable_size: offered(c"malloc_usable_size")
                    .map(|address| transmute::<*mut c_void, UsableSize>(address)),
                free_sized: offered(c"free_sized")
                    .map(|address| transmute::<*mut c_void, FreeSized>(address)),
                free_aligned_sized: offered(c"free_aligned_sized")
                    .map(|address| transmute::<*mut c_void, FreeAlignedSized>(address)),
            }
        };
        // No compiler sees through what it did not see made.
        Ok(black_box(heap))
    }

    /// Whether the subject defines the function of a way.
    pub fn offers(&self, way: Way) -> bool {
        match way {
            Way::Malloc | Way::Calloc | Way::Realloc => true,
            Way::Reallocarray => self.reallocarray.is_some(),
            Way::AlignedAlloc(_) => self.aligned_alloc.is_some(),
            Way::PosixMemalign(_) => self.posix_memalign.is_some(),
            Way::Memalign(_) => self.memalign.is_some(),
            Way::Valloc => self.valloc.is_some(),
            Way::Pvalloc => self.pvalloc.is_some(),
        }
    }

    /// One of each way that the subject offers.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        Way::ALL.into_iter().filter(|way| self.offers(*way))
    }

    /// The address of `malloc`.
    pub fn malloc_address(&self) -> usize {
        self.malloc as usize
    }

    /// A block, or none if the request was refused.
    ///
    /// # Errors
    /// The subject does not define the function.
    pub fn request(&'static self, way: Way, size: usize) -> Result<Option<Block>, Wrong> {
        let not_offered = Wrong::NotOffered(way.name());
        // SAFETY: these functions take any numbers.
        let at = unsafe {
            match way {
                Way::Malloc => (self.malloc)(size),
                Way::Calloc => (self.calloc)(1, size),
                Way::Realloc => (self.realloc)(ptr::null_mut(), size),
                Way::Reallocarray => {
                    self.reallocarray.ok_or(not_offered)?(ptr::null_mut(), 1, size)
                }
                Way::AlignedAlloc(align) => self.aligned_alloc.ok_or(not_offered)?(align, size),
                Way::Memalign(align) => self.memalign.ok_or(not_offered)?(align, size),
                Way::Valloc => self.valloc.ok_or(not_offered)?(size),
                Way::Pvalloc => self.pvalloc.ok_or(not_offered)?(size),
                Way::PosixMemalign(align) => {
                    let answer = self.posix_memalign(align, size)?;
                    if answer.result == 0 { answer.memptr } else { ptr::null_mut() }
                }
            }
        };
        Ok((!at.is_null()).then_some(Block { at: at.cast(), size, heap: self }))
    }

    /// A block; a refusal is an answer that is not expected.
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

    /// `malloc(size)`, which must not be refused.
    ///
    /// # Errors
    /// The answer is null.
    pub fn malloc(&'static self, size: usize) -> Result<Block, Wrong> {
        self.get(Way::Malloc, size)
    }

    /// `malloc(size)`, which may be refused.
    pub fn try_malloc(&'static self, size: usize) -> Option<Block> {
        // SAFETY: malloc takes any number.
        let at = unsafe { (self.malloc)(size) };
        (!at.is_null()).then_some(Block { at: at.cast(), size, heap: self })
    }

    /// `calloc(count, size)`, which may be refused.
    pub fn calloc(&'static self, count: usize, size: usize) -> Option<Block> {
        // SAFETY: calloc takes any numbers.
        let at = unsafe { (self.calloc)(count, size) };
        let size = count.saturating_mul(size);
        (!at.is_null()).then_some(Block { at: at.cast(), size, heap: self })
    }

    /// `posix_memalign` with `*memptr` at [`UNTOUCHED`] and `errno` at 0.
    ///
    /// # Errors
    /// The subject does not define it.
    pub fn posix_memalign(&self, align: usize, size: usize) -> Result<Memaligned, Wrong> {
        let function = self.posix_memalign.ok_or(Wrong::NotOffered("posix_memalign"))?;
        let mut memptr = UNTOUCHED;
        errno::set(0);
        // SAFETY: `memptr` is writable; the numbers may be any.
        let result = unsafe { function(&raw mut memptr, align, size) };
        Ok(Memaligned { result, memptr, errno: errno::get() })
    }

    /// `free(NULL)`
    pub fn free_null(&self) {
        // SAFETY: to free null is right.
        unsafe { (self.free)(ptr::null_mut()) }
    }

    /// `malloc_usable_size(NULL)`
    ///
    /// # Errors
    /// The subject does not define it.
    pub fn usable_size_of_null(&self) -> Result<usize, Wrong> {
        let function = self.usable_size.ok_or(Wrong::NotOffered("malloc_usable_size"))?;
        // SAFETY: null is an argument that the function answers.
        Ok(unsafe { function(ptr::null_mut()) })
    }

    /// A pointer that came from this heap by another way (`strdup`, a library), as a block.
    ///
    /// # Safety
    /// It is live, `size` bytes long at least, and nobody else's.
    pub unsafe fn adopt(&'static self, at: *mut u8, size: usize) -> Block {
        Block { at, size, heap: self }
    }

    /// `free`, for whom the pointer is all that matters.
    ///
    /// # Safety
    /// It is a live block of this heap, or the process is there to see what comes of it.
    pub unsafe fn free(&self, at: *mut u8) {
        // SAFETY: the caller's word.
        unsafe { (self.free)(at.cast()) }
    }

    /// `realloc`, likewise.
    ///
    /// # Safety
    /// As [`Heap::free`].
    pub unsafe fn realloc(&self, at: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's word.
        unsafe { (self.realloc)(at.cast(), size).cast() }
    }

    /// `free_sized`, likewise.
    ///
    /// # Safety
    /// As [`Heap::free`].
    ///
    /// # Errors
    /// The subject does not define it.
    pub unsafe fn free_sized(&self, at: *mut u8, size: usize) -> Checked {
        let function = self.free_sized.ok_or(Wrong::NotOffered("free_sized"))?;
        // SAFETY: the caller's word.
        unsafe { function(at.cast(), size) }
        Ok(())
    }
}

/// Whether `malloc` is of the object that it is meant to be of.
fn serves(malloc: &Symbol, library: Option<&Path>) -> Result<(), String> {
    let object = malloc.object.display();
    let name = malloc.object.file_name().unwrap_or_default().to_string_lossy();
    match library {
        Some(library) if malloc.object != library => Err(format!(
            "{} was preloaded, and malloc is still {object}'s: the library does not define malloc, or the \
             loader refused it",
            library.display()
        )),
        None if !(name.starts_with("libc.") || name.starts_with("libc-")) => Err(format!(
            "malloc was meant to be the C library's, and is {object}'s: unset what preloads it"
        )),
        _ => Ok(()),
    }
}

/// A block of the subject. Dropping one leaks it: only [`Block::free`] frees.
pub struct Block {
    at: *mut u8,
    size: usize,
    heap: &'static Heap,
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

    /// Fills the first `length` bytes, which may be more than were asked for if the subject says that they
    /// are usable.
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
    /// The subject does not define it.
    pub fn usable_size(&self) -> Result<usize, Wrong> {
        let function = self.heap.usable_size.ok_or(Wrong::NotOffered("malloc_usable_size"))?;
        // SAFETY: the block is live.
        Ok(unsafe { function(self.at.cast()) })
    }

    /// `realloc`: the new block, or the old one if that was refused.
    ///
    /// # Errors
    /// The old block.
    pub fn realloc(self, size: usize) -> Result<Block, Block> {
        // SAFETY: the block is live, and its pointer is not used again unless the call fails.
        let at = unsafe { (self.heap.realloc)(self.at.cast(), size) };
        if at.is_null() { Err(self) } else { Ok(Block { at: at.cast(), size, heap: self.heap }) }
    }

    /// `realloc`, which must not be refused.
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
    /// The subject does not define it; within, the old block.
    pub fn reallocarray(self, count: usize, size: usize) -> Result<Result<Block, Block>, Wrong> {
        let function = self.heap.reallocarray.ok_or(Wrong::NotOffered("reallocarray"))?;
        // SAFETY: as in `realloc`.
        let at = unsafe { function(self.at.cast(), count, size) };
        let size = count.saturating_mul(size);
        Ok(if at.is_null() {
            Err(self)
        } else {
            Ok(Block { at: at.cast(), size, heap: self.heap })
        })
    }

    /// `free`
    pub fn free(self) {
        // SAFETY: the block is live and its pointer is not used again.
        unsafe { self.heap.free(self.at) }
    }

    /// `free_sized` with the right size.
    ///
    /// # Errors
    /// The subject does not define it.
    pub fn free_sized(self) -> Checked {
        // SAFETY: the block is live and its pointer is not used again.
        unsafe { self.heap.free_sized(self.at, self.size) }
    }

    /// `free_aligned_sized` with the right size and `align`.
    ///
    /// # Errors
    /// The subject does not define it.
    pub fn free_aligned_sized(self, align: usize) -> Checked {
        let function = self.heap.free_aligned_sized;
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
