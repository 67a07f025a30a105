//! A clock that goes by calls, for a library whose instructions are counted: what an allocator does
//! after some milliseconds it then does after as many calls on every run.
//!
//! The library's calls find the C library's functions before any of this program (it is loaded with
//! `RTLD_DEEPBIND`). So its relocations are written anew.

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

/// Nanoseconds from one call to the next.
const STEP: i64 = 1_000;
const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since the epoch at the last call. Only a counter: relaxed.
static NOW: AtomicI64 = AtomicI64::new(0);

/// Has the library, loaded from `path` with its function `malloc` at that address, tell the time by
/// this clock from now on. It begins at a whole second: at which call a millisecond ends must not
/// depend on when this is. What the library does as it is loaded still sees the real one.
///
/// # Errors
/// If the file cannot be read, or memory not be made writable.
pub fn install(path: &Path, malloc: *const c_void) -> Result<()> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("cannot read {shown}"))?;
    let symbols = file.dynamic_symbol_table().context("a shared library has dynamic symbols")?;
    let of_malloc = symbols
        .symbols()
        .find(|symbol| symbol.is_definition() && symbol.name() == Ok("malloc"))
        .with_context(|| format!("{shown} has no function `malloc`"))?;
    let base = malloc.addr().wrapping_sub(of_malloc.address() as usize);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    NOW.store((now.as_secs() as i64 + 1) * SECOND, Ordering::Relaxed);
    for (offset, relocation) in file.dynamic_relocations().into_iter().flatten() {
        let RelocationTarget::Symbol(index) = relocation.target() else { continue };
        let symbol = symbols.symbol_by_index(index)?;
        let ours = match symbol.name()? {
            "clock_gettime" => clock_gettime as *const c_void,
            "gettimeofday" => gettimeofday as *const c_void,
            "time" => time as *const c_void,
            _ => continue,
        };
        // A definition of its own is none of ours to replace.
        if symbol.is_undefined() {
            let slot = std::ptr::with_exposed_provenance_mut(base.wrapping_add(offset as usize));
            // SAFETY: the loader wrote this symbol's address into the word at base + offset, as the
            // relocation of the loaded file says, and no other thread runs.
            unsafe { replace(slot, ours) }?;
        }
    }
    Ok(())
}

/// Writes `value` into a word that may be read-only since relocation.
///
/// # Safety
/// `slot` is a word of a loaded library's data that nobody else reads or writes meanwhile.
unsafe fn replace(slot: *mut *const c_void, value: *const c_void) -> Result<()> {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let start = slot.map_addr(|address| address & !(page - 1));
    // SAFETY: the page is mapped, since the caller's word lies in it; it becomes writable, and is
    // no code, so nobody relies on its protection.
    let failed = unsafe { libc::mprotect(start.cast(), page, libc::PROT_READ | libc::PROT_WRITE) };
    ensure!(failed == 0, "cannot write to the library: {}", std::io::Error::last_os_error());
    // SAFETY: the caller's word, aligned as the loader's relocations of pointers are, now writable.
    unsafe { slot.write(value) };
    Ok(())
}

fn tick() -> i64 {
    NOW.fetch_add(STEP, Ordering::Relaxed) + STEP
}

unsafe extern "C" fn clock_gettime(_clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let now = tick();
    // SAFETY: the caller's structure, as clock_gettime(3) demands.
    unsafe { time.write(libc::timespec { tv_sec: now / SECOND, tv_nsec: now % SECOND }) };
    0
}

unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    let now = tick();
    let time_of_day = libc::timeval { tv_sec: now / SECOND, tv_usec: now % SECOND / 1000 };
    // SAFETY: the caller's structure, as gettimeofday(2) demands.
    unsafe { time.write(time_of_day) };
    0
}

unsafe extern "C" fn time(seconds: *mut libc::time_t) -> libc::time_t {
    let now = tick() / SECOND;
    if !seconds.is_null() {
        // SAFETY: the caller's place for a time, as time(2) demands of one that is not null.
        unsafe { seconds.write(now) };
    }
    now
}
