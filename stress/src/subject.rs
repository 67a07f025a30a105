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
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
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
    let unreadable = |error: io::Error| {
        format!("subject {path}: {error}; give the path of a shared library that defines malloc")
    };
    let canonical = Path::new(path).canonicalize().map_err(unreadable)?;
    let mut start = Vec::new();
    let file = File::open(&canonical).map_err(unreadable)?;
    file.take(HEADER as u64).read_to_end(&mut start).map_err(unreadable)?;
    if let Some(other) = other_than_a_library(&start) {
        return Err(format!("subject {path} is {other}"));
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

/// Bytes of an ELF file's header, for 64-bit machines (elf(5)).
const HEADER: usize = 64;

/// What a file is that begins so, unless it is a shared library for this machine.
fn other_than_a_library(start: &[u8]) -> Option<&'static str> {
    const SHARED: u16 = 3;
    #[cfg(target_arch = "x86_64")]
    const MACHINE: u16 = 62;
    #[cfg(target_arch = "aarch64")]
    const MACHINE: u16 = 183;
    let half = |at: usize| start.get(at..at + 2).map(|two| u16::from_ne_bytes([two[0], two[1]]));
    match start {
        start if start.starts_with(b"!<arch>\n") => {
            Some("a static archive: link its objects with -shared")
        }
        start if !start.starts_with(b"\x7fELF") => Some("no shared library (ELF)"),
        start if start.len() < HEADER => Some("no whole ELF file: it ends within its header"),
        start if start[4] != 2 => Some("no library for 64-bit processes (ELF class)"),
        _ if half(18) != Some(MACHINE) => Some("a library for another kind of machine (ELF)"),
        _ if half(16) == Some(1) => Some("an object file: link it with -shared"),
        _ if half(16) != Some(SHARED) => Some("no shared library, but another kind of ELF file"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_for_this_machine_is_named() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let with = |at: usize, byte: u8| {
            let mut start = own[..HEADER].to_vec();
            start[at] = byte;
            start
        };
        // Executables of today are linked as libraries are.
        assert_eq!(other_than_a_library(&own[..HEADER]), None);
        for (start, expected) in [
            (with(0, b'E'), "no shared library (ELF)"),
            (b"!<arch>\nobject.o/".to_vec(), "a static archive"),
            (own[..HEADER - 1].to_vec(), "ends within its header"),
            (Vec::new(), "no shared library (ELF)"),
            (with(4, 1), "64-bit"),
            (with(18, 40), "another kind of machine"),
            (with(16, 1), "an object file"),
            (with(16, 4), "another kind of ELF file"),
        ] {
            let found = other_than_a_library(&start).unwrap_or("a library");
            assert!(found.contains(expected), "{found}");
        }
    }

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
