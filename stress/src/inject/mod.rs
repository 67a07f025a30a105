//! Fault injection: who makes calls to the OS fail.
//!
//! | file | holds |
//! |---|---|
//! | [`injector`] | the three ways to make calls fail, as the child sees them |
//! | [`faulty_os`] | the OS of linked heaps, whose calls fail by plan |
//! | [`seccomp`] | any process's calls, by the kernel's notifications |
//! | [`failed_unmaps`] | memory that is mapped only because its unmapping failed |
//!
//! Which calls fail is [`InjectionPlan`](crate::model::injection::InjectionPlan)'s to say: the same
//! number fails every time. Nothing fails before it is armed, nor after it is disarmed. The child
//! arms it; the runner serves the supervisor's end of seccomp.

pub mod failed_unmaps;
pub mod faulty_os;
pub mod injector;
pub mod seccomp;
