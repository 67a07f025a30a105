//! An allocator as a workload sees it: a handful of C functions behind pointers.
//!
//! Nothing is inlined through a function pointer read at run time, and no pair of calls is elided,
//! so every allocator pays the same for being called.

use core::ffi::{c_int, c_void};

/// The functions of one allocator, with the C library's signatures and meanings.
///
/// Sizes are bytes, alignments are powers of two; a null return is a failed request. The semantics
/// are those of C23 §7.24.3 and POSIX.1-2024.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// `malloc(size)`
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    /// `calloc(count, size)`
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `realloc(block, size)`
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    /// `aligned_alloc(alignment, size)`
    pub aligned_alloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// `free(block)`
    pub free: unsafe extern "C" fn(*mut c_void),
    /// `malloc_usable_size(block)`, where the allocator has it
    pub usable_size: Option<unsafe extern "C" fn(*mut c_void) -> usize>,
}

/// The functions beyond [`Calls`] that an allocator may have, each where it has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoreCalls {
    /// `posix_memalign(result, alignment, size)`
    pub posix_memalign: Option<unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int>,
    /// `memalign(alignment, size)`
    pub memalign: Option<unsafe extern "C" fn(usize, usize) -> *mut c_void>,
    /// `reallocarray(block, count, size)`
    pub reallocarray: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    /// `free_sized(block, size)`
    pub free_sized: Option<unsafe extern "C" fn(*mut c_void, usize)>,
    /// `free_aligned_sized(block, alignment, size)`
    pub free_aligned_sized: Option<unsafe extern "C" fn(*mut c_void, usize, usize)>,
    /// `operator new(size, std::nothrow)`
    pub new: Option<unsafe extern "C" fn(usize, *const c_void) -> *mut c_void>,
    /// `operator delete(block)`
    pub delete: Option<unsafe extern "C" fn(*mut c_void)>,
    /// `operator delete(block, size)`
    pub delete_sized: Option<unsafe extern "C" fn(*mut c_void, usize)>,
    /// `malloc_trim(pad)`
    pub malloc_trim: Option<unsafe extern "C" fn(usize) -> c_int>,
    /// `mallinfo2()`
    pub mallinfo2: Option<unsafe extern "C" fn() -> Mallinfo2>,
    /// What gives idle memory back under another name.
    pub give_back: Option<GiveBack>,
}

/// A peer's own function that gives idle memory back to the OS.
#[derive(Clone, Copy, Debug)]
pub enum GiveBack {
    /// gperftools: `MallocExtension_ReleaseFreeMemory()`
    Plain(unsafe extern "C" fn()),
    /// mimalloc: `mi_collect(force)`
    Forced(unsafe extern "C" fn(bool)),
    /// jemalloc: `mallctl(name, old, old_length, new, new_length)`
    Named(
        unsafe extern "C" fn(
            *const core::ffi::c_char,
            *mut c_void,
            *mut usize,
            *mut c_void,
            usize,
        ) -> c_int,
    ),
}

/// What `mallinfo2` returns: ten figures (mallinfo2(3)).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Mallinfo2(pub [usize; 10]);

impl MoreCalls {
    /// Whether it has a function that gives idle memory back.
    pub fn gives_back(&self) -> bool {
        self.malloc_trim.is_some() || self.give_back.is_some()
    }

    /// Has idle memory go back, by whatever function the allocator has for it; false if it has
    /// none.
    pub fn give_back(&self) -> bool {
        match (self.malloc_trim, self.give_back) {
            // SAFETY: takes any number.
            (Some(trim), _) => _ = unsafe { trim(0) },
            // SAFETY: takes nothing.
            (None, Some(GiveBack::Plain(give_back))) => unsafe { give_back() },
            // SAFETY: takes either.
            (None, Some(GiveBack::Forced(collect))) => unsafe { collect(true) },
            (None, Some(GiveBack::Named(control))) => {
                let name = c"arena.4096.purge".as_ptr();
                let (none, length) = (core::ptr::null_mut(), core::ptr::null_mut());
                // SAFETY: the name is a C string, of all arenas; it takes and returns nothing.
                _ = unsafe { control(name, none, length, none, 0) };
            }
            (None, None) => return false,
        }
        true
    }
}
