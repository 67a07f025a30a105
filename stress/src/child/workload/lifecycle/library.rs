//! A library that allocates in its constructor, in its functions and in its thread-local memory:
//! loaded, used and closed while others allocate.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::transmute;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use drystone_checker::checked::Checked;
use drystone_checker::counters::{Count, Doing};
use drystone_checker::violation::{self, Kind};

use crate::allocators::process::OpenAllocator;

/// Where it is.
#[derive(Debug)]
pub struct Library {
    path: CString,
}

/// It, loaded.
struct Open(NonNull<c_void>);

/// Bytes of the block that it allocates.
const BLOCK: usize = 777;
/// What they are set to.
const FILL: u8 = 0xa7;

impl Library {
    /// The library at `path`, which must be bound to the malloc that is `allocator`'s.
    ///
    /// # Errors
    /// It can't be loaded, or has another malloc.
    pub fn open(path: &Path, allocator: &OpenAllocator) -> Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let library = Self { path };
        let open = library.load().context("the library to load")?;
        // SAFETY: `void *fixture_malloc_address(void)`
        let bound = unsafe {
            let function = open.function(c"fixture_malloc_address");
            transmute::<*mut c_void, extern "C" fn() -> *mut c_void>(function)()
        };
        match bound.addr() == allocator.calls.malloc as *const () as usize {
            true => Ok(library),
            false => bail!(
                "a library that is loaded has another malloc than the allocator's; set \
                 lifecycle:load=0"
            ),
        }
    }

    fn load(&self) -> Result<Open> {
        // SAFETY: the path is a C string, of a library whose constructor and destructor use malloc
        // and free alone.
        let handle = unsafe { libc::dlopen(self.path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        NonNull::new(handle).map(Open).with_context(|| {
            // SAFETY: after a failure dlerror returns a C string, which is copied at once.
            let why: *const c_char = unsafe { libc::dlerror() };
            match why.is_null() {
                true => "the loader does not say why".to_owned(),
                // SAFETY: not null, and as above.
                false => unsafe { CStr::from_ptr(why) }.to_string_lossy().into_owned(),
            }
        })
    }

    /// Loads it, uses it, closes it, and frees a block that it has left. At a fork nobody is in the
    /// middle of the first or the third, by `loading`.
    pub fn come_and_go(&self, loading: &RwLock<()>, checked: &mut Checked<'_>) {
        let row = checked.row();
        row.doing(Doing::Loading);
        let shared = || loading.read().unwrap_or_else(PoisonError::into_inner);
        let open = {
            let _loading = shared();
            self.load().unwrap_or_else(|why| {
                violation::raise(Kind::UnprovokedNull, "a library that allocates to be loaded", why)
            })
        };
        open.check(checked.worker());
        let block = open.allocate();
        {
            let _loading = shared();
            drop(open);
        }
        // SAFETY: the block is live, this thread's alone, and has so many bytes, which `allocate`
        // has set.
        let bytes = unsafe { std::slice::from_raw_parts(block.cast::<u8>().as_ptr(), BLOCK) };
        if let Some(at) = bytes.iter().position(|&byte| byte != FILL) {
            let seen = format!("byte {at} of {block:p} is {:#04x}", bytes[at]);
            violation::raise(Kind::Identity, "a closed library's block as it was written", seen);
        }
        row.add(Count::BytesVerified, BLOCK as u64);
        row.doing(Doing::Free);
        // SAFETY: the block is live, and given up here; it is of the malloc that goes with this
        // free.
        unsafe { (checked.allocator().calls().free)(block.as_ptr()) };
        row.add(Count::Loads, 1);
    }
}

impl Open {
    fn function(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the library is loaded, the name a C string.
        let address = unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) };
        assert!(!address.is_null(), "dlopen_fixture.c defines {name:?}");
        address
    }

    /// What its constructor has left must be there, and the calling thread's own memory of it must
    /// be its own.
    fn check(&self, value: usize) {
        // SAFETY: `int fixture_sound(void)`
        let sound = unsafe {
            transmute::<*mut c_void, extern "C" fn() -> c_int>(self.function(c"fixture_sound"))()
        };
        if sound != 1 {
            let expected = "what a library's constructor allocated as it was left";
            violation::raise(Kind::Identity, expected, "other bytes, or no block");
        }
        // SAFETY: `int fixture_in_a_thread(int)`, which any thread may call while the library is
        // loaded.
        let sound = unsafe {
            let function = self.function(c"fixture_in_a_thread");
            transmute::<*mut c_void, extern "C" fn(c_int) -> c_int>(function)(
                (value % 100) as c_int,
            )
        };
        if sound != 1 {
            let expected = "a library's thread-local memory as the thread wrote it";
            violation::raise(Kind::Identity, expected, "other bytes, or no block");
        }
    }

    fn allocate(&self) -> NonNull<c_void> {
        // SAFETY: `void *fixture_allocate(size_t)`
        let block = unsafe {
            let function = self.function(c"fixture_allocate");
            transmute::<*mut c_void, extern "C" fn(usize) -> *mut c_void>(function)(BLOCK)
        };
        let Some(block) = NonNull::new(block) else {
            violation::raise(Kind::UnprovokedNull, "a block for a library", "null");
        };
        // SAFETY: the library's malloc says that so many bytes are the caller's.
        unsafe { block.cast::<u8>().write_bytes(FILL, BLOCK) };
        block
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: loaded once for each value, and closed once; its functions are not used
        // afterwards.
        unsafe { libc::dlclose(self.0.as_ptr()) };
    }
}
