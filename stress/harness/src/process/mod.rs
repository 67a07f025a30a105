//! Child processes: how they are started, and what they load.

pub mod child;
pub mod dlopen_fixture;
pub mod launcher;
pub mod preload;
pub mod resources;
