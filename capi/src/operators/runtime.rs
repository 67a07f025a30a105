//! What C++ wants when there is no memory: the program's handler, or an exception. Both are the
//! runtime's, which a C program does not have, and which may come with a library that is loaded
//! later.

use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;

use engine::internals::process::stderr;

/// The address that the loader has found for a symbol, or 0: a weak reference.
macro_rules! weak {
    ($symbol:literal) => {{
        let address: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads the entry that the loader has filled in for the symbol.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $symbol),
                concat!("mov {address}, qword ptr [rip + ", $symbol, "@GOTPCREL]"),
                address = out(reg) address,
                options(readonly, nostack, preserves_flags)
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: reads the entry that the loader has filled in for the symbol.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $symbol),
                concat!("adrp {address}, :got:", $symbol),
                concat!("ldr {address}, [{address}, :got_lo12:", $symbol, "]"),
                address = out(reg) address,
                options(readonly, nostack, preserves_flags)
            );
        }
        address
    }};
}

/// `std::new_handler`
pub(super) type Handler = unsafe extern "C" fn();

type Dlopen = unsafe extern "C" fn(*const libc::c_char, libc::c_int) -> *mut c_void;
type Dlsym = unsafe extern "C" fn(*mut c_void, *const libc::c_char) -> *mut c_void;

/// The runtimes, by the names under which they are loaded.
const RUNTIMES: [&CStr; 3] = [c"libstdc++.so.6", c"libc++.so.1", c"libc++abi.so.1"];

/// The definition of `symbol` that comes after this library's, or 0. Always 0 in a program that is
/// linked statically: there is no loader.
pub(super) fn next(symbol: &CStr) -> usize {
    find(libc::RTLD_NEXT, symbol)
}

fn find(object: *mut c_void, symbol: &CStr) -> usize {
    let dlsym = weak!("dlsym");
    if dlsym == 0 {
        return 0;
    }
    // SAFETY: the address is that of the C library's `dlsym`.
    let dlsym: Dlsym = unsafe { core::mem::transmute(dlsym) };
    // SAFETY: a C string, and an object that is loaded or one of `dlsym`'s own values.
    unsafe { dlsym(object, symbol.as_ptr()) }.expose_provenance()
}

/// The runtime's function `symbol`, that was at `address` when the program was loaded: it may have
/// come since, with a library that keeps it to itself.
fn of_runtime(address: usize, symbol: &CStr) -> usize {
    if address != 0 {
        return address;
    }
    // By `dlsym`: a linker warns of every static program that names `dlopen`.
    let dlopen = find(libc::RTLD_DEFAULT, c"dlopen");
    if dlopen == 0 {
        return 0;
    }
    // SAFETY: the address is that of the C library's `dlopen`.
    let dlopen: Dlopen = unsafe { core::mem::transmute(dlopen) };
    let found = RUNTIMES.iter().map(|file| {
        // SAFETY: a C string. Nothing is loaded: what is here gets one user more, and stays.
        let object = unsafe { dlopen(file.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY) };
        if object.is_null() { 0 } else { find(object, symbol) }
    });
    found.into_iter().find(|address| *address != 0).unwrap_or(0)
}

/// What the loader says of the object that `address` lies in.
fn object(address: usize) -> Option<libc::Dl_info> {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the place is a `Dl_info`'s, which a success fills.
    unsafe {
        let address = core::ptr::with_exposed_provenance(address);
        (libc::dladdr(address, info.as_mut_ptr()) != 0).then(|| info.assume_init())
    }
}

/// Where the object that `address` lies in has been loaded; 0 in none.
pub(super) fn object_of(address: usize) -> usize {
    object(address).map_or(0, |info| info.dli_fbase.addr())
}

/// Whether the function is of a C++ runtime that is a shared library. One that is linked in can't
/// be told from the program's own.
pub(super) fn of_shared_runtime(function: usize) -> bool {
    let Some(info) = object(function).filter(|info| !info.dli_fname.is_null()) else {
        return false;
    };
    // SAFETY: a C string of the loader's, of an object that is loaded.
    let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
    let file = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    [&b"libstdc++.so"[..], b"libc++.so", b"libc++abi.so"].iter().any(|name| file.starts_with(name))
}

/// The handler that the program has installed, if it has.
pub(super) extern "C" fn handler() -> Option<Handler> {
    let get = of_runtime(weak!("_ZSt15get_new_handlerv"), c"_ZSt15get_new_handlerv");
    if get == 0 {
        return None;
    }
    // SAFETY: the address is that of `std::get_new_handler`.
    let get: extern "C" fn() -> Option<Handler> = unsafe { core::mem::transmute(get) };
    get()
}

/// The function that throws `std::bad_alloc`; without a runtime, one that ends the process.
pub(super) extern "C" fn thrower() -> usize {
    match of_runtime(weak!("_ZSt17__throw_bad_allocv"), c"_ZSt17__throw_bad_allocv") {
        0 => (nobody_catches as extern "C" fn() -> !) as usize,
        throw => throw,
    }
}

extern "C" fn nobody_catches() -> ! {
    stderr::say(format_args!("operator new: no memory, and no C++ runtime to throw bad_alloc"));
    // SAFETY: takes nothing, and does not return.
    unsafe { libc::abort() }
}
