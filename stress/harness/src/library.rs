//! Shared libraries: which file is one, and which serves a name in this process.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read};
use std::mem::{MaybeUninit, transmute};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use drystone_workloads::calls::{Calls, GiveBack, MoreCalls};
use thiserror::Error;

/// A library that can't be used, or is not the one that serves.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// It was preloaded and serves nothing.
    #[error(
        "{} was preloaded, and malloc is still {}'s: the library does not define malloc, or \
         the loader rejected it", .library.display(), .serves.display()
    )]
    NotServing {
        /// What was preloaded.
        library: PathBuf,
        /// What serves instead.
        serves: PathBuf,
    },
    /// Functions of two allocators would meet.
    #[error(
        "malloc is {}'s and {name} is {}'s: a block of one would meet the free of the other",
        .malloc.display(), .other.display()
    )]
    Mixed {
        /// Whose malloc it is.
        malloc: PathBuf,
        /// The other function.
        name: String,
        /// Whose that is.
        other: PathBuf,
    },
    /// Nothing defines a name.
    #[error("{0} is not defined in this process")]
    NotDefined(String),
    /// The loader does not know where a name is from.
    #[error("{0} is in no loaded object")]
    InNoObject(String),
    /// The file can't be read.
    #[error("allocator {0}: {1}; give the path of a shared library that defines malloc")]
    Unreadable(String, io::Error),
    /// The file is something else.
    #[error("allocator {0} is {1}")]
    NoLibrary(String, &'static str),
    /// `LD_PRELOAD` separates by spaces and colons and knows no quoting.
    #[error(
        "allocator {0}: LD_PRELOAD can't name a path with a space or a colon; move the library"
    )]
    Unnameable(String),
    /// A path that is no C string.
    #[error("allocator {0}: the path has a zero byte")]
    ZeroByte(String),
}

/// Whether `text` means a file, and not a name.
pub fn is_path(text: &str) -> bool {
    let name = Path::new(text).file_name().unwrap_or(OsStr::new(text)).to_string_lossy();
    text.contains('/') || name.ends_with(".so") || name.contains(".so.")
}

/// The functions that serve this process, `malloc` and all of its kin.
///
/// # Errors
/// They are not all of one library, or not of `library`.
pub fn functions_of_this_process(library: Option<&Path>) -> Result<Calls, LibraryError> {
    let malloc = resolve(c"malloc")?;
    if let Some(library) = library
        && malloc.object != library
    {
        return Err(LibraryError::NotServing {
            library: library.to_owned(),
            serves: malloc.object,
        });
    }
    // Everything that returns memory must come from the library whose `free` will meet it.
    let same = |name: &CStr| {
        let symbol = resolve(name)?;
        if symbol.object == malloc.object {
            return Ok(symbol.address);
        }
        Err(LibraryError::Mixed {
            malloc: malloc.object.clone(),
            name: name.to_string_lossy().into_owned(),
            other: symbol.object,
        })
    };
    let usable_size = same(c"malloc_usable_size").ok();
    let (calloc, realloc) = (same(c"calloc")?, same(c"realloc")?);
    let (aligned_alloc, free) = (same(c"aligned_alloc")?, same(c"free")?);
    // SAFETY: each address is that of the C library's function of that name, or of one that took
    // its place, and so has C's signature for it.
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
    Ok(black_box(calls))
}

/// The functions beyond those that the library which serves this process's `malloc` has.
///
/// # Errors
/// Nothing serves `malloc`.
pub fn more_functions_of_this_process() -> Result<MoreCalls, LibraryError> {
    let malloc = resolve(c"malloc")?;
    let own = |name: &CStr| {
        let symbol = resolve(name).ok()?;
        (symbol.object == malloc.object).then_some(symbol.address)
    };
    // Not `transmute`'s business alone: each name has one type, which the field says.
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: the address is that of the function of that name in the library that serves
            // `malloc`, and so has the signature that the name has there.
            own($name).map(|address| unsafe { transmute::<*mut c_void, _>(address) })
        };
    }
    let mut more = MoreCalls::default();
    more.posix_memalign = function!(c"posix_memalign");
    more.memalign = function!(c"memalign");
    more.reallocarray = function!(c"reallocarray");
    more.free_sized = function!(c"free_sized");
    more.free_aligned_sized = function!(c"free_aligned_sized");
    more.new = function!(c"_ZnwmRKSt9nothrow_t");
    more.delete = function!(c"_ZdlPv");
    more.delete_sized = function!(c"_ZdlPvm");
    more.malloc_trim = function!(c"malloc_trim");
    more.mallinfo2 = function!(c"mallinfo2");
    more.give_back = function!(c"MallocExtension_ReleaseFreeMemory").map(GiveBack::Plain);
    more.give_back = more.give_back.or(function!(c"mi_collect").map(GiveBack::Forced));
    more.give_back = more.give_back.or(function!(c"mallctl").map(GiveBack::Named));
    Ok(black_box(more))
}

/// Where a name leads.
#[derive(Debug)]
pub struct Symbol {
    /// Its address.
    pub address: *mut c_void,
    /// The canonical path of the object it is in.
    pub object: PathBuf,
}

/// Looks a name up as the loader would.
///
/// # Errors
/// Nothing defines it.
pub fn resolve(name: &CStr) -> Result<Symbol, LibraryError> {
    let shown = || name.to_string_lossy().into_owned();
    // SAFETY: the name is a C string; RTLD_DEFAULT searches as the loader would.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if address.is_null() {
        return Err(LibraryError::NotDefined(shown()));
    }
    let object = object_of(address).ok_or_else(|| LibraryError::InNoObject(shown()))?;
    Ok(Symbol { address, object })
}

/// The canonical path of the object that an address is in.
#[allow(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "dladdr looks the address up and reads nothing there"
)]
pub fn object_of(address: *mut c_void) -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: `info` is writable; any address may be asked about.
    let known = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    if known == 0 {
        return None;
    }
    // SAFETY: dladdr returned nonzero, so it filled `info`, and `dli_fname` is a C string that
    // lives as long as the object is loaded.
    let file = unsafe { CStr::from_ptr(info.assume_init().dli_fname) };
    let path = PathBuf::from(OsStr::from_bytes(file.to_bytes()));
    Some(path.canonicalize().unwrap_or(path))
}

/// The C library's own file.
///
/// # Errors
/// The loader does not say.
pub fn system_library() -> Result<PathBuf, LibraryError> {
    Ok(resolve(c"gnu_get_libc_version")?.object)
}

/// The canonical path of a library to preload.
///
/// # Errors
/// Says what to change.
pub fn library(path: &str) -> Result<PathBuf, LibraryError> {
    let unreadable = |error: io::Error| LibraryError::Unreadable(path.to_owned(), error);
    let canonical = Path::new(path).canonicalize().map_err(unreadable)?;
    let mut start = Vec::new();
    let file = File::open(&canonical).map_err(unreadable)?;
    file.take(HEADER as u64).read_to_end(&mut start).map_err(unreadable)?;
    if let Some(other) = other_than_a_library(&start) {
        return Err(LibraryError::NoLibrary(path.to_owned(), other));
    }
    if canonical.as_os_str().as_bytes().iter().any(|byte| b" :".contains(byte)) {
        return Err(LibraryError::Unnameable(path.to_owned()));
    }
    if CString::new(canonical.as_os_str().as_bytes()).is_err() {
        return Err(LibraryError::ZeroByte(path.to_owned()));
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
}
