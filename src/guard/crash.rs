//! The handler of SIGSEGV: it has a fault in the pool reported, and hands the signal on to whoever
//! was to have it.
//!
//! It is installed with the first guarded block, so the handlers that a program's runtime installs
//! before `main` come behind it. One that the program installs later takes its place, as it would
//! any other's: then guarded blocks still fault, and no line says why. Nor is it installed where
//! SIGSEGV is ignored.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use crate::errno;
use crate::sync::{AtomicBool, Cell, Ordering};

/// A fault, as the kernel tells it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub address: usize,
    /// Whether memory was written, where the processor says.
    pub write: Option<bool>,
    /// The instruction that faulted.
    pub instruction: usize,
    /// The innermost word of its thread's stack.
    pub stack: usize,
}

struct Handler {
    tried: Cell<bool>,
    report: Cell<Option<fn(Fault)>>,
    before: Cell<MaybeUninit<libc::sigaction>>,
    /// The two above are written. Release; the handler acquires, which may run in any thread.
    installed: AtomicBool,
}

// SAFETY: `report` and `before` are written before `installed` says so, and only read after; and
// `tried` is touched under the guard's lock.
unsafe impl Sync for Handler {}

static HANDLER: Handler = Handler {
    tried: Cell::new(false),
    report: Cell::new(None),
    before: Cell::new(MaybeUninit::uninit()),
    installed: AtomicBool::new(false),
};

/// Has `report` told of each fault from now on. Under the guard's lock.
pub fn watch(report: fn(Fault)) {
    // SAFETY: under the caller's lock.
    if unsafe { !HANDLER.tried.with(|tried| core::mem::replace(tried, true)) } {
        errno::kept(|| install(report));
    }
}

fn install(report: fn(Fault)) {
    // SAFETY: the cells are written here alone, once, under the caller's lock, and read only when
    // `installed` says that they are; the kernel writes a whole `sigaction`, which ours is a copy
    // of, except for the handler.
    unsafe {
        let before = HANDLER.before.with(|before| before.as_mut_ptr());
        if libc::sigaction(libc::SIGSEGV, ptr::null(), before) != 0
            || (*before).sa_sigaction == libc::SIG_IGN
        {
            return;
        }
        HANDLER.report.with(|place| *place = Some(report));
        HANDLER.installed.store(true, Ordering::Release);
        let mut ours = *before;
        // On the stack, and with the signals, that the program's own handler wants.
        ours.sa_flags = ours.sa_flags & !libc::SA_RESETHAND | libc::SA_SIGINFO;
        ours.sa_sigaction = on_fault as *const () as usize;
        // Last: in a child that another thread forks meanwhile it is whole, or not there.
        libc::sigaction(libc::SIGSEGV, &ours, ptr::null_mut());
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // Acquire: pairs with the release in `install`.
    if !HANDLER.installed.load(Ordering::Acquire) {
        return;
    }
    // SAFETY: the cells were written before `installed`, and nobody writes them again. The kernel
    // gives a handler with SA_SIGINFO both structures (sigaction(2)).
    let (report, before, code) = unsafe {
        let report = HANDLER.report.look(|report| *report);
        (report, HANDLER.before.look(|before| before.assume_init()), (*info).si_code)
    };
    // Else somebody has sent it, and there is no address.
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
    let is_default = before.sa_sigaction == libc::SIG_DFL;
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
    let register = |number: c_int| registers[number as usize] as usize;
    // The page fault's error code: bit 1 is set by a write (Intel SDM, volume 3, 4.7).
    Fault {
        address,
        write: Some(register(libc::REG_ERR) & 2 != 0),
        instruction: register(libc::REG_RIP),
        stack: register(libc::REG_RSP),
    }
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn fault(address: usize, context: *mut c_void) -> Fault {
    // SAFETY: the kernel's context is a `ucontext_t`.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    Fault { address, write: None, instruction: machine.pc as usize, stack: machine.sp as usize }
}
