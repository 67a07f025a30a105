//! A library with the allocator inside stays loaded.
//!
//! A plug-in in Rust that has the allocator for its own is unloaded by its host at any time. But
//! threads that have used it come back to it when they end, the C library calls its handlers at a
//! fork and at exit, and its blocks may be in other hands. So it does what `-z nodelete` does for
//! the C interface: when it is loaded, it holds itself. A later load gets the same copy.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;

type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

/// Called by the loader, which is in the middle of loading the library, if this is one.
pub extern "C" fn stay() {
    let Some(file) = library() else { return };
    // Looked up, since a linker warns of every static program that names `dlopen`.
    // SAFETY: a C string, and one of the loader's own values.
    let dlopen = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"dlopen".as_ptr()) };
    if dlopen.is_null() {
        return;
    }
    // SAFETY: the address is that of the C library's `dlopen`. Nothing is loaded: the library,
    // which the loader knows by this name, gets one user more, which never goes. If that fails, it
    // can be unloaded, as any other.
    unsafe {
        let dlopen: Dlopen = core::mem::transmute(dlopen);
        dlopen(file.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NODELETE | libc::RTLD_LAZY);
    }
}

/// The name by which the loader knows the library that this code is in; `None` in the program.
fn library() -> Option<&'static CStr> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the place is a `Dl_info`'s, which a success fills.
    let info = unsafe {
        let address = (stay as extern "C" fn()) as *const c_void;
        (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init())?
    };
    // The program's own headers lie in its first page.
    // SAFETY: getauxval takes a number and cannot fail.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    if headers.wrapping_sub(info.dli_fbase.addr()) < crate::os::PAGE || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a C string of the loader's, which lives as long as the library is loaded.
    Some(unsafe { CStr::from_ptr(info.dli_fname) })
}
