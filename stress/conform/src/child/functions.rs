//! The functions of the allocator that serves this process.

use std::ffi::{CStr, c_void};
use std::hint::black_box;
use std::mem::transmute;
use std::path::{Path, PathBuf};

use drystone_harness::library::{LibraryError, Symbol, resolve};
use thiserror::Error;

/// `malloc(size)`, `valloc(size)`
pub(super) type OfSize = unsafe extern "C" fn(usize) -> *mut c_void;
/// `calloc(count, size)`, `aligned_alloc(alignment, size)`
pub(super) type OfTwo = unsafe extern "C" fn(usize, usize) -> *mut c_void;
pub(super) type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
pub(super) type Reallocarray = unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void;
pub(super) type PosixMemalign = unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> i32;
pub(super) type Free = unsafe extern "C" fn(*mut c_void);
pub(super) type FreeSized = unsafe extern "C" fn(*mut c_void, usize);
pub(super) type FreeAlignedSized = unsafe extern "C" fn(*mut c_void, usize, usize);
pub(super) type UsableSize = unsafe extern "C" fn(*mut c_void) -> usize;

/// The functions. One that the allocator does not define is none, even where the C library has it.
#[derive(Clone, Copy, Debug)]
pub struct Functions {
    pub(super) malloc: OfSize,
    pub(super) calloc: OfTwo,
    pub(super) realloc: Realloc,
    pub(super) free: Free,
    pub(super) aligned_alloc: Option<OfTwo>,
    pub(super) memalign: Option<OfTwo>,
    pub(super) posix_memalign: Option<PosixMemalign>,
    pub(super) valloc: Option<OfSize>,
    pub(super) pvalloc: Option<OfSize>,
    pub(super) reallocarray: Option<Reallocarray>,
    pub(super) usable_size: Option<UsableSize>,
    pub(super) free_sized: Option<FreeSized>,
    pub(super) free_aligned_sized: Option<FreeAlignedSized>,
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

/// Why nothing can be said of an allocator in this process: it does not serve it.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The loader finds no such function.
    #[error(transparent)]
    Symbol(#[from] LibraryError),
    /// Two allocators would meet.
    #[error(
        "malloc is of {}, and {name} of {}: a block of one would meet the free of the other",
        malloc.display(), other.display()
    )]
    Two {
        /// The object that `malloc` is of.
        malloc: PathBuf,
        /// The function that is of another.
        name: String,
        /// That other.
        other: PathBuf,
    },
    /// The library was preloaded in vain.
    #[error(
        "{} was preloaded, and malloc is still {}'s: the library does not define malloc, or the \
         loader rejected it",
        library.display(), object.display()
    )]
    NotPreloaded {
        /// What was preloaded.
        library: PathBuf,
        /// Whose `malloc` it is.
        object: PathBuf,
    },
    /// Something is preloaded that was not asked for.
    #[error(
        "malloc was meant to be the C library's, and is {}'s: unset what preloads it",
        object.display()
    )]
    NotTheSystems {
        /// Whose `malloc` it is.
        object: PathBuf,
    },
}

impl Functions {
    /// The functions that serve this process, and the object that `malloc` is of.
    ///
    /// # Errors
    /// `malloc` is not of `library`, or its nearest kin are of another object.
    pub fn of_this_process(library: Option<&Path>) -> Result<(Functions, PathBuf), ServeError> {
        let malloc = resolve(c"malloc")?;
        serves(&malloc, library)?;
        let needed = |name: &CStr| {
            let symbol = resolve(name)?;
            if symbol.object == malloc.object {
                return Ok(symbol.address);
            }
            Err(ServeError::Two {
                malloc: malloc.object.clone(),
                name: name.to_string_lossy().into_owned(),
                other: symbol.object,
            })
        };
        let offered = |name: &CStr| needed(name).ok();
        // SAFETY: each address is that of the C library's function of that name, or of one that
        // took its place, and so has that function's signature.
        let functions = unsafe {
            Functions {
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
        Ok((black_box(functions), malloc.object))
    }

    /// Whether the allocator defines the function of a way.
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
}

/// Whether `malloc` is of the object that it is meant to be of.
fn serves(malloc: &Symbol, library: Option<&Path>) -> Result<(), ServeError> {
    let object = || malloc.object.clone();
    let name = malloc.object.file_name().unwrap_or_default().to_string_lossy();
    match library {
        Some(library) if malloc.object != library => {
            Err(ServeError::NotPreloaded { library: library.to_owned(), object: object() })
        }
        None if !(name.starts_with("libc.") || name.starts_with("libc-")) => {
            Err(ServeError::NotTheSystems { object: object() })
        }
        _ => Ok(()),
    }
}
