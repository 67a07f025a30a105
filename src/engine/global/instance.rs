//! The process's one instance: its engine, its quarantine, and the type that stands for both.

use crate::engine::engine::Engine;
use crate::engine::quarantine::Quarantine;
use crate::os::Mmap;
use crate::probe::NoProbe;
use crate::sync::{AtomicBool, FutexLock};

/// The process's engine.
pub static ENGINE: Engine<Mmap, NoProbe, FutexLock> =
    Engine::with_parts(Mmap, NoProbe, FutexLock::new());

/// Freed blocks that wait, if `DRYSTONE_QUARANTINE` asks for it.
pub static QUARANTINE: Quarantine = Quarantine::new();

/// Every call goes the slow way. Relaxed: each thread acts on it when it next gets a heap; who
/// needs more sets it before there are other threads.
pub static DIVERTED: AtomicBool = AtomicBool::new(false);

/// The production allocator of this process: `#[global_allocator]`, or called by hand. All values
/// of the type are one and the same.
///
/// ```
/// use drystone::{Drystone, MisuseKind};
///
/// let block = Drystone.malloc(100);
/// assert!(!block.is_null());
/// // SAFETY: `block` is live.
/// unsafe { Drystone.try_free(block) }.unwrap();
/// // SAFETY: a pointer that is not live is rejected.
/// let misuse = unsafe { Drystone.try_free(block) }.unwrap_err();
/// assert_eq!(misuse.kind, MisuseKind::DoubleFree);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Drystone;
