//! The next allocator: whatever the loader would have bound the program's `malloc` to without us.
//!
//! Looked up by `dlsym(RTLD_NEXT)`, once, by whoever comes first. Threads that race here find the
//! same addresses; there is no lock to be held across a fork. Called by the exports.

use core::ffi::{CStr, c_void};
use core::mem::transmute_copy;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::complain::die;
use crate::errno;

type Found = AtomicPtr<c_void>;

macro_rules! next_functions {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $symbol:literal;)*) => {
        #[allow(non_upper_case_globals)]
        mod found {
            use super::*;
            $(pub(crate) static $name: Found = AtomicPtr::new(ptr::null_mut());)*
        }

        $($(#[$doc])*
        pub(crate) fn $name() -> Option<$type> {
            // Acquire pairs with the Release of `resolve`. That nothing is passed but an address of
            // code would allow Relaxed as well; it costs nothing here.
            let address = found::$name.load(Ordering::Acquire);
            // SAFETY: not null, it is what the loader gave for the C function of this name, whose
            // type the C standard or POSIX gives.
            (!address.is_null()).then(|| unsafe { transmute_copy::<*mut c_void, $type>(&address) })
        })*

        fn resolve_all() {
            $(resolve(&found::$name, $symbol);)*
        }
    };
}

next_functions! {
    /// `free(3)`. Looked up first: what a lookup allocates can then be given back.
    free: unsafe extern "C" fn(*mut c_void) = c"free";
    /// `malloc(3)`
    malloc: unsafe extern "C" fn(usize) -> *mut c_void = c"malloc";
    /// `calloc(3)`
    calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void = c"calloc";
    /// `realloc(3)`
    realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void = c"realloc";
    /// `reallocarray(3)`
    reallocarray: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void = c"reallocarray";
    /// `aligned_alloc(3)`
    aligned_alloc: unsafe extern "C" fn(usize, usize) -> *mut c_void = c"aligned_alloc";
    /// `posix_memalign(3)`
    posix_memalign: unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> i32 = c"posix_memalign";
    /// `memalign(3)`
    memalign: unsafe extern "C" fn(usize, usize) -> *mut c_void = c"memalign";
    /// `valloc(3)`
    valloc: unsafe extern "C" fn(usize) -> *mut c_void = c"valloc";
    /// `pvalloc(3)`
    pvalloc: unsafe extern "C" fn(usize) -> *mut c_void = c"pvalloc";
    /// `malloc_usable_size(3)`
    malloc_usable_size: unsafe extern "C" fn(*mut c_void) -> usize = c"malloc_usable_size";
}

fn resolve(into: &Found, symbol: &CStr) {
    // SAFETY: a NUL-terminated name; dlsym may be called from anywhere but a signal handler.
    let address = unsafe { libc::dlsym(libc::RTLD_NEXT, symbol.as_ptr()) };
    // Release pairs with the Acquire of the getters.
    into.store(address, Ordering::Release);
}

/// Finds the next allocator unless it has been found. To be called with the thread marked as
/// [`Inside`](crate::thread::Inside), so that what `dlsym` allocates meanwhile is told apart.
pub(crate) fn ensure() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // Acquire pairs with the Release below: who sees it set sees every function.
    if !DONE.load(Ordering::Acquire) {
        let _errno = errno::Kept::new();
        resolve_all();
        if free().is_none() || malloc().is_none() || calloc().is_none() || realloc().is_none() {
            die(b"no allocator behind the recorder: preload it into a dynamically linked program");
        }
        DONE.store(true, Ordering::Release);
    }
}
