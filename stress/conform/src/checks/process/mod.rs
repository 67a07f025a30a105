//! The process around the calls: its beginning and end, libraries, threads, signals, forks, limits.

pub(super) mod exhaustion;
pub(super) mod lifetime;
pub(super) mod loading;
pub(super) mod processes;
pub(super) mod signals;
pub(super) mod threads;
