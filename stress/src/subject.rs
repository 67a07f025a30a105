//! Subjects: allocators under test.
//!
//! | subject | how it gets into the child | how its heap can be asked |
//! |---|---|---|
//! | linked in (`list`, `drystone`, `engine`) | it is in the binary | [`Own`] |
//! | a shared library | `LD_PRELOAD`; the child proves that it serves `malloc` | not |
//! | `system` | the C library's own, nothing preloaded | not |
//!
//! Whatever it is, workers see a [`Target`]: function pointers that the compiler can't see through.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::hint::black_box;
use std::mem::{MaybeUninit, transmute};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use drystone::Misuse;
use drystone_workloads::calls::Calls;

/// A subject that is linked into the binary, or the C library's own.
#[derive(Clone, Copy)]
pub struct Subject {
    /// As it is written on the command line.
    pub name: &'static str,
    /// One line for `--list`.
    pub about: &'static str,
    /// How to call it.
    pub open: fn() -> Result<Target, String>,
}

/// An allocator, ready to be called.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its functions.
    pub calls: Calls,
    /// What a linked heap tells of itself.
    pub own: Option<Own>,
    /// Whether it promises to report every double free. A foreign one that does not is watched, not
    /// judged.
    pub claims_detection: bool,
}

/// What a linked heap tells of itself, beyond C's calls.
#[derive(Clone, Copy)]
pub struct Own {
    /// Frees a block, or says what is wrong with the pointer.
    pub try_free: unsafe fn(*mut c_void) -> Result<(), Misuse>,
    /// Resizes a block, or says what is wrong with the pointer; null if refused.
    pub try_realloc: unsafe fn(*mut c_void, usize) -> Result<*mut c_void, Misuse>,
    /// Walks the heap, of what threads have for themselves the calling thread's; the first broken invariant.
    pub check: fn() -> Result<(), String>,
    /// What it holds.
    pub held: fn() -> Held,
    /// How many misuses were found late, ever.
    pub late: fn() -> u64,
    /// Its part of a fork, if it has one: without it a forked child has no use of the heap.
    pub fork: Option<Fork>,
    /// Looks for misuses that no call has found, in what is the calling thread's and nobody's; how many.
    pub sweep: fn() -> usize,
    /// Gives idle memory back: the calling thread's, nobody's and what all share.
    pub trim: fn() -> usize,
    /// At rest: whether every entry into a critical section had its exit. None: nobody watches them.
    pub at_rest: Option<fn() -> Result<(), String>>,
    /// Whether every place where a double free may be found late must come up, or the test did not race.
    pub finds_late: bool,
    /// Whether its OS is [`fake_os`](crate::fake_os), which can refuse its calls.
    pub refusable: bool,
    /// Whether what it says that it has mapped is every byte that it has of the OS.
    pub accounts: bool,
}

/// A heap's part of a fork, as `pthread_atfork` takes it.
#[derive(Clone, Copy)]
pub struct Fork {
    /// Before it, in the thread that forks.
    pub prepare: fn(),
    /// After it, in the same thread.
    pub parent: fn(),
    /// After it, in the child's only thread.
    pub child: fn(),
}

/// What a heap holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Blocks issued and not freed.
    pub live_blocks: usize,
    /// Mappings that hold blocks, or could; the heap's own tables not among them.
    pub mappings: usize,
    /// Bytes mapped from the OS in all.
    pub mapped_bytes: usize,
}

/// The C library's own allocator.
pub const SYSTEM: Subject =
    Subject { name: "system", about: "the C library's own malloc", open: || open_process(None) };

/// Whether `text` means a file, and not a name.
pub fn is_path(text: &str) -> bool {
    let name = Path::new(text).file_name().unwrap_or(OsStr::new(text)).to_string_lossy();
    text.contains('/') || name.ends_with(".so") || name.contains(".so.")
}

/// The functions that serve this process, `malloc` and all of its kin.
///
/// # Errors
/// A sentence: they are not all of one library, or not of `library`.
pub fn open_process(library: Option<&Path>) -> Result<Target, String> {
    let malloc = resolve(c"malloc")?;
    if let Some(library) = library
        && malloc.object != library
    {
        return Err(format!(
            "{} was preloaded, and malloc is still {}'s: the library does not define malloc, or the \
             loader refused it",
            library.display(),
            malloc.object.display()
        ));
    }
    // Everything that returns memory must come from the library whose `free` will meet it.
    let same = |name: &CStr| {
        let symbol = resolve(name)?;
        if symbol.object == malloc.object {
            return Ok(symbol.address);
        }
        Err(format!(
            "malloc is {}'s and {} is {}'s: a block of one would meet the free of the other",
            malloc.object.display(),
            name.to_string_lossy(),
            symbol.object.display()
        ))
    };
    let usable_size = same(c"malloc_usable_size").ok();
    let (calloc, realloc) = (same(c"calloc")?, same(c"realloc")?);
    let (aligned_alloc, free) = (same(c"aligned_alloc")?, same(c"free")?);
    // SAFETY: each address is that of the C library's function of that name, or of one that took its
    // place, and so has C's signature for it.
    let calls = unsafe {
        Calls {
            malloc: transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(
                malloc.address,
            ),
            calloc: transmute::<*mut c_void, unsafe extern "C" fn(usize, usize) -> *mut c_void>(
                calloc,
            ),
            realloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
            >(realloc),
            aligned_alloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(usize, usize) -> *mut c_void,
            >(aligned_alloc),
            free: transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(free),
            usable_size: usable_size.map(|address| {
                transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> usize>(address)
            }),
        }
    };
    let claims_detection = library.is_some_and(claims_detection);
    Ok(Target { calls: black_box(calls), own: None, claims_detection })
}

/// Whether a subject, by its name or its library, reports a misuse and goes on if it is asked to.
pub fn reports_and_goes_on(name: &str, library: Option<&Path>) -> bool {
    library.map_or(name != SYSTEM.name, claims_detection)
}

/// Our own library promises what DESIGN section 2 says.
fn claims_detection(library: &Path) -> bool {
    library.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libdrystone.so"))
}

/// Where a name leads.
pub(crate) struct Symbol {
    /// Its address.
    pub(crate) address: *mut c_void,
    /// The canonical path of the object it is in.
    pub(crate) object: PathBuf,
}

/// Looks a name up as the loader would.
///
/// # Errors
/// A sentence: nothing defines it.
pub(crate) fn resolve(name: &CStr) -> Result<Symbol, String> {
    let shown = name.to_string_lossy();
    // SAFETY: the name is a C string; RTLD_DEFAULT searches as the loader would.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(format!("{shown} is not defined in this process"));
    }
    let object = object_of(address).ok_or_else(|| format!("{shown} is in no loaded object"))?;
    Ok(Symbol { address, object })
}

/// The canonical path of the object that an address is in.
pub(crate) fn object_of(address: *mut c_void) -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `info` is writable; any address may be asked about.
    let known = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    if known == 0 {
        return None;
    }
    // SAFETY: dladdr returned nonzero, so it filled `info`, and `dli_fname` is a C string that lives as
    // long as the object is loaded.
    let file = unsafe { CStr::from_ptr(info.assume_init().dli_fname) };
    let path = PathBuf::from(OsStr::from_bytes(file.to_bytes()));
    Some(path.canonicalize().unwrap_or(path))
}

/// The C library's own file.
///
/// # Errors
/// The loader does not say.
pub fn system_library() -> Result<PathBuf, String> {
    Ok(resolve(c"gnu_get_libc_version")?.object)
}

/// The canonical path of a library to preload.
///
/// # Errors
/// A sentence that names what to change.
pub fn library(path: &str) -> Result<PathBuf, String> {
    let canonical = Path::new(path).canonicalize().map_err(|error| {
        format!("subject {path}: {error}; give the path of a shared library that defines malloc")
    })?;
    let start = std::fs::read(&canonical).map_err(|error| format!("subject {path}: {error}"))?;
    if !start.starts_with(b"\x7fELF") {
        return Err(format!("subject {path} is no shared library (ELF)"));
    }
    // LD_PRELOAD separates by spaces and colons and knows no quoting.
    if canonical.as_os_str().as_bytes().iter().any(|byte| b" :".contains(byte)) {
        return Err(format!(
            "subject {path}: LD_PRELOAD can't name a path with a space or a colon; move the library"
        ));
    }
    if CString::new(canonical.as_os_str().as_bytes()).is_err() {
        return Err(format!("subject {path}: the path has a zero byte"));
    }
    Ok(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names_are_told_apart() {
        for path in ["./x", "target/release/libdrystone.so", "libmimalloc.so.2", "libx.so"] {
            assert!(is_path(path), "{path}");
        }
        for name in ["list", "system", "solo"] {
            assert!(!is_path(name), "{name}");
        }
    }

    #[test]
    fn a_process_without_preload_is_served_by_the_c_library() {
        let target = open_process(None).expect("libc has all of malloc's kin");
        assert!(target.calls.usable_size.is_some());
        let refused = open_process(Some(Path::new("/nowhere/libx.so"))).err().unwrap();
        assert!(
            refused.contains("/nowhere/libx.so was preloaded, and malloc is still"),
            "{refused}"
        );
    }
}
