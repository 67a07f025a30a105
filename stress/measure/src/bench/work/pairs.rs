//! Warm pairs of calls, for a tool that counts instructions.

use std::ffi::c_void;
use std::hint::black_box;
use std::str::FromStr;

use drystone_workloads::calls::Calls;
use drystone_workloads::heap::MARK;

/// Blocks that are live all the time.
const LIVE: u64 = 10;

/// What a pair begins with, by name; the other call is a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// malloc of so many bytes.
    Malloc(usize),
    /// calloc of so many bytes.
    Calloc(usize),
    /// aligned_alloc at a multiple of 64 of so many bytes.
    Aligned(usize),
}

/// What is counted, by name.
pub const ALL: [(&str, Call); 7] = [
    ("malloc/32", Call::Malloc(32)),
    ("malloc/1K", Call::Malloc(1 << 10)),
    ("malloc/32K", Call::Malloc(32 << 10)),
    ("malloc/256K", Call::Malloc(256 << 10)),
    ("calloc/64", Call::Calloc(64)),
    ("calloc/1K", Call::Calloc(1 << 10)),
    ("aligned/256", Call::Aligned(256)),
];

/// The call of this name.
pub fn named(name: &str) -> Option<Call> {
    ALL.into_iter().find_map(|(known, call)| (known == name).then_some(call))
}

/// What a pair of the first allocator may execute at most.
#[derive(Clone, Debug, PartialEq)]
pub struct AtMost {
    /// The call that is not the free.
    pub call: &'static str,
    /// Instructions.
    pub instructions: f64,
}

impl FromStr for AtMost {
    type Err = NotALimit;

    fn from_str(text: &str) -> Result<Self, NotALimit> {
        let known = || ALL.map(|(name, _)| name).join(", ");
        let (name, number) = text.split_once('=').ok_or(NotALimit::NoNumber)?;
        let call = ALL.into_iter().find(|(known, _)| *known == name);
        let (call, _) = call.ok_or_else(|| NotALimit::NoCall(name.to_owned(), known()))?;
        let instructions = number.parse().ok().filter(|number: &f64| *number > 0.0);
        Ok(Self { call, instructions: instructions.ok_or(NotALimit::NoNumber)? })
    }
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALimit {
    /// It is not `CALL=NUMBER`.
    #[error("give a call and a number of instructions above 0, such as malloc/32=49")]
    NoNumber,
    /// The call is not counted.
    #[error("`{0}` is not counted; {1} are")]
    NoCall(String, String),
}

/// Instructions of the two functions that are called without an allocator, both together.
pub const INSTRUCTIONS_OF_NOTHING: f64 = nothing::OWN;

/// Makes so many pairs of this call and a free, the block's first byte written in between; without
/// `calls` of two functions that do nothing.
#[inline(never)]
pub fn run(calls: Option<&Calls>, call: Call, pairs: u64) {
    let free = black_box(calls.map_or(nothing::free as Free, |calls| calls.free));
    // Each loop by itself: a choice in it would be counted.
    match call {
        Call::Malloc(size) => {
            let malloc = black_box(calls.map_or(nothing::malloc as One, |calls| calls.malloc));
            // SAFETY: malloc takes any size.
            turn(pairs, || unsafe { malloc(size) }, free);
        }
        Call::Calloc(size) => {
            let calloc = black_box(calls.map_or(nothing::calloc as Two, |calls| calls.calloc));
            // SAFETY: calloc takes any count and size.
            turn(pairs, || unsafe { calloc(1, size) }, free);
        }
        Call::Aligned(size) => {
            let aligned = calls.map_or(nothing::calloc as Two, |calls| calls.aligned_alloc);
            let aligned = black_box(aligned);
            // SAFETY: a power of two, and a size that is its multiple.
            turn(pairs, || unsafe { aligned(64, size) }, free);
        }
    }
}

type One = unsafe extern "C" fn(usize) -> *mut c_void;
type Two = unsafe extern "C" fn(usize, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);

/// The pairs. `allocate` returns a block of some bytes that is the caller's alone, until `free` is
/// given it; or null, which ends the process by a fault, and is reported as such.
#[inline(always)]
fn turn(pairs: u64, allocate: impl Fn() -> *mut c_void, free: Free) {
    for _ in 0..LIVE {
        // Live until the process ends.
        black_box(allocate());
    }
    for _ in 0..pairs {
        let block = allocate();
        // SAFETY: the block is written within its size, and freed once.
        unsafe {
            block.cast::<u8>().write(MARK);
            free(block);
        }
    }
}

/// Functions whose instructions are known.
mod nothing {
    use std::arch::naked_asm;
    use std::ffi::c_void;

    static mut BLOCK: [u8; 32] = [0; 32];

    /// Instructions of an allocation and a free together.
    #[cfg(target_arch = "x86_64")]
    pub(super) const OWN: f64 = 3.0;
    #[cfg(target_arch = "aarch64")]
    pub const OWN: f64 = 4.0;

    /// Returns the one block.
    #[cfg(target_arch = "x86_64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
        naked_asm!("lea rax, [rip + {block}]", "ret", block = sym BLOCK)
    }

    /// As above.
    #[cfg(target_arch = "x86_64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn calloc(_count: usize, _size: usize) -> *mut c_void {
        naked_asm!("lea rax, [rip + {block}]", "ret", block = sym BLOCK)
    }

    /// Returns the one block.
    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn malloc(_size: usize) -> *mut c_void {
        naked_asm!("adrp x0, {block}", "add x0, x0, :lo12:{block}", "ret", block = sym BLOCK)
    }

    /// As above.
    #[cfg(target_arch = "aarch64")]
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn calloc(_count: usize, _size: usize) -> *mut c_void {
        naked_asm!("adrp x0, {block}", "add x0, x0, :lo12:{block}", "ret", block = sym BLOCK)
    }

    /// Returns.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn free(_block: *mut c_void) {
        naked_asm!("ret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_call_and_a_number() {
        let limit = AtMost { call: "calloc/64", instructions: 83.5 };
        assert_eq!("calloc/64=83.5".parse(), Ok(limit));
        for text in ["malloc/32", "malloc/32=", "malloc/32=many", "malloc/32=0", "malloc/32=-1"] {
            assert_eq!(text.parse::<AtMost>(), Err(NotALimit::NoNumber), "{text}");
        }
        let error = "malloc/33=49".parse::<AtMost>().unwrap_err().to_string();
        assert!(error.starts_with("`malloc/33` is not counted; malloc/32, malloc/1K"), "{error}");
    }

    #[test]
    fn the_loops_over_nothing_come_to_an_end() {
        for (name, call) in ALL {
            assert_eq!(named(name), Some(call));
            run(None, call, 1000);
        }
        assert_eq!(named("malloc"), None);
    }
}
