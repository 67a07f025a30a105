//! A library under test: loaded beside the other, and asked for its functions.

use std::ffi::{CStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use drystone_workloads::calls::Calls;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Loads the library at `path`, whatever others are loaded, and returns its functions. It stays for
/// the rest of the process.
///
/// RTLD_LOCAL keeps its names to itself; RTLD_DEEPBIND has its own calls find its own functions
/// before the C library's. `dlmopen` would separate more, and runs out of static TLS.
///
/// # Errors
/// If it cannot be loaded, lacks a function, or another library answers for it.
pub fn load(path: &Path) -> Result<Calls> {
    let shown = path.display();
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_DEEPBIND;
    // SAFETY: the library's constructors run. It is one that the user wants measured, and an
    // allocator's constructors may run at any time.
    let library = unsafe { Library::open(Some(path), flags) };
    // Never closed: its blocks, and what it registered with the C library, outlive any handle.
    let library =
        std::mem::ManuallyDrop::new(library.with_context(|| format!("cannot load {shown}"))?);
    let find = |name: &CStr| -> Result<*mut c_void> {
        let shown_name = name.to_string_lossy();
        // SAFETY: only the address is taken here; nothing is called through this type.
        let symbol = unsafe { library.get::<*mut c_void>(name) };
        let symbol = symbol.with_context(|| format!("{shown} has no function `{shown_name}`"))?;
        let address = symbol.into_raw();
        ensure!(answers(address, path), "`{shown_name}` of {shown} is answered by another library");
        Ok(address)
    };
    // SAFETY: each address is that of the function of that name in the library itself (`answers`),
    // and these names have the C library's signatures in every allocator (C23 §7.24.3).
    unsafe {
        use std::mem::transmute;
        Ok(Calls {
            malloc: transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(find(
                c"malloc",
            )?),
            calloc: transmute::<*mut c_void, unsafe extern "C" fn(usize, usize) -> *mut c_void>(
                find(c"calloc")?,
            ),
            realloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
            >(find(c"realloc")?),
            aligned_alloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(usize, usize) -> *mut c_void,
            >(find(c"aligned_alloc")?),
            free: transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(find(c"free")?),
            usable_size: None,
        })
    }
}

/// Whether the function at `address` lies in the library at `path`.
fn answers(address: *mut c_void, path: &Path) -> bool {
    let mut found = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: `found` is a Dl_info that the call may write; it reads nothing at the address.
    let known = unsafe { libc::dladdr(address, &raw mut found) } != 0;
    if !known || found.dli_fname.is_null() {
        return false;
    }
    // SAFETY: the call succeeded, so this is the path that the loader was given, a C string that
    // lives as long as the library, which is never closed.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    name.to_bytes() == path.as_os_str().as_bytes()
}
