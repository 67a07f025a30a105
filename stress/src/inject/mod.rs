//! Fault injection: which calls to the OS fail, and who makes them fail.

pub mod failed_unmaps;
pub mod faulty_os;
pub mod injector;
pub mod seccomp;
