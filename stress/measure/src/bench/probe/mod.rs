//! What is read beside a row: how far two threads are apart, how often our own library locks, how
//! long its calls take, what is live and resident.

pub mod latency;
pub mod line;
pub(super) mod lock;
pub mod memory;
