//! Injection by the kernel's own means: seccomp's user notification (seccomp_unotify(2)).
//!
//! ```text
//! child                                    supervisor
//! installs the filter                      listens at a socket
//! sends its listener and its break ──────► a thread takes them
//! mmap ═══ kernel ═══ notification ══════► counts, and says: go on, or fail with ENOMEM
//! "arm" ─────────────────────────────────► counts from 0, and lets calls fail
//! "disarm" ──────────────────────────────► lets all calls pass; says how many there were
//! "unmaps" ──────────────────────────────► says how many bytes their failed unmapping has left
//! ```
//!
//! The filter can't be taken out, so it asks the supervisor for ever, who lets all pass while
//! nothing is armed. It asks about every `mmap`, `mremap`, `mprotect`, `madvise`, `munmap`, `brk`,
//! `clone` and `clone3` of the process, whoever makes it, except for the harness's own memory,
//! which marks its calls (see [`memory`](drystone_harness::memory)).
//!
//! | call | when it is made to fail |
//! |---|---|
//! | `brk` | returns the present break, as the kernel does; only one that asks for more counts |
//! | `clone`, `clone3` | EAGAIN |
//! | others | ENOMEM |
//!
//! A call that a signal interrupts before the answer is made once more by the kernel: it has the
//! verdict of the first, and counts once.
//!
//! What is let pass may fail in the kernel all the same, which is not seen: a `munmap` that does is
//! taken for done.
//!
//! | file | holds |
//! |---|---|
//! | `filter` | the calls that are asked about, the filter, and how it is installed |
//! | `wire` | what the two ends say to each other at the socket |
//! | [`client`] | the child's end |
//! | [`notifier`] | the supervisor's end |

pub mod client;
mod filter;
pub mod notifier;
mod wire;

pub use self::filter::{name, permitted};
