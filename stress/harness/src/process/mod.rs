//! Child processes, and what they load.

pub mod dlopen_fixture;
pub mod preload;
