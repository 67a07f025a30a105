//! What is read beside a row: how far two threads are apart, and how often our own library locks.

pub mod line;
pub(super) mod lock;
