//! A library that comes and goes while the program runs.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;

use crate::child::heap::Heap;
use crate::outcome::{Checked, Wrong, expect, fail};

/// The library that checks load, open.
#[derive(Debug)]
pub struct Library {
    handle: *mut c_void,
}

impl Library {
    /// Loads the library that checks load.
    ///
    /// # Errors
    /// There is no C compiler, or the loader rejects it.
    pub fn load(heap: &Heap) -> Result<Library, Wrong> {
        let Some(path) = &heap.fixture else {
            return Err(Wrong::CannotTell("there is no C compiler: install one".to_owned()));
        };
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path has no zero byte");
        // SAFETY: the path is a C string; the library's constructor only allocates.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            // SAFETY: after a failure dlerror returns a C string.
            let why = unsafe { CStr::from_ptr(libc::dlerror()) };
            return fail("a library loaded", why.to_string_lossy());
        }
        Ok(Library { handle })
    }

    fn address(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the handle is open, the name a C string.
        let address = unsafe { libc::dlsym(self.handle, name.as_ptr()) };
        assert!(!address.is_null(), "dlopen_fixture.c defines {name:?}");
        address
    }

    /// Whether what its constructor allocated is as it was.
    pub fn sound(&self) -> bool {
        // SAFETY: `int fixture_sound(void)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn() -> i32>(
                self.address(c"fixture_sound"),
            );
            function() == 1
        }
    }

    /// Where the `malloc` is that the loader has bound it to.
    pub fn malloc_address(&self) -> usize {
        // SAFETY: `void *fixture_malloc_address(void)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn() -> *mut c_void>(
                self.address(c"fixture_malloc_address"),
            );
            function().addr()
        }
    }

    /// A block that it leaves to its caller; null if it failed.
    pub fn allocate(&self, size: usize) -> *mut u8 {
        // SAFETY: `void *fixture_allocate(size_t)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn(usize) -> *mut u8>(
                self.address(c"fixture_allocate"),
            );
            function(size)
        }
    }

    /// The function that works on thread-local memory; 1 if all is well.
    pub fn in_a_thread(&self) -> extern "C" fn(i32) -> i32 {
        // SAFETY: `int fixture_in_a_thread(int)`, which any thread may call while the library is
        // loaded.
        unsafe {
            std::mem::transmute::<*mut c_void, extern "C" fn(i32) -> i32>(
                self.address(c"fixture_in_a_thread"),
            )
        }
    }

    /// The exit status of a program that is started by `vfork` and `execve`.
    pub fn vfork(&self, program: &CStr) -> i32 {
        // SAFETY: `int fixture_vfork(const char *)`
        unsafe {
            let function = std::mem::transmute::<*mut c_void, extern "C" fn(*const c_char) -> i32>(
                self.address(c"fixture_vfork"),
            );
            function(program.as_ptr())
        }
    }

    /// Closes it.
    ///
    /// # Errors
    /// The loader won't.
    pub fn close(self) -> Checked {
        // SAFETY: nothing of the library is used afterwards.
        let answer = unsafe { libc::dlclose(self.handle) };
        expect(answer == 0, || "a library closed".to_owned(), || format!("{answer}"))
    }
}
