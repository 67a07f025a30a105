//! The handler of SIGSEGV: it says which guarded block was touched, and hands the signal on to
//! whoever was to have it.
//!
//! It is installed with the first guarded block, so the handlers that a program's runtime installs
//! before `main` come behind it. One that the program installs later takes its place, as it would
//! any other's: then guarded blocks still fault, and no line says why.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use crate::errno;
use crate::sync::{AtomicUsize, Cell, Ordering};

/// A fault, as the kernel tells it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub address: usize,
    /// Whether memory was written, where the processor says.
    pub write: Option<bool>,
    /// The instruction that faulted; 0 where that is not known.
    pub instruction: usize,
}

/// So many guarded blocks may still find that ours is no longer the handler, and make it so again.
/// Rust's runtime looks for a handler, allocates, and installs its own, in that order: ours may
/// have come in between.
const EARLY: usize = 16;

struct Handler {
    report: Cell<Option<fn(Fault)>>,
    /// Guarded blocks so far, up to `EARLY`.
    blocks: Cell<usize>,
    /// The actions that ours took the place of, the last one behind.
    before: [Cell<MaybeUninit<libc::sigaction>>; 2],
    /// How many there are. Release, when one is written; the handler acquires, which may run in
    /// another thread.
    installed: AtomicUsize,
}

// SAFETY: `report` and an action are written before `installed` says so, and only read after; and
// `blocks` is touched under the guard's lock.
unsafe impl Sync for Handler {}

static HANDLER: Handler = Handler {
    report: Cell::new(None),
    blocks: Cell::new(0),
    before: [const { Cell::new(MaybeUninit::uninit()) }; 2],
    installed: AtomicUsize::new(0),
};

/// Has `report` told of each fault from now on. Under the guard's lock.
pub fn watch(report: fn(Fault)) {
    // Relaxed: written under the lock that the caller has.
    let installed = HANDLER.installed.load(Ordering::Relaxed);
    // SAFETY: under the caller's lock.
    let blocks = unsafe { HANDLER.blocks.with(|blocks| core::mem::replace(blocks, *blocks + 1)) };
    if blocks < EARLY && installed < HANDLER.before.len() {
        errno::kept(|| install(report, installed));
    }
}

/// Makes ours the handler, if it is not.
fn install(report: fn(Fault), installed: usize) {
    let place = &HANDLER.before[installed];
    // SAFETY: the cells are written here alone, under the caller's lock, and read only when
    // `installed` counts them; the kernel writes a whole `sigaction`, which ours is a copy of,
    // except for the handler.
    unsafe {
        let before = place.with(|before| before.as_mut_ptr());
        let handler = on_fault as *const () as usize;
        if libc::sigaction(libc::SIGSEGV, ptr::null(), before) != 0
            || (*before).sa_sigaction == handler
        {
            return;
        }
        if installed == 0 {
            HANDLER.report.with(|place| *place = Some(report));
        }
        let mut ours = *before;
        ours.sa_sigaction = handler;
        let kept = libc::SA_NODEFER | libc::SA_RESTART;
        ours.sa_flags = ours.sa_flags & kept | libc::SA_SIGINFO | libc::SA_ONSTACK;
        HANDLER.installed.store(installed + 1, Ordering::Release);
        libc::sigaction(libc::SIGSEGV, &ours, ptr::null_mut());
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // Acquire: pairs with the release in `install`.
    let installed = HANDLER.installed.load(Ordering::Acquire);
    let Some(before) = installed.checked_sub(1).and_then(|last| HANDLER.before.get(last)) else {
        return; // it is installed after it is counted
    };
    // SAFETY: the cells were written before `installed`, and nobody writes them again. The kernel
    // gives a handler with SA_SIGINFO both structures (sigaction(2)).
    let (report, before, code) = unsafe {
        let report = HANDLER.report.look(|report| *report);
        (report, before.look(|before| before.assume_init()), (*info).si_code)
    };
    // Above 0 it is the kernel that says so, and there is an address.
    if code > 0
        && let Some(report) = report
    {
        // SAFETY: a fault's `siginfo` has an address, and its context is that of this machine.
        let fault = unsafe { fault((*info).si_addr().addr(), context) };
        errno::kept(|| report(fault));
    }
    // SAFETY: this signal's own arguments.
    unsafe { hand_on(&before, signal, info, context) };
}

/// Does what would have been done without us.
///
/// # Safety
/// `before` was the signal's action; the rest is what the kernel gave for it.
unsafe fn hand_on(
    before: &libc::sigaction,
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    let is_default = matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
    // SAFETY: an action that the kernel had before, or the default one; and a handler is called as
    // its flags say that it wants to be.
    unsafe {
        if is_default || before.sa_flags & libc::SA_RESETHAND != 0 {
            let mut default = *before;
            default.sa_sigaction = libc::SIG_DFL;
            default.sa_flags = 0;
            libc::sigaction(signal, &default, ptr::null_mut());
        }
        if is_default {
            // The instruction faults again, unless somebody has sent the signal.
            if (*info).si_code <= 0 {
                libc::raise(signal);
            }
        } else if before.sa_flags & libc::SA_SIGINFO != 0 {
            type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            let handler = core::mem::transmute::<usize, WithInfo>(before.sa_sigaction);
            handler(signal, info, context);
        } else {
            let handler = core::mem::transmute::<usize, extern "C" fn(c_int)>(before.sa_sigaction);
            handler(signal);
        }
    }
}

/// What the context of a fault at `address` says.
///
/// # Safety
/// `context` is the one that the kernel gave with it.
#[cfg(target_arch = "x86_64")]
unsafe fn fault(address: usize, context: *mut c_void) -> Fault {
    // SAFETY: the kernel's context is a `ucontext_t`.
    let registers = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The page fault's error code: bit 1 is set by a write (Intel SDM, volume 3, 4.7).
    let write = registers[libc::REG_ERR as usize] & 2 != 0;
    let instruction = registers[libc::REG_RIP as usize] as usize;
    Fault { address, write: Some(write), instruction }
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn fault(address: usize, context: *mut c_void) -> Fault {
    // SAFETY: the kernel's context is a `ucontext_t`.
    let instruction = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc } as usize;
    Fault { address, write: None, instruction }
}
